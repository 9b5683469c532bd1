//! The HTTPS server of a node: the part of the kubelet's API behind `kubectl logs`, `exec`, `attach` and `top`, with a
//! certificate of its own making, as kubelets have.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use tokio::task::JoinSet;
use tracing::warn;

use super::{
    exec,
    log_reader::{self, LogQuery},
    log_store::{ContainerKey, LogStore},
    reaper::Reaper,
    runs::{Run, Runs},
    stats,
    streams::Wanted,
};
use crate::machinery::{
    remote_command::PROTOCOLS,
    websocket::{Handshake, Socket},
};
use crate::serving::{self, Identity};

/// What the server shows and reaches.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) node: String,
    pub(super) logs: Arc<LogStore>,
    pub(super) runs: Arc<Runs>,
    pub(super) reaper: Reaper,
}

/// Starts the server on a free port of `address`; returns where it listens.
pub(super) async fn start(
    address: Ipv4Addr,
    served: Served,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, serving::Error> {
    let listener = TcpListener::bind((address, 0))?;
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/containerLogs/{namespace}/{pod}/{container}", get(container_logs))
        .route("/stats/summary", get(summary))
        .route("/exec/{namespace}/{pod}/{container}", get(exec))
        .route("/attach/{namespace}/{pod}/{container}", get(attach))
        .with_state(served.clone());
    let serving = Identity::generate(&served.node)?.serve(listener, router).await?;
    tasks.spawn(async move {
        if let Err(error) = serving.await {
            warn!(%error, "The node's server ended");
        }
    });
    Ok(local)
}

async fn summary(State(Served { node, runs, .. }): State<Served>) -> Json<Value> {
    Json(stats::summary(&node, &runs))
}

async fn container_logs(
    State(Served { logs, .. }): State<Served>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(query): Query<LogQuery>,
) -> Response {
    let key = ContainerKey { namespace, pod, container };
    let Some(log) = logs.find(&key, query.previous) else {
        let ContainerKey { namespace, pod, container } = key;
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

async fn exec(
    State(Served { runs, reaper, .. }): State<Served>,
    Path(container): Path<(String, String, String)>,
    query: Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let reached = reach(&runs, container, query, request);
    talk(reached, |socket, wanted, run| async move { exec::exec(socket, wanted, run, &reaper).await })
}

async fn attach(
    State(Served { runs, .. }): State<Served>,
    Path(container): Path<(String, String, String)>,
    query: Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    talk(reach(&runs, container, query, request), exec::attach)
}

/// Answers a client that reached a container, and does `work` once its connection is a WebSocket.
fn talk<Talk>(
    reached: Result<(Handshake, Wanted, Run), (StatusCode, String)>,
    work: impl FnOnce(Socket, Wanted, Run) -> Talk + Send + 'static,
) -> Response
where
    Talk: Future<Output = ()> + Send,
{
    let (handshake, wanted, run) = match reached {
        Ok(reached) => reached,
        Err(refusal) => return refusal.into_response(),
    };
    let response = handshake.response();
    tokio::spawn(async move {
        if let Some(socket) = handshake.socket().await {
            work(socket, wanted, run).await;
        }
    });
    response
}

/// What a client wants of which container, or why that cannot be.
fn reach(
    runs: &Runs,
    (namespace, pod, container): (String, String, String),
    query: Query<Vec<(String, String)>>,
    mut request: Request,
) -> Result<(Handshake, Wanted, Run), (StatusCode, String)> {
    let wanted = Wanted::read(query).map_err(|problem| (StatusCode::BAD_REQUEST, problem.to_owned()))?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let handshake = Handshake::of(request.headers(), upgrade, PROTOCOLS)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, "Upgrade request required".to_owned()))?;
    let missing = format!("container not found ({container:?})");
    let run = runs.find(&ContainerKey { namespace, pod, container });
    Ok((handshake, wanted, run.ok_or((StatusCode::INTERNAL_SERVER_ERROR, missing))?))
}
