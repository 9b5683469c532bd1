//! Reading and writing the Lease. A write is conditional on the version that was read, so that of two candidates who
//! read the same version one is refused.

use std::sync::{Arc, OnceLock};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};

use super::owner;
use crate::shared::Shared;
use wva_api::labels::{LAST_GOOD_CONFIG, PROGRAM_VERSION};

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
    marks: Arc<Marks>,
}

/// What a Lease carries besides who holds it.
#[derive(Default)]
struct Marks {
    /// The Deployment this process belongs to: the Lease goes when it goes.
    owner: OnceLock<OwnerReference>,
    /// The last good content of the main ConfigMap.
    config: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marks").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Marks {
    fn carry_over(&self, metadata: &mut ObjectMeta) {
        if let Some(owner) = self.owner.get() {
            let owners = metadata.owner_references.get_or_insert_default();
            if owners.iter().all(|other| other.uid != owner.uid) {
                owners.push(owner.clone());
            }
        }
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(PROGRAM_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        if let Some(config) = self.config.get() {
            annotations.insert(LAST_GOOD_CONFIG.to_owned(), config());
        }
    }
}

impl LeaseApi {
    /// The Lease of that name. `manager` is the field manager of writes.
    pub fn new(client: Client, namespace: &str, name: &str, manager: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, namespace: namespace.to_owned(), name: name.to_owned(), manager, marks: Arc::default() }
    }

    /// Finds out which Deployment this process belongs to; from then on the Lease does too, and is deleted with it.
    pub async fn find_owner(&self) {
        match owner::deployment_of(&self.api.clone().into_client(), &self.namespace, &crate::telemetry::host()).await {
            Ok(Some(owner)) => {
                let _known_before = self.marks.owner.set(owner).is_err();
            }
            Ok(None) => tracing::debug!("This process belongs to no Deployment, so the lease outlives it"),
            Err(error) => {
                let error = crate::api_error::words(&error);
                tracing::warn!(
                    error,
                    "Cannot find out which Deployment this process belongs to; the lease outlives it"
                );
            }
        }
    }

    /// From now on it carries what `config` returns when it is written, for the next start.
    pub fn remembers(&self, config: impl Fn() -> String + Send + Sync + 'static) {
        let _known_before = self.marks.config.set(Box::new(config)).is_err();
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
            self.marks.carry_over(&mut lease.metadata);
            self.api.replace(&self.name, &params, &lease).await
        } else {
            let mut metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            self.marks.carry_over(&mut metadata);
            self.api.create(&params, &Lease { metadata, spec: Some(spec) }).await
        };
        match written {
            Ok(_) => Ok(Written::Done),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Written::Conflict),
            Err(source) => Err(self.error(source)),
        }
    }

    /// Ticks whenever the Lease changes. Only a hint: what it says is read again before it counts.
    pub fn changes(&self, shared: Arc<Shared>) -> impl Stream<Item = ()> + Send + Unpin + use<> {
        let what = format!("watch lease {}/{}", self.namespace, self.name);
        let changes = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        Box::pin(changes.filter_map(move |change| {
            match &change {
                Ok(_) => shared.troubles.works(&what),
                Err(error) => shared.troubles.fails(&what, &crate::cluster::watch::words(error)),
            }
            std::future::ready(change.ok().map(drop))
        }))
    }

    fn error(&self, source: kube::Error) -> Error {
        Error { namespace: self.namespace.clone(), name: self.name.clone(), source: Box::new(source) }
    }
}
