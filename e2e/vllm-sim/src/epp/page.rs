//! The picker's metrics page, and the pins of `/admin/queue`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::flow::{Flow, Held};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the page is made of.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) flow: Arc<Flow>,
    pub(super) servers: watch::Receiver<Vec<String>>,
    pub(super) token: Option<String>,
    pub(super) pool: String,
}

pub(super) async fn metrics(State(page): State<Page>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let allowed = page.token.as_ref().is_none_or(|token| given == Some(&format!("Bearer {token}")));
    if !allowed {
        return (StatusCode::UNAUTHORIZED, "Unauthorized\n").into_response();
    }
    ([(header::CONTENT_TYPE, TEXT)], text(&page)).into_response()
}

/// Models to numbers; `null` lets go.
pub(super) async fn pin(
    State(flow): State<Arc<Flow>>,
    Json(pins): Json<BTreeMap<String, Option<f64>>>,
) -> Json<BTreeMap<String, f64>> {
    for (model, requests) in pins {
        flow.pin(model, requests);
    }
    Json(flow.pins())
}

pub(super) async fn show_pins(State(flow): State<Arc<Flow>>) -> Json<BTreeMap<String, f64>> {
    Json(flow.pins())
}

/// Series and labels as of the Gateway API's inference extension; the first request of a model begins its series.
fn text(page: &Page) -> String {
    let Page { flow, servers, token: _, pool } = page;
    let shown = flow.shown();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: fn(&Held) -> f64| {
        if shown.is_empty() {
            return;
        }
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (model, held) in &shown {
            let model = escape(model);
            let _ = writeln!(
                text,
                "{name}{{fairness_id=\"default-flow\",inference_pool=\"{pool}\",model_name=\"{model}\",priority=\"0\",\
                 target_model_name=\"{model}\"}} {}",
                value(held)
            );
        }
    };
    gauge("inference_extension_flow_control_queue_size", "Requests held by flow control.", |held| held.requests);
    gauge("inference_extension_flow_control_queue_bytes", "Bytes of the requests held by flow control.", |held| {
        held.bytes
    });
    let ready = servers.borrow().len();
    let _ = writeln!(
        text,
        "# HELP inference_pool_ready_pods Servers of the pool that are ready.\n# TYPE inference_pool_ready_pods gauge\n\
         inference_pool_ready_pods{{name=\"{pool}\"}} {ready}"
    );
    text
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
