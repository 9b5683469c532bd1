//! SPDY between a client and a node: the server agrees with the node on a protocol and carries bytes from then on, out of a
//! tunnel in a WebSocket when the client made one.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use reqwest::Upgraded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::failure::Failure;
use super::http::Incoming;
use super::state::Shared;
use crate::machinery::spdy::{self, VERSION};
use crate::machinery::websocket::{Handshake, Socket};

/// How much of a node's bytes goes into one message.
const CHUNK: usize = 32 * 1024;

/// Whether a request asks for SPDY.
pub(super) fn is_asked(incoming: &Incoming) -> bool {
    spdy::Handshake::is_asked(&incoming.headers)
}

/// Passes an upgrade on to a node, in one of the protocols that the client offers.
pub(super) async fn pass(shared: &Arc<Shared>, incoming: Incoming, url: &str) -> Result<Response, Failure> {
    let offered: Vec<&str> = incoming.headers.get_all(VERSION).iter().filter_map(|value| value.to_str().ok()).collect();
    if offered.is_empty() {
        return Err(Failure::bad_request(format!("unable to upgrade: {VERSION} is required")));
    }
    let (mut node, protocol) = dial(&shared.trusting, url, &offered.join(", ")).await?;
    let Some(upgrade) = incoming.upgrade else { return Err(Failure::bad_request("Upgrade request required")) };
    let response = spdy::switching(&protocol);
    carry(shared, async move {
        if let Ok(client) = upgrade.await {
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut node).await;
        }
    });
    Ok(response)
}

/// Carries the SPDY that comes out of a client's WebSocket to a node.
pub(super) async fn tunnel(
    shared: &Arc<Shared>,
    handshake: Handshake,
    protocol: &str,
    url: &str,
) -> Result<Response, Failure> {
    let (node, _) = dial(&shared.trusting, url, protocol).await?;
    let response = handshake.response();
    carry(shared, async move {
        if let Some(socket) = handshake.socket().await {
            relay(socket, node).await;
        }
    });
    Ok(response)
}

/// Lets a conversation go on until it is over, or the server cuts its connections.
fn carry(shared: &Arc<Shared>, talk: impl Future<Output = ()> + Send + 'static) {
    let (mut stopping, mut cuts) = (shared.stopping.subscribe(), shared.cuts.subscribe());
    tokio::spawn(async move {
        tokio::select! {
            () = talk => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = cuts.changed() => {}
        }
    });
}

async fn relay(socket: Socket, node: Upgraded) {
    let (mut from_node, mut to_node) = tokio::io::split(node);
    let (mut to_client, mut from_client) = socket.split();
    let sending = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) if to_node.write_all(&bytes).await.is_err() => return,
                Message::Close(_) => return,
                _ => {}
            }
        }
    };
    let receiving = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = from_node.read(&mut buffer).await {
            if to_client.send(Message::binary(buffer[..read].to_vec())).await.is_err() {
                return;
            }
        }
        let _ = to_client.send(crate::machinery::websocket::end()).await;
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
    }
}

/// Upgrades a connection with a node; returns it and the protocol that the node chose.
async fn dial(http: &reqwest::Client, url: &str, offered: &str) -> Result<(Upgraded, HeaderValue), Failure> {
    let request = http
        .post(url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "SPDY/3.1")
        .header(VERSION, offered);
    let failed = |error: reqwest::Error| Failure::unclassified(format!("error dialing backend: {error}"));
    let answer = request.send().await.map_err(failed)?;
    if answer.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
        let code = answer.status().as_u16();
        let said = answer.text().await.unwrap_or_default();
        // In the node's own words, as clients expect them.
        let mut refused = Failure::new(code, "", said.trim());
        refused.plain = true;
        return Err(refused);
    }
    let chosen = answer.headers().get(VERSION).cloned().unwrap_or(HeaderValue::from_static(""));
    Ok((answer.upgrade().await.map_err(failed)?, chosen))
}
