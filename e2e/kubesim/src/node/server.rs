//! The HTTP server of a node, where the API server fetches logs: the part of the kubelet's API that
//! `kubectl logs` needs, in plain HTTP.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinSet};
use tracing::warn;

use super::{
    log_reader::{self, LogQuery},
    log_store::{LogKey, LogStore},
};

/// Starts the server on a free port of `address`; returns where it listens.
pub(super) async fn start(address: Ipv4Addr, logs: Arc<LogStore>, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((address, 0)).await?;
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(container_logs))
        .with_state(logs);
    tasks.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            warn!(%error, "The node's server ended");
        }
    });
    Ok(local)
}

async fn container_logs(
    State(logs): State<Arc<LogStore>>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(query): Query<LogQuery>,
) -> Response {
    let key = LogKey { namespace, pod, container };
    let Some(log) = logs.find(&key, query.previous) else {
        let LogKey { namespace, pod, container } = key;
        let message = if query.previous {
            format!("previous terminated container \"{container}\" in pod \"{pod}\" not found")
        } else {
            format!("container \"{container}\" in pod \"{namespace}/{pod}\" is waiting to start")
        };
        return (StatusCode::BAD_REQUEST, message).into_response();
    };
    match log_reader::read(log, query).await {
        Ok(lines) => Body::from_stream(lines).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("reading the log: {error}")).into_response(),
    }
}
