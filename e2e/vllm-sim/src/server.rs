//! The HTTP server around the driver.

mod control;
mod generate;
mod scrape;
mod state;
mod stream;

use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::state::AppState;
use crate::config::Config;
use crate::driver::Driver;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not ours.
    #[error("could not listen on {address}: {source}; choose another --host or --port")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A running server. Dropping it leaves it running until the runtime ends; [`Server::shutdown`] stops it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    grace: std::time::Duration,
    driver: Driver,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Listens and serves. Returns as soon as the port is open; the start-up delay runs from now.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let address = config.listen;
        let listen_error = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let addr = listener.local_addr().map_err(listen_error)?;
        let driver = Driver::start(config.engine.clone());
        let grace = config.shutdown_grace;
        tracing::info!(
            %addr,
            model = config.model,
            served_as = config.served_model_name(),
            max_num_seqs = config.engine.max_num_seqs,
            num_gpu_blocks = config.engine.num_gpu_blocks,
            block_size = config.engine.block_size,
            startup_delay = ?config.startup_delay,
            "Listening"
        );
        let (stop, stopped) = watch::channel(false);
        let app = router(AppState::new(config, driver.clone(), Instant::now()));
        let task =
            tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(wait_for_stop(stopped)).into_future());
        Ok(Self { addr, grace, driver, stop, task })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, lets running requests finish within the grace of the configuration, then cuts the rest off.
    pub async fn shutdown(self) {
        let Self { grace, driver, stop, mut task, .. } = self;
        let _ = stop.send(true);
        let running = driver.observe(|load, _| load.running + load.waiting);
        tracing::info!(running, grace = ?grace, "Stopping");
        if tokio::time::timeout(grace, &mut task).await.is_err() {
            tracing::warn!("Requests still running after the grace; cutting them off");
            driver.close();
            // Cut-off requests answer at once; whatever connection remains after that is idle or stuck.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(500), &mut task).await;
            task.abort();
        }
        driver.close();
        tracing::info!("Stopped");
    }
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    // A dropped `Server` never asks for a stop; then serve on.
    if stopped.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn router(state: AppState) -> Router {
    Router::new()
        .route("/v1/models", get(generate::models))
        .route("/v1/completions", post(generate::completions))
        .route("/v1/chat/completions", post(generate::chat_completions))
        .route("/health", get(control::health))
        .route("/ready", get(control::health))
        .route("/ping", get(control::health))
        .route("/version", get(control::version))
        .route("/metrics", get(scrape::metrics))
        .route("/admin/config", get(control::show_config).post(control::change_config))
        .with_state(state)
}
