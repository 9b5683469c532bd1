//! `GET /metrics`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::state::AppState;
use crate::metrics;

/// The series, or whatever `/admin/config` wants in their place. A delay comes first: a slow endpoint may fail too.
pub(super) async fn metrics(State(state): State<AppState>) -> Response {
    if let Err(error) = state.require_loaded() {
        return error.into_response();
    }
    let delay = state.control().overrides.metrics_delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (overrides, frozen) = {
        let control = state.control();
        (control.overrides.clone(), control.frozen_metrics.clone())
    };
    if overrides.metrics_absent {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Some(status) = overrides.metrics_status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return (status, "failing as metrics_status of /admin/config says\n").into_response();
    }
    let body = frozen.unwrap_or_else(|| state.live_metrics(&overrides));
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], body).into_response()
}
