//! `/debug`: the record of requests and the faults, over HTTP.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::control::Control;
use super::failure::Failure;
use super::faults::{Fault, Matcher};
use super::http::{Incoming, json_response, read_body};

/// Where it is served; requests below are neither recorded nor struck by faults.
pub(super) const PREFIX: &str = "/debug/";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Restart {
    down_milliseconds: u64,
}

/// Serves one of these paths.
pub(super) async fn serve(control: Control, incoming: Incoming) -> Result<Response, Failure> {
    let Incoming { method, path, query, body, .. } = incoming;
    let bytes = read_body(body).await?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    let answer = match (&method, segments.as_slice()) {
        (&Method::GET, ["requests"]) => {
            let wanted = query.get("user");
            let seen = control.requests().into_iter();
            let seen: Vec<_> = seen.filter(|entry| wanted.is_none_or(|user| entry.request.user == user)).collect();
            json!(seen)
        }
        (&Method::GET, ["writes"]) => {
            let wanted = query.get("user");
            let writes = control.writes().into_iter();
            json!(writes.filter(|write| wanted.is_none_or(|user| write.user == user)).collect::<Vec<_>>())
        }
        (&Method::DELETE, ["requests"]) => {
            control.clear_requests();
            json!({})
        }
        (&Method::GET, ["faults"]) => json!(control.faults()),
        (&Method::POST, ["faults"]) => json!({"id": control.inject(parse::<Fault>(&bytes)?)}),
        (&Method::DELETE, ["faults"]) => {
            control.clear_faults();
            json!({})
        }
        (&Method::DELETE, ["faults", id]) => {
            let removed = id.parse().ok().and_then(|id| control.remove_fault(id));
            json!(removed.ok_or_else(|| Failure::new(404, "NotFound", format!("no fault has the number {id}")))?)
        }
        (&Method::POST, ["drop-watches"]) => json!({"ended": control.drop_watches(&parse::<Matcher>(&bytes)?)}),
        (&Method::POST, ["expire-watches"]) => json!({"ended": control.expire_watches(&parse::<Matcher>(&bytes)?)}),
        (&Method::POST, ["compact"]) => json!({"revision": control.compact()}),
        (&Method::POST, ["restart"]) => {
            let down = Duration::from_millis(parse::<Restart>(&bytes)?.down_milliseconds);
            // The answer would not survive what it announces.
            tokio::spawn(async move {
                if let Err(error) = control.restart(down).await {
                    tracing::error!(%error, "Listening again failed");
                }
            });
            json!({})
        }
        _ => return Err(Failure::no_such_resource()),
    };
    Ok(json_response(StatusCode::OK, &answer))
}

/// An empty body stands for the defaults.
fn parse<T: Default + for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, Failure> {
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::bad_request(format!("reading the body: {error}")))
}
