//! What the process tells over HTTP: probes and state on one port, metrics on another.

pub mod auth;
pub mod certificate;
pub mod check;
mod debug;
pub mod health;
pub mod metrics;

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error("cannot listen on {address} (from {key}): {source}; free the address or choose another")]
    Bind {
        /// Key that names the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate of `/metrics` cannot be used.
    #[error("certificate of /metrics: {0}")]
    Certificate(#[from] certificate::Error),
}

/// Binds an address named by `key`.
///
/// # Errors
/// When it is taken or not ours.
pub async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { key, address, source })
}
