//! The connection to one cluster. Every request goes through [`Session::ask`], so that each failure says what we were
//! doing, and where.

mod error;
mod kubeconfig;
mod overrides;

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Config, ResourceExt};

use crate::connection::Connection;
pub use error::Error;

/// An open connection. Nothing has been asked yet: the first request shows whether the cluster answers.
pub struct Session {
    /// The client.
    pub client: Client,
    /// Namespace to work in: `-n`, else the context's, else `default`.
    pub namespace: String,
    /// The bearer token of the user, if that is how they authenticate: for what is asked past the API server.
    pub token: Option<String>,
    server: String,
    timeout: Option<Duration>,
}

impl Session {
    /// Finds the cluster the flags mean.
    ///
    /// # Errors
    /// When there is no usable kubeconfig, or none with the context asked for.
    pub async fn open(flags: &Connection) -> Result<Self, Error> {
        let mut config = kubeconfig::load(flags).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let named = flags.namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = named.unwrap_or_else(|| config.default_namespace.clone());
        let token = overrides::bearer(&config.auth_info);
        if config.cluster_url.scheme_str() != Some("https") {
            config.auth_info = overrides::without_credentials(config.auth_info);
        }
        let client = Self::client(config)?;
        let timeout = Some(flags.request_timeout).filter(|timeout| !timeout.is_zero());
        Ok(Self { client, namespace, token, server, timeout })
    }

    /// A session over a client made elsewhere, working in `namespace`.
    pub fn with_client(client: Client, namespace: &str) -> Self {
        let (namespace, server) = (namespace.to_owned(), "the cluster".to_owned());
        Self { client, namespace, token: None, server, timeout: None }
    }

    /// Makes one request. `doing` completes the sentence "could not …", e.g. `list variants in namespace models`.
    ///
    /// # Errors
    /// When the request fails or takes longer than `--request-timeout`.
    pub async fn ask<T>(
        &self,
        doing: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let answer = match self.timeout {
            Some(after) => match tokio::time::timeout(after, request).await {
                Ok(answer) => answer,
                Err(_) => return Err(Error::TimedOut { doing: doing.into(), server: self.server.clone(), after }),
            },
            None => request.await,
        };
        answer.map_err(|error| self.failed(doing.into(), error))
    }

    /// Makes sure that a namespace exists, as far as we may know.
    ///
    /// # Errors
    /// When there is no such namespace.
    pub async fn require_namespace(&self, name: &str) -> Result<(), Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match self.ask(format!("read namespace {name}"), api.get_metadata(name)).await {
            Err(Error::NotFound { .. }) => {}
            Ok(_) | Err(_) => return Ok(()),
        }
        let known = self.ask("list namespaces", api.list_metadata(&ListParams::default())).await;
        let known: Vec<String> = known.iter().flat_map(|list| &list.items).map(ResourceExt::name_any).collect();
        Err(Error::NoNamespace { name: name.to_owned(), known })
    }

    /// Reads a path of the API server as text, for what is no object.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn get(&self, doing: impl Into<String>, path: &str) -> Result<String, Error> {
        let request = http::Request::get(path).body(Vec::new());
        let request =
            request.map_err(|error| kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error)));
        self.ask(doing, async { self.client.request_text(request?).await }).await
    }

    /// The error of a request made without [`Session::ask`].
    pub(crate) fn failed(&self, doing: String, error: kube::Error) -> Error {
        Error::of_request(doing, &self.server, error)
    }

    /// The error for a cluster without the CRD.
    pub(crate) fn no_crd(&self) -> Error {
        Error::NoCrd { server: self.server.clone() }
    }

    /// The error for a cluster with an early form of the CRD.
    pub(crate) fn old_crd(&self, missing: Vec<String>) -> Error {
        Error::OldCrd { server: self.server.clone(), missing }
    }

    fn client(config: Config) -> Result<Client, Error> {
        let server = config.cluster_url.to_string();
        Client::try_from(config).map_err(|error| Error::of_request("set up the connection".to_owned(), &server, error))
    }
}
