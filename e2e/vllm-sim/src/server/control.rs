//! Health, version and `/admin/config`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::state::AppState;
use crate::admin::Overrides;

/// The vLLM release whose behaviour and metrics are emulated.
const VLLM_VERSION: &str = "0.11.0";

/// 200 once the model is loaded, 503 before; `ready` of `/admin/config` overrides both.
pub(super) async fn health(State(state): State<AppState>) -> Response {
    let pinned = state.control().overrides.ready;
    match pinned {
        Some(true) => StatusCode::OK.into_response(),
        Some(false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready, as /admin/config says\n").into_response(),
        None => match state.require_loaded() {
            Ok(()) => StatusCode::OK.into_response(),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        },
    }
}

pub(super) async fn version() -> Json<Value> {
    Json(json!({"version": VLLM_VERSION, "emulator": env!("CARGO_PKG_VERSION")}))
}

pub(super) async fn show_config(State(state): State<AppState>) -> Json<Overrides> {
    Json(state.control().overrides.clone())
}

pub(super) async fn change_config(State(state): State<AppState>, body: Bytes) -> Response {
    match state.patch(&body) {
        Ok(overrides) => {
            tracing::info!(overrides = ?overrides, "Changed configuration");
            Json(overrides).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "Refused configuration");
            (StatusCode::BAD_REQUEST, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}
