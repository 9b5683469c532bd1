//! A Kubernetes API server on loopback that unmodified `kubectl`, `helm` and client libraries talk to.
//!
//! A request goes through these modules, in this order: `http` reads it and finds out who asks,
//! `request` what for, `verbs` has it carried out: `body` decodes what it brings; `read`, `watch`, `create`, `update`,
//! `delete` and `scale` work on the `state` behind one lock; `table` and `negotiation` give the answer its form. `builtin` is the table of resources, `crd` adds custom ones, `definitions` holds the
//! schemas that `apply`, `patch` and validation read through `schema`.
//!
//! Objects live in memory and end with the process. The server speaks plain HTTP and allows everything to
//! everyone who reaches it, which is why it only binds loopback addresses.

mod addresses;
mod admission;
mod aggregation;
mod apply;
mod body;
mod builtin;
mod catalog;
mod clock;
mod convert;
mod crd;
mod create;
mod defaults;
mod definitions;
mod delete;
mod discovery;
mod documents;
mod failure;
mod fields;
mod http;
mod jsonpath;
mod negotiation;
mod network;
mod openapi;
mod patch;
mod pods;
mod port_forward;
mod protobuf;
mod proxy;
mod read;
mod request;
mod resource;
mod reviews;
mod scale;
mod schema;
mod selector;
mod state;
mod store;
mod table;
mod tokens;
mod update;
mod validation;
mod verbs;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinHandle;

use self::addresses::ServiceAddresses;
pub use self::network::Bind;
use self::state::{Shared, State};

/// How long a stopping server waits for requests in flight before it drops them.
const DRAIN: Duration = Duration::from_secs(2);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address asked for cannot be bound.
    #[error("binding the API server to {address}: {source}; choose another address or let the server choose one")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// An address outside 127.0.0.0/8 was asked for.
    #[error(
        "binding the API server to {0}: only loopback addresses (127.0.0.0/8) are allowed, because it trusts every caller"
    )]
    NotLoopback(SocketAddr),
    /// Every loopback network that was tried is in use.
    #[error("no free loopback network 127.X.0.0/16 with X in 16..=250: stop other clusters on this machine")]
    NoFreeNetwork,
    /// The HTTP client for nodes and aggregated APIs cannot be built.
    #[error("building the HTTP client of the API server: {0}")]
    Client(#[source] reqwest::Error),
}

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen.
    pub bind: Bind,
}

/// A running API server. Dropping it without [`Server::shutdown`] stops it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    network: [u8; 2],
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds, and serves from the moment this returns.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { bind } = options;
        let listener = network::bind(bind).await?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address: bind.address(), source })?;
        let network = network::of(address);
        // Rustls takes one provider for the whole process; whoever comes first has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().map_err(Error::Client)?;
        // Pods serve with certificates of their own making, and like the real server this one does not check them.
        let trusting = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
        let trusting = trusting.map_err(Error::Client)?;
        let shared = Arc::new(Shared::new(State::new(ServiceAddresses::new(network)), client, trusting));
        let router = Router::new().fallback(http::handle).with_state(Arc::clone(&shared));
        let mut stopping = shared.stopping.subscribe();
        let task = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the server value is gone, which is a reason to stop as well.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "API server stopped");
            }
        });
        tracing::info!(%address, "API server listens");
        Ok(Self { address, network, shared, task })
    }

    /// Address the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL for clients, such as `http://127.20.0.1:6443`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// First two octets of the loopback network that belongs to this cluster: `[127, X]` of `127.X.0.0/16`.
    pub fn network(&self) -> [u8; 2] {
        self.network
    }

    /// A kubeconfig in YAML with one context named `kubesim`: for the holder of `token`, or the administrator.
    pub fn kubeconfig(&self, token: Option<&str>) -> String {
        let user = match token {
            Some(token) => format!("    token: {token}\n"),
            None => "    {}\n".to_owned(),
        };
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: kubesim\n\
             clusters:\n- name: kubesim\n  cluster:\n    server: {url}\n\
             contexts:\n- name: kubesim\n  context:\n    cluster: kubesim\n    user: kubesim\n\
             users:\n- name: kubesim\n  user:\n{user}",
            url = self.url()
        )
    }

    /// Ends watches, waits for requests in flight, and stops.
    pub async fn shutdown(mut self) {
        self.shared.stopping.send_replace(true);
        if tokio::time::timeout(DRAIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        self.task.abort();
    }
}
