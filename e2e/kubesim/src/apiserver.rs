//! A Kubernetes API server on loopback that unmodified `kubectl`, `helm` and client libraries talk to.
//!
//! A request goes through these modules, in this order: `http` reads it and finds out who asks,
//! `request` what for, `verbs` has it carried out: `body` decodes what it brings; `read`, `watch`, `create`, `update`,
//! `delete` and `scale` work on the `state` behind one lock; `table` and `negotiation` give the answer its form. `builtin` is the table of resources, `crd` adds custom ones, `definitions` holds the
//! schemas that `apply`, `patch` and validation read through `schema`.
//! What is to be written passes `admission`, which knows it by its `attributes`: defaults and validation, `policies`, and
//! `webhooks`, which are asked without the lock.
//!
//! Before that, `authentication` and `authorization` say who asks and whether they may, `requests` records it, and
//! `faults` strikes when a test wants it to; `control` is the handle for both, `debug` the same over HTTP.
//!
//! Objects live in memory and end with the process. The server speaks HTTPS with a certificate authority of its own;
//! its clients bring certificates or tokens (`tls`, `tokens`). Unless told otherwise it allows everything to everyone
//! who reaches it, which is why it only binds loopback addresses.

mod action;
mod addresses;
mod admission;
mod aggregation;
mod apply;
mod attributes;
mod audit;
mod authentication;
mod authorization;
mod body;
mod budgets;
mod builtin;
mod catalog;
mod clock;
mod connect;
mod control;
mod convert;
mod crd;
mod create;
mod debug;
mod defaults;
mod definitions;
mod delete;
mod discovery;
mod documents;
mod failure;
mod faults;
mod fields;
mod go_types;
mod http;
mod jsonpath;
mod limits;
mod listener;
mod negotiation;
mod network;
mod openapi;
mod options;
mod own_service;
mod page;
mod patch;
mod pod_security;
mod pods;
mod policies;
mod port_forward;
mod protobuf;
mod proxy;
mod quota;
mod read;
mod remarks;
mod remote_command;
mod request;
mod requests;
mod resource;
mod reviews;
mod scale;
mod schema;
mod selector;
mod service_account;
mod spdy;
mod state;
mod store;
mod table;
mod tls;
mod tokens;
mod update;
mod validation;
mod verbs;
mod watch;
mod watchers;
mod webhooks;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::action::Action;
use self::addresses::ServiceAddresses;
use self::audit::Audit;
pub use self::audit::{Level as AuditLevel, Options as AuditOptions};
pub use self::authorization::Authorization;
pub use self::control::Control;
pub use self::faults::{ActiveFault, Fault, Matcher};
pub use self::network::{Bind, Network};
pub use self::requests::{Request, Seen, WriteRequest};
pub(crate) use self::selector::LabelSelector;
use self::state::{Shared, State};
pub use self::tls::TlsError;
use self::tls::{Authority, Pair};
use self::tokens::MASTERS;
pub use self::validation::Gates;
use crate::supervision;

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
    /// There are no certificates.
    #[error("starting the API server: {0}")]
    Tls(#[from] TlsError),
    /// The audit log cannot be opened.
    #[error("opening the audit log {}: {source}; does its directory exist?", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The HTTP client for nodes and aggregated APIs cannot be built.
    #[error("building the HTTP client of the API server: {0}")]
    Client(#[source] reqwest::Error),
}

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where to listen.
    pub bind: Bind,
    /// Whether and how requests are authorised.
    pub authorization: Authorization,
    /// Features that are off by default.
    pub gates: Gates,
    /// Where the audit log goes, if one is wanted.
    pub audit: Option<AuditOptions>,
}

/// A running API server. Dropping it without [`Server::shutdown`] stops it at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    network: [u8; 2],
    control: Control,
    /// The administrator's certificate.
    admin: Pair,
    tasks: JoinSet<()>,
    /// Keeps the network claimed while the server does not listen for a while.
    _claim: Option<std::net::UdpSocket>,
}

impl Server {
    /// Binds, and serves from the moment this returns.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { bind, authorization, gates, audit } = options;
        let (listener, claim) = network::bind(bind).await?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address: bind.address(), source })?;
        let network = network::of(address);
        // Rustls takes one provider for the whole process; whoever comes first has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nodes and pods serve with certificates of their own making, and like the real server this one does not check them.
        let trusting = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build();
        let trusting = trusting.map_err(Error::Client)?;
        let account = Audit::new(audit.as_ref())
            .map_err(|source| Error::Audit { path: audit.map(|audit| audit.path).unwrap_or_default(), source })?;
        let authority = Authority::new()?;
        let acceptor = authority.acceptor(address.ip())?;
        let admin = authority.issue("kubernetes-admin", &[MASTERS])?;
        let mut state = State::new(ServiceAddresses::new(network), authorization, authority.pem().to_owned());
        state.gates = gates;
        state.publish_own_service(address);
        // What was before anybody could have seen it is no place to continue from.
        state.store.compact();
        let shared = Arc::new(Shared::new(state, account, authority, trusting));
        let (commands, commanded) = mpsc::channel(1);
        let control = Control::new(Arc::clone(&shared), commands);
        let mut tasks = JoinSet::new();
        tasks.spawn(own_service::keep(shared, address));
        let listening = listener::run(listener, address, acceptor, control.clone(), commanded);
        tasks.spawn(supervision::named("API server".to_owned(), listening));
        tracing::info!(%address, "API server listens");
        Ok(Self { address, network, control, admin, tasks, _claim: claim })
    }

    /// Address the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL for clients, such as `https://127.20.0.1:6443`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the server's authority, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.control.shared.authority.pem()
    }

    /// The certificate of the server's authority, in DER.
    pub fn ca_der(&self) -> Vec<u8> {
        self.control.shared.authority.der().to_vec()
    }

    /// First two octets of the loopback network that belongs to this cluster: `[127, X]` of `127.X.0.0/16`.
    pub fn network(&self) -> [u8; 2] {
        self.network
    }

    /// The record of requests, and faults on purpose.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// A token, which does not expire, of a user in these groups and in `system:authenticated`.
    pub fn token(&self, user: &str, groups: &[&str]) -> String {
        self.control.shared.lock().tokens.issue_to(user, groups)
    }

    /// A token of a part of the cluster, such as `system:node:NAME`, which may do everything.
    pub(crate) fn system_token(&self, name: &str) -> String {
        self.token(name, &[MASTERS])
    }

    /// A kubeconfig in YAML with one context named `kubesim`: for the holder of `token`, or the administrator.
    pub fn kubeconfig(&self, token: Option<&str>) -> String {
        let encoded = |pem: &str| body::base64(pem.as_bytes());
        let user = match token {
            Some(token) => format!("token: {token}"),
            None => format!(
                "client-certificate-data: {}\n    client-key-data: {}",
                encoded(&self.admin.certificate),
                encoded(&self.admin.key)
            ),
        };
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: kubesim\n\
             clusters:\n- name: kubesim\n  cluster:\n    server: {url}\n    certificate-authority-data: {ca}\n\
             contexts:\n- name: kubesim\n  context:\n    cluster: kubesim\n    user: kubesim\n\
             users:\n- name: kubesim\n  user:\n    {user}\n",
            url = self.url(),
            ca = encoded(self.ca_pem()),
        )
    }

    /// Ends watches, waits for requests in flight, and stops.
    pub async fn shutdown(mut self) {
        self.control.shared.stopping.send_replace(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            self.tasks.abort_all();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.shared.stopping.send_replace(true);
        self.tasks.abort_all();
    }
}
