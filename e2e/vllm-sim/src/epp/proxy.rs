//! Passing requests on, as soon as there is a server to pass them to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::flow::Flow;
use crate::load::Balancer;

/// Passes requests on.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    flow: Arc<Flow>,
    servers: watch::Receiver<Vec<String>>,
    hold: Duration,
    client: reqwest::Client,
    balancer: Arc<Mutex<Balancer>>,
}

/// One request under way at a server.
struct Outstanding {
    balancer: Arc<Mutex<Balancer>>,
    server: String,
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner).release(&self.server);
    }
}

impl Proxy {
    pub(super) fn new(flow: Arc<Flow>, servers: watch::Receiver<Vec<String>>, hold: Duration) -> Self {
        // Servers are pods, which no proxy of the environment leads to.
        let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { flow, servers, hold, client, balancer: Arc::default() }
    }

    /// Waits for a server; `None` when none comes in time.
    async fn server(&self) -> Option<Outstanding> {
        let mut servers = self.servers.clone();
        let ready =
            tokio::time::timeout(self.hold, servers.wait_for(|servers| !servers.is_empty())).await.ok()?.ok()?;
        let server = self.balancer.lock().unwrap_or_else(PoisonError::into_inner).pick(&ready)?;
        Some(Outstanding { balancer: Arc::clone(&self.balancer), server })
    }
}

/// Holds a request until a server is ready, then passes it on and streams the answer back.
pub(super) async fn forward(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = request["model"].as_str().unwrap_or_default();
    let ticket = proxy.flow.hold(model, body.len());
    let Some(outstanding) = proxy.server().await else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "no server became ready in time");
    };
    drop(ticket);
    let url = format!("{}{uri}", outstanding.server);
    let mut passed = proxy.client.request(method, url).body(body);
    for name in [header::CONTENT_TYPE, header::AUTHORIZATION, header::ACCEPT] {
        if let Some(value) = headers.get(&name) {
            passed = passed.header(name, value);
        }
    }
    match passed.send().await {
        Ok(answer) => {
            let status = answer.status();
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            let mut response = Response::new(Body::from_stream(until_the_end(answer.bytes_stream(), outstanding)));
            *response.status_mut() = status;
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            response
        }
        Err(error) => refuse(StatusCode::BAD_GATEWAY, &format!("the server did not answer: {error}")),
    }
}

/// The request is outstanding until its answer has ended.
fn until_the_end<S: Stream>(answer: S, outstanding: Outstanding) -> impl Stream<Item = S::Item> {
    answer.map(move |item| {
        let _until_then = &outstanding;
        item
    })
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"message": message, "code": status.as_u16()}}))).into_response()
}
