//! Paths that are not about objects: health, version, discovery, OpenAPI.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::catalog::Catalog;
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
    if matches!(segments, ["api" | "apis"]) && discovery::is_unacceptable(accept) {
        let message = "only the following media types are accepted: application/json, application/yaml, \
                       application/vnd.kubernetes.protobuf";
        return Err(Failure::new(406, "NotAcceptable", message));
    }
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
        ["healthz" | "readyz" | "livez"] | ["healthz" | "readyz" | "livez", "ping" | "etcd" | "log"] => {
            Ok(Some(typed_response(StatusCode::OK, "text/plain; charset=utf-8", "ok")))
        }
        ["version"] => ok(version()),
        [] => ok(paths(&shared.lock().catalog)),
        ["metrics"] => Ok(Some(typed_response(StatusCode::OK, METRICS, metrics(shared)))),
        ["openapi", "v2"] if accept.contains("protobuf") && !accept.contains("json") => {
            Err(Failure::new(406, "NotAcceptable", "the definitions are served as JSON"))
        }
        ["openapi", "v2"] => ok(openapi::swagger(&shared.lock().catalog)),
        ["openapi", "v3"] => {
            let index = openapi::index(&shared.lock().catalog).to_string();
            Ok(Some(typed_response(StatusCode::OK, "text/plain; charset=utf-8", index)))
        }
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

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted of the server itself.
fn metrics(shared: &Arc<Shared>) -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "# HELP apiserver_storage_objects Number of stored objects at the time of last check split by kind.\n\
         # TYPE apiserver_storage_objects gauge\n",
    );
    for (resource, count) in shared.lock().store.counts() {
        let dot = if resource.group.is_empty() { "" } else { "." };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "apiserver_storage_objects{{resource=\"{}{dot}{}\"}} {count}",
            resource.plural, resource.group
        );
    }
    text
}

/// What there is to ask for.
fn paths(catalog: &Catalog) -> Value {
    let mut paths: Vec<String> = [
        "/api",
        "/api/v1",
        "/apis",
        "/apis/",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    for group in catalog.groups().into_iter().filter(|group| !group.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(group.versions.iter().map(|version| format!("/apis/{}/{version}", group.name)));
    }
    paths.sort();
    json!({ "paths": paths })
}

/// The Kubernetes release whose API is served.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.0+kubesim",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
