//! The `portforward` subresource over a WebSocket, as client libraries speak it (`v4.channel.k8s.io`).
//!
//! Each forwarded port has two channels, told apart by the first byte of a message: data and errors. The first message
//! on each is the port's number. There is no way to close one channel; the socket closes when all of them have ended.
//! `kubectl port-forward` speaks SPDY instead, in a WebSocket or bare, which goes to the pod's node.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::failure::Failure;
use super::http::Incoming;
use super::spdy;
use super::state::{Call, Shared};
use crate::machinery::websocket::{Handshake, Socket, channel, end, message};

const PROTOCOLS: &[&str] = &["v4.channel.k8s.io"];

/// A WebSocket in which SPDY is tunnelled.
const TUNNELS: &[&str] = &["SPDY/3.1+portforward.k8s.io"];

/// What is spoken in a tunnel.
const TUNNELLED: &str = "portforward.k8s.io";

/// How much is read from a pod at once.
const CHUNK: usize = 32 * 1024;

/// Messages on their way to a client; a full queue stops reading from the pods.
const QUEUE: usize = 16;

/// Answers `101 Switching Protocols` and forwards from then on.
pub(super) async fn start(shared: &Arc<Shared>, mut incoming: Incoming, call: &Call) -> Result<Response, Failure> {
    let tunnelled = Handshake::is_offered(&incoming.headers, TUNNELS);
    if tunnelled || spdy::is_asked(&incoming) {
        let url = running(shared, call)?;
        if !tunnelled {
            return spdy::pass(shared, incoming, &url).await;
        }
        let handshake = Handshake::of(&incoming.headers, incoming.upgrade.take(), TUNNELS);
        let handshake = handshake.ok_or_else(|| Failure::bad_request("Upgrade request required"))?;
        return spdy::tunnel(shared, handshake, TUNNELLED, &url).await;
    }
    let Some(handshake) = Handshake::of(&incoming.headers, incoming.upgrade, PROTOCOLS) else {
        let message = format!("port-forward is served in SPDY/3.1 and on WebSockets of protocol {}", PROTOCOLS[0]);
        return Err(Failure::bad_request(message));
    };
    let ports = ports(call.query.get("ports").unwrap_or_default())?;
    let pod = shared.lock().read(call)?;
    let ip = pod["status"]["podIP"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
    let Some(ip) = ip.filter(|_| pod["status"]["phase"] == "Running") else { return Err(not_running(&pod)) };
    let mut stopping = shared.stopping.subscribe();
    let mut cuts = shared.cuts.subscribe();
    let response = handshake.response();
    tokio::spawn(async move {
        tokio::select! {
            () = forward(handshake, ip, ports) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = cuts.changed() => {}
        }
    });
    Ok(response)
}

/// Where the node of a running pod forwards its ports.
fn running(shared: &Arc<Shared>, call: &Call) -> Result<String, Failure> {
    let state = shared.lock();
    let pod = state.read(call)?;
    match state.port_forward_url(call)? {
        Some(url) if pod["status"]["phase"] == "Running" => Ok(url),
        _ => Err(not_running(&pod)),
    }
}

fn not_running(pod: &Value) -> Failure {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Unknown");
    Failure::internal(format!("unable to forward port because pod is not running. Current status={phase}"))
}

/// Reads `80,1234`. Two channels a port, numbered in one byte, make 128 ports at most.
fn ports(text: &str) -> Result<Vec<u16>, Failure> {
    let ports: Result<Vec<u16>, _> = text.split(',').map(str::parse).collect();
    match ports {
        Ok(ports) if ports.len() <= 128 && !ports.contains(&0) => Ok(ports),
        _ => Err(Failure::bad_request(format!("query parameter \"ports\" must name 1 to 128 ports, got {text:?}"))),
    }
}

async fn forward(handshake: Handshake, ip: IpAddr, ports: Vec<u16>) {
    if let Some(socket) = handshake.socket().await {
        relay(socket, ip, ports).await;
    }
}

/// Carries bytes both ways until the client leaves or all pods' ends have closed.
async fn relay(socket: Socket, ip: IpAddr, ports: Vec<u16>) {
    let (mut to_client, mut from_client) = socket.split();
    let (outbox, mut queued) = mpsc::channel::<Message>(QUEUE);
    let mut to_pods: Vec<Option<OwnedWriteHalf>> = Vec::new();
    // The readers end with this function, whichever way it ends.
    let mut readers = JoinSet::new();
    for (index, port) in (0_u8..).step_by(2).zip(ports) {
        for channel in [index, index + 1] {
            let _ = outbox.send(message(channel, &port.to_le_bytes())).await;
        }
        let connected = TcpStream::connect(SocketAddr::new(ip, port)).await;
        to_pods.push(match connected {
            Ok(stream) => {
                let (read, write) = stream.into_split();
                readers.spawn(read_from_pod(index, read, outbox.clone()));
                Some(write)
            }
            Err(error) => {
                let text = format!("an error occurred forwarding {port}: connecting to the pod's port: {error}");
                let _ = outbox.send(message(index + 1, text.as_bytes())).await;
                None
            }
        });
    }
    // Only the readers hold the queue open now.
    drop(outbox);
    loop {
        tokio::select! {
            sent = queued.recv() => {
                let over = sent.is_none();
                let sent = to_client.send(sent.unwrap_or(end())).await;
                if over || sent.is_err() {
                    return;
                }
            }
            received = from_client.next() => match received {
                Some(Ok(Message::Binary(bytes))) => write_to_pod(bytes, &mut to_pods).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

async fn read_from_pod(channel: u8, mut stream: OwnedReadHalf, outbox: mpsc::Sender<Message>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if outbox.send(message(channel, &buffer[..read])).await.is_err() {
            return;
        }
    }
}

/// What a pod no longer takes is dropped: its end is reported by the reader.
async fn write_to_pod(bytes: Bytes, to_pods: &mut [Option<OwnedWriteHalf>]) {
    let Some((channel, bytes)) = channel(bytes) else { return };
    let channel = usize::from(channel);
    let Some(place) = to_pods.get_mut(channel / 2).filter(|_| channel.is_multiple_of(2)) else { return };
    if let Some(stream) = place
        && stream.write_all(&bytes).await.is_err()
    {
        *place = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_between_commas() {
        assert_eq!(ports("80,1234").ok(), Some(vec![80, 1234]));
        for refused in ["", "http", "0", "70000"] {
            assert!(ports(refused).is_err(), "{refused}");
        }
    }
}
