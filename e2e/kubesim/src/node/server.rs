//! The HTTPS server of a node: the part of the kubelet's API behind `kubectl logs`, `exec`, `attach`, `port-forward` and
//! `top`, with a certificate of its own making, as kubelets have.

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
    client::Client,
    exec,
    log_reader::{self, LogQuery},
    log_store::{ContainerKey, LogStore},
    port_forward,
    reaper::Reaper,
    runs::{Run, Runs},
    stats,
    streams::Wanted,
};
use crate::machinery::{
    remote_command::{PROTOCOLS, STREAM_PROTOCOLS},
    spdy,
    websocket::Handshake,
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
        .route("/exec/{namespace}/{pod}/{container}", get(exec).post(exec))
        .route("/attach/{namespace}/{pod}/{container}", get(attach).post(attach))
        .route("/portForward/{namespace}/{pod}", get(port_forward).post(port_forward))
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
    talk(reached, |client, wanted, run| async move { exec::exec(client, wanted, run, &reaper).await })
}

async fn attach(
    State(Served { runs, .. }): State<Served>,
    Path(container): Path<(String, String, String)>,
    query: Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    talk(reach(&runs, container, query, request), exec::attach)
}

async fn port_forward(
    State(Served { runs, .. }): State<Served>,
    Path((namespace, pod)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let Some(handshake) = spdy::Handshake::of(request.headers(), upgrade, port_forward::PROTOCOLS) else {
        return (StatusCode::BAD_REQUEST, "Upgrade request required".to_owned()).into_response();
    };
    let Some(ip) = runs.of_pod(&namespace, &pod).and_then(|run| run.invocation.pod_ip()) else {
        let missing = format!("pod not found ({:?})", format!("{pod}_{namespace}"));
        return (StatusCode::NOT_FOUND, missing).into_response();
    };
    let response = handshake.response();
    tokio::spawn(async move {
        if let Some(connection) = handshake.connection().await {
            port_forward::serve(connection, pod, ip).await;
        }
    });
    response
}

/// How a client wants to speak.
enum Speech {
    Channels(Handshake),
    Streams(spdy::Handshake),
}

impl Speech {
    fn of(mut request: Request) -> Option<Self> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let headers = request.headers();
        if spdy::Handshake::is_asked(headers) {
            return spdy::Handshake::of(headers, upgrade, STREAM_PROTOCOLS).map(Self::Streams);
        }
        Handshake::of(headers, upgrade, PROTOCOLS).map(Self::Channels)
    }

    fn response(&self) -> Response {
        match self {
            Self::Channels(handshake) => handshake.response(),
            Self::Streams(handshake) => handshake.response(),
        }
    }

    /// The client, once the response is sent; `None` if it left before.
    async fn client(self, wanted: &Wanted) -> Option<Client> {
        match self {
            Self::Channels(handshake) => Some(Client::over_websocket(handshake.socket().await?)),
            Self::Streams(handshake) => Client::over_spdy(handshake.connection().await?, wanted).await,
        }
    }
}

/// Answers a client that reached a container, and does `work` once it can be spoken with.
fn talk<Talk>(
    reached: Result<(Speech, Wanted, Run), (StatusCode, String)>,
    work: impl FnOnce(Client, Wanted, Run) -> Talk + Send + 'static,
) -> Response
where
    Talk: Future<Output = ()> + Send,
{
    let (speech, wanted, run) = match reached {
        Ok(reached) => reached,
        Err(refusal) => return refusal.into_response(),
    };
    let response = speech.response();
    tokio::spawn(async move {
        if let Some(client) = speech.client(&wanted).await {
            work(client, wanted, run).await;
        }
    });
    response
}

/// What a client wants of which container, or why that cannot be.
fn reach(
    runs: &Runs,
    (namespace, pod, container): (String, String, String),
    query: Query<Vec<(String, String)>>,
    request: Request,
) -> Result<(Speech, Wanted, Run), (StatusCode, String)> {
    let wanted = Wanted::read(query).map_err(|problem| (StatusCode::BAD_REQUEST, problem.to_owned()))?;
    let speech = Speech::of(request).ok_or_else(|| (StatusCode::BAD_REQUEST, "Upgrade request required".to_owned()))?;
    let missing = format!("container not found ({container:?})");
    let run = runs.find(&ContainerKey { namespace, pod, container });
    Ok((speech, wanted, run.ok_or((StatusCode::INTERNAL_SERVER_ERROR, missing))?))
}
