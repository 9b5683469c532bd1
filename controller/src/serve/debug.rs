//! `/debug/state` and `/debug/history`: what was decided last, and before. Only for callers on this machine (in a cluster:
//! through `kubectl port-forward`), because they name every workload.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use wva_engine::VariantKey;

use crate::shared::Shared;

/// The routes.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/debug/state", get(state)).route("/debug/history", get(history)).layer(from_fn(local_only))
}

async fn local_only(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    if peer.ip().is_loopback() {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "only for local callers; use kubectl port-forward\n").into_response()
}

/// The last cycle as JSON, enough to take its decision again elsewhere.
async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let unreadable: Vec<_> = {
        let index = shared.index();
        index.unreadable.iter().map(|((kind, key), it)| json!({"kind": kind, "object": key, "why": it.why})).collect()
    };
    let last_cycle = shared.last_cycle().clone();
    Json(json!({ "lastCycle": last_cycle, "unreadable": unreadable })).into_response()
}

/// Whose history is asked for; without either of them everybody's.
#[derive(Debug, Deserialize)]
struct Whose {
    namespace: Option<String>,
    name: Option<String>,
}

/// What was decided of variants in this term of leadership, as JSON.
async fn history(State(shared): State<Arc<Shared>>, Query(whose): Query<Whose>) -> Response {
    let wanted = |key: &VariantKey| {
        whose.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && whose.name.as_ref().is_none_or(|name| *name == key.name)
    };
    let history = shared.history().filtered(wanted);
    Json(json!({ "history": history })).into_response()
}
