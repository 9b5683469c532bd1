//! Forwards the ports of a pod over SPDY: two streams for each connection, one for its data and one for what went wrong.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};

use crate::machinery::spdy::{self, Stream};

/// The protocol on the streams.
pub(super) const PROTOCOLS: &[&str] = &["portforward.k8s.io"];

/// How much is read from a pod at once.
const CHUNK: usize = 32 * 1024;

/// Streams that wait to be taken.
const QUEUE: usize = 16;

/// Connects a client to the ports of the pod at `ip`, until it leaves.
pub(super) async fn serve(connection: TokioIo<Upgraded>, pod: String, ip: Ipv4Addr) {
    let (sender, mut opened) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(spdy::serve(connection, sender));
    // The first stream of each pair, until the other one comes.
    let mut waiting: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = opened.recv().await {
        let request = stream.headers.get("requestid").cloned().unwrap_or_default();
        let Some(other) = waiting.remove(&request) else {
            waiting.insert(request, stream);
            continue;
        };
        let is_data = |stream: &Stream| stream.headers.get("streamtype").is_some_and(|kind| kind == "data");
        let (data, error) = if is_data(&stream) { (stream, other) } else { (other, stream) };
        let port = data.headers.get("port").and_then(|port| port.parse::<u16>().ok()).unwrap_or_default();
        tasks.spawn(forward(data, error, pod.clone(), ip, port));
    }
}

async fn forward(data: Stream, error: Stream, pod: String, ip: Ipv4Addr, port: u16) {
    let Stream { writer, mut reader, .. } = data;
    match TcpStream::connect((ip, port)).await {
        Ok(stream) => {
            let (mut from_pod, mut to_pod) = stream.into_split();
            let sending = async {
                while let Some(bytes) = reader.recv().await {
                    if to_pod.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                let _ = to_pod.shutdown().await;
            };
            let receiving = async {
                let mut buffer = vec![0; CHUNK];
                while let Ok(read @ 1..) = from_pod.read(&mut buffer).await {
                    if writer.send(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            };
            // The pod has the last word: a client that has said all may still wait for an answer.
            tokio::select! {
                () = receiving => {}
                () = async { sending.await; std::future::pending().await } => {}
            }
        }
        Err(problem) => {
            let text =
                format!("error forwarding port {port} to pod {pod}, uid : failed to connect to {ip}:{port}: {problem}");
            let _ = error.writer.send(text.as_bytes()).await;
        }
    }
    let _ = writer.end().await;
    let _ = error.writer.end().await;
}
