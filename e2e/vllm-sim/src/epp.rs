//! An emulated endpoint picker: the part of an inference gateway that chooses a server for each request, and holds
//! requests back while there is none.
//!
//! A real one is called by a gateway for each request; this one is gateway and picker in one, an HTTP proxy. It counts
//! what it holds (`flow`) and shows that on a metrics port of its own, as flow control does, behind a token if asked
//! to (`page`). `POST /admin/queue` on the proxy's port pins the numbers of that page.

mod flow;
mod page;
mod proxy;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::flow::Flow;
use self::proxy::Proxy;
use crate::server::ServerError;

/// How to run a picker.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where requests come in.
    pub listen: SocketAddr,
    /// Where `/metrics` is served.
    pub metrics: SocketAddr,
    /// Bearer token that `/metrics` requires.
    pub token: Option<String>,
    /// Name of the `InferencePool`, a label of the metrics.
    pub pool: String,
    /// How long a request is held back while no server is ready.
    pub hold: Duration,
}

impl Config {
    /// On ports of the system's choice on loopback, without a token; requests are held for a minute.
    pub fn new(pool: &str) -> Self {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen: any_port, metrics: any_port, token: None, pool: pool.to_owned(), hold: Duration::from_mins(1) }
    }
}

/// A running picker. Dropping it stops it.
#[derive(Debug)]
pub struct Epp {
    addr: SocketAddr,
    metrics: SocketAddr,
    _tasks: JoinSet<std::io::Result<()>>,
}

impl Epp {
    /// Listens on both ports and serves. `servers` are the base URLs of the servers that are ready.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(config: Config, servers: watch::Receiver<Vec<String>>) -> Result<Self, ServerError> {
        let Config { listen, metrics, token, pool, hold } = config;
        let flow = Arc::new(Flow::default());
        let (requests, addr) = bind(listen).await?;
        let (scrapes, metrics) = bind(metrics).await?;
        tracing::info!(%addr, %metrics, pool, token = token.is_some(), hold = ?hold, "Listening");
        let proxy = Proxy::new(Arc::clone(&flow), servers.clone(), hold);
        let traffic = Router::new()
            .route("/admin/queue", get(page::show_pins).post(page::pin))
            .with_state(Arc::clone(&flow))
            .merge(Router::new().route("/{*path}", any(proxy::forward)).with_state(proxy));
        let page =
            Router::new().route("/metrics", get(page::metrics)).with_state(page::Page { flow, servers, token, pool });
        let mut tasks = JoinSet::new();
        tasks.spawn(axum::serve(requests, traffic).into_future());
        tasks.spawn(axum::serve(scrapes, page).into_future());
        Ok(Self { addr, metrics, _tasks: tasks })
    }

    /// Where requests go.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where `/metrics` is.
    pub fn metrics_addr(&self) -> SocketAddr {
        self.metrics
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let listen_error = |source| ServerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    Ok((listener, address))
}
