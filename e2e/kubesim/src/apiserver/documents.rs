//! Paths that are not about objects: health, version, discovery, OpenAPI.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::failure::Failure;
use super::http::{json_response, typed_response};
use super::state::Shared;
use super::{aggregation, discovery, openapi};

/// Paths that are not about objects.
pub(super) async fn document(
    shared: &Arc<Shared>,
    segments: &[&str],
    accept: &str,
) -> Result<Option<Response>, Failure> {
    let aggregated = discovery::wants_aggregated(accept);
    let both = async |core: bool| {
        let document = match (aggregated, core) {
            (true, _) => discovery::aggregated(&shared.lock().catalog, core),
            (false, true) => discovery::core_versions(),
            (false, false) => discovery::group_list(&shared.lock().catalog),
        };
        let document = if core { document } else { aggregation::add_to_discovery(shared, document).await };
        let content_type = if aggregated { discovery::AGGREGATED } else { "application/json" };
        typed_response(StatusCode::OK, content_type, document.to_string())
    };
    let ok = |document: Value| Ok(Some(json_response(StatusCode::OK, &document)));
    match segments {
        ["healthz" | "readyz" | "livez", ..] => {
            Ok(Some(typed_response(StatusCode::OK, "text/plain; charset=utf-8", "ok")))
        }
        ["version"] => ok(version()),
        ["openapi", "v3"] => ok(openapi::index(&shared.lock().catalog)),
        ["openapi", "v3", "api", version] => ok(openapi::document(&shared.lock().catalog, "", version)?),
        ["openapi", "v3", "apis", group, version] => ok(openapi::document(&shared.lock().catalog, group, version)?),
        ["api"] => Ok(Some(both(true).await)),
        ["apis"] => Ok(Some(both(false).await)),
        ["apis", group] => {
            let state = shared.lock();
            match state.aggregated().into_iter().find(|other| other.group == *group) {
                Some(other) => ok(other.group()),
                None => ok(discovery::group(&state.catalog, group)?),
            }
        }
        ["api", version] => ok(discovery::resource_list(&shared.lock().catalog, "", version)?),
        ["apis", group, version] => ok(discovery::resource_list(&shared.lock().catalog, group, version)?),
        _ => Ok(None),
    }
}

/// The Kubernetes release whose API is served.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "35",
        "gitVersion": "v1.35.0+kubesim",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
