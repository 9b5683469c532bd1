//! `exec` and `attach`: a client's WebSocket, or its SPDY, is joined to one of the node on which the pod runs.
//!
//! The server itself speaks only when it cannot reach the process: as a status on the error channel, which is where
//! clients look for the outcome once the handshake is over.

use std::sync::Arc;

use axum::http::header;
use axum::response::Response;
use futures::SinkExt as _;
use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::failure::Failure;
use super::http::Incoming;
use super::spdy;
use super::state::{Call, Shared};
use crate::machinery::remote_command::{ERROR, PROTOCOLS};
use crate::machinery::websocket::{self, Handshake};

/// Answers `101 Switching Protocols` and carries bytes both ways from then on.
pub(super) async fn start(shared: &Arc<Shared>, incoming: Incoming, call: &Call) -> Result<Response, Failure> {
    let name = &call.target.name;
    let url = shared.lock().node_url(call, &call.target.subresource)?;
    let url = url.ok_or_else(|| Failure::bad_request(format!("pod {name} does not have a host assigned")))?;
    let query = incoming.path_and_query.split_once('?').map_or("", |(_, query)| query);
    let url = format!("{url}?{query}");
    if spdy::is_asked(&incoming) {
        return spdy::pass(shared, incoming, &url).await;
    }
    let wanted = incoming.header(header::UPGRADE).to_owned();
    let Some(handshake) = Handshake::of(&incoming.headers, incoming.upgrade, PROTOCOLS) else {
        return Err(Failure::bad_request(match wanted.as_str() {
            "" => "Upgrade request required".to_owned(),
            other => format!(
                "{} is served in SPDY/3.1 and on WebSockets of protocol {} only, not on {other}",
                call.target.subresource,
                PROTOCOLS.join(" or ")
            ),
        }));
    };
    let response = handshake.response();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let (mut stopping, mut cuts) = (shared.stopping.subscribe(), shared.cuts.subscribe());
        tokio::select! {
            () = relay(&shared.trusting, handshake, &url) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = cuts.changed() => {}
        }
    });
    Ok(response)
}

async fn relay(http: &reqwest::Client, handshake: Handshake, url: &str) {
    let protocol = handshake.protocol();
    let Some(mut client) = handshake.connection().await else { return };
    match dial(http, url, protocol).await {
        Ok(mut node) => {
            // However it ends, both ends are closed with it.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut node).await;
        }
        Err(problem) => {
            let status: Value = Failure::internal(format!("Internal error occurred: {problem}")).status();
            let mut socket = websocket::serve(client).await;
            let _ = socket.send(websocket::message(ERROR, status.to_string().as_bytes())).await;
            let _ = socket.send(websocket::end()).await;
        }
    }
}

/// Opens a WebSocket with a node, as a client of it.
async fn dial(http: &reqwest::Client, url: &str, protocol: &str) -> Result<reqwest::Upgraded, String> {
    let request = http
        .get(url)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Protocol", protocol);
    let answer = request.send().await.map_err(|error| format!("error dialing backend: {error}"))?;
    if answer.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
        return Err(format!("unable to upgrade connection: {}", answer.text().await.unwrap_or_default().trim()));
    }
    answer.upgrade().await.map_err(|error| format!("error dialing backend: {error}"))
}
