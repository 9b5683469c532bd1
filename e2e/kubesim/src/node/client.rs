//! The channels of a client of `exec` and `attach`, whatever carries them: a WebSocket, or a stream of SPDY for each.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

use super::streams::Wanted;
use crate::machinery::{
    remote_command::{CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT},
    spdy::{self, Stream},
    websocket::{Socket, channel, end, message},
};

/// Messages that wait to be carried.
const QUEUE: usize = 16;

/// How long a client has to open its streams.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client sends and receives, by number of the channel.
pub(super) struct Client {
    /// When it is dropped, the conversation ends as it should.
    pub(super) outgoing: mpsc::Sender<(u8, Bytes)>,
    /// Ends when the client leaves.
    pub(super) incoming: mpsc::Receiver<(u8, Bytes)>,
    /// Ends when all is sent, or the client has left.
    pub(super) carrier: JoinHandle<()>,
}

impl Client {
    pub(super) fn over_websocket(socket: Socket) -> Self {
        let (outgoing, mut queued) = mpsc::channel::<(u8, Bytes)>(QUEUE);
        let (inbox, incoming) = mpsc::channel(QUEUE);
        let carrier = tokio::spawn(async move {
            let (mut to_client, mut from_client) = socket.split();
            let sending = async {
                while let Some((channel, bytes)) = queued.recv().await {
                    to_client.send(message(channel, &bytes)).await?;
                }
                to_client.send(end()).await
            };
            let receiving = async {
                while let Some(Ok(received)) = from_client.next().await {
                    let Message::Binary(bytes) = received else { continue };
                    if let Some(received) = channel(bytes) {
                        let _ = inbox.send(received).await;
                    }
                }
            };
            tokio::select! {
                _ = sending => {}
                () = receiving => {}
            }
        });
        Self { outgoing, incoming, carrier }
    }

    /// `None` for a client that does not open the streams that go with what it wants.
    pub(super) async fn over_spdy(connection: TokioIo<Upgraded>, wanted: &Wanted) -> Option<Self> {
        let (sender, mut opened) = mpsc::channel(QUEUE);
        let served = tokio::spawn(spdy::serve(connection, sender));
        let names = [
            (ERROR, "error", true),
            (STDIN, "stdin", wanted.stdin),
            (STDOUT, "stdout", wanted.stdout),
            (STDERR, "stderr", wanted.stderr),
            (RESIZE, "resize", wanted.tty),
        ];
        let expected = names.iter().filter(|(.., expected)| *expected).count();
        let open = async {
            let mut streams: HashMap<u8, Stream> = HashMap::new();
            while streams.len() < expected {
                let stream = opened.recv().await?;
                let kind = stream.headers.get("streamtype").map(String::as_str);
                if let Some((channel, ..)) = names.iter().find(|(_, name, _)| Some(*name) == kind) {
                    streams.insert(*channel, stream);
                }
            }
            Some(streams)
        };
        let streams = tokio::time::timeout(PATIENCE, open).await.ok().flatten()?;
        let (outgoing, queued) = mpsc::channel(QUEUE);
        let (inbox, incoming) = mpsc::channel(QUEUE);
        let carrier = tokio::spawn(carry(streams, served, queued, inbox));
        Some(Self { outgoing, incoming, carrier })
    }
}

async fn carry(
    streams: HashMap<u8, Stream>,
    mut served: JoinHandle<()>,
    mut queued: mpsc::Receiver<(u8, Bytes)>,
    inbox: mpsc::Sender<(u8, Bytes)>,
) {
    let (mut writers, mut readers) = (HashMap::new(), Vec::new());
    for (channel, Stream { writer, reader, .. }) in streams {
        writers.insert(channel, writer);
        readers.push(receive(channel, reader, inbox.clone()));
    }
    // The writers go when all is sent, and with the last of them the connection.
    let sending = async move {
        while let Some((channel, bytes)) = queued.recv().await {
            if let Some(writer) = writers.get(&channel) {
                writer.send(&bytes).await?;
            }
        }
        for writer in writers.values() {
            writer.end().await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let receiving = async {
        futures::future::join_all(readers).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = sending => {}
        () = receiving => {}
        // The client left.
        _ = &mut served => return,
    }
    // What is queued is still sent.
    let _ = served.await;
}

async fn receive(channel: u8, mut reader: mpsc::Receiver<Bytes>, inbox: mpsc::Sender<(u8, Bytes)>) {
    while let Some(bytes) = reader.recv().await {
        let _ = inbox.send((channel, bytes)).await;
    }
    let _ = inbox.send((CLOSE, Bytes::copy_from_slice(&[channel]))).await;
}
