//! Reading and writing the Lease. A write is conditional on the version that was read, so that of two candidates who
//! read the same version one is refused.

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};

/// The API server did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("lease {namespace}/{name}: {}", crate::api_error::words(source))]
pub struct Error {
    namespace: String,
    name: String,
    source: Box<kube::Error>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Done,
    /// Somebody else wrote since the Lease was read.
    Conflict,
}

/// One Lease.
#[derive(Clone, Debug)]
pub struct LeaseApi {
    api: Api<Lease>,
    namespace: String,
    name: String,
    manager: String,
}

impl LeaseApi {
    /// The Lease of that name. `manager` is the field manager of writes.
    pub fn new(client: Client, namespace: &str, name: &str, manager: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, namespace: namespace.to_owned(), name: name.to_owned(), manager }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn get(&self) -> Result<Option<Lease>, Error> {
        self.api.get_opt(&self.name).await.map_err(|source| self.error(source))
    }

    /// Writes it over the version that was read, or creates it.
    ///
    /// # Errors
    /// When the API server does not answer or refuses.
    pub async fn write(&self, read: Option<Lease>, spec: LeaseSpec) -> Result<Written, Error> {
        let params = PostParams { field_manager: Some(self.manager.clone()), ..PostParams::default() };
        let written = if let Some(mut lease) = read {
            lease.spec = Some(spec);
            self.api.replace(&self.name, &params, &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            self.api.create(&params, &Lease { metadata, spec: Some(spec) }).await
        };
        match written {
            Ok(_) => Ok(Written::Done),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Conflict),
            Err(source) => Err(self.error(source)),
        }
    }

    /// Ticks whenever the Lease changes. Only a hint: what it says is read again before it counts.
    pub fn changes(&self) -> impl Stream<Item = ()> + Send + Unpin + use<> {
        let changes = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        Box::pin(changes.filter_map(|change| std::future::ready(change.ok().map(drop))))
    }

    fn error(&self, source: kube::Error) -> Error {
        Error { namespace: self.namespace.clone(), name: self.name.clone(), source: Box::new(source) }
    }
}
