//! SPDY/3.1 as a server speaks it, as far as Kubernetes uses it: streams with headers, both ways, over one connection that
//! was upgraded from HTTP.
//!
//! Like moby/spdystream, which Kubernetes uses on both ends, this knows no flow control: windows are neither counted nor
//! updated.

mod frame;
mod handshake;
mod headers;

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

pub(crate) use self::handshake::{Handshake, VERSION, switching};
use self::headers::{Deflater, Inflater};

/// Frames on their way to the client, and data of a stream on its way to whoever reads it.
const QUEUE: usize = 16;

/// As much as one frame carries; its length has 24 bits.
const CHUNK: usize = 32 * 1024;

/// A stream that the client opened.
pub(crate) struct Stream {
    /// Its headers, by name in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) writer: Writer,
    /// What the client sends; it ends when the client has closed its side.
    pub(crate) reader: mpsc::Receiver<Bytes>,
}

/// The side of a stream that the client reads.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    id: u32,
    frames: mpsc::Sender<Vec<u8>>,
}

impl Writer {
    /// Sends bytes; an error says that the connection is over.
    pub(crate) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(CHUNK) {
            self.queue(frame::data(self.id, false, chunk)).await?;
        }
        Ok(())
    }

    /// Says that nothing follows.
    pub(crate) async fn end(&self) -> io::Result<()> {
        self.queue(frame::data(self.id, true, &[])).await
    }

    async fn queue(&self, frame: Vec<u8>) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Serves a connection until the client closes it, or until nobody wants its streams any more and all that was to be sent
/// has been sent.
pub(crate) async fn serve<Io: AsyncRead + AsyncWrite>(connection: Io, streams: mpsc::Sender<Stream>) {
    let (mut reading, mut writing) = tokio::io::split(connection);
    let (frames, mut queued) = mpsc::channel::<Vec<u8>>(QUEUE);
    let weak = frames.downgrade();
    let wanted = streams.clone();
    // Once nobody takes streams any more, only their writers keep the connection open.
    let keep = async move {
        wanted.closed().await;
        drop(frames);
    };
    let write = async {
        while let Some(frame) = queued.recv().await {
            if writing.write_all(&frame).await.is_err() || writing.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        // The client left: what is still queued is for nobody.
        ended = read(&mut reading, weak, streams) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "SPDY connection ended");
            }
        }
        _ = async { tokio::join!(keep, write) } => {}
    }
    let _ = writing.shutdown().await;
}

async fn read(
    reading: &mut (impl AsyncRead + Unpin),
    frames: mpsc::WeakSender<Vec<u8>>,
    streams: mpsc::Sender<Stream>,
) -> io::Result<()> {
    let (mut inflater, mut deflater) = (Inflater::new(), Deflater::new());
    let mut open: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    loop {
        let header = frame::Header::read(reading).await?;
        let mut payload = vec![0; header.length];
        reading.read_exact(&mut payload).await?;
        match header.kind {
            frame::Kind::Data(id) => {
                if let Some(reader) = open.get(&id)
                    && !payload.is_empty()
                {
                    // What nobody reads is dropped.
                    let _ = reader.send(Bytes::from(payload)).await;
                }
                if header.is_last() {
                    open.remove(&id);
                }
            }
            frame::Kind::SynStream => {
                let id = frame::stream_id(&payload)?;
                // After the ids of the stream and of the one it belongs to come its priority and its slot.
                let headers = inflater.read(payload.get(10..).unwrap_or_default())?;
                let Some(frames) = frames.upgrade() else { continue };
                let (sender, reader) = mpsc::channel(QUEUE);
                if !header.is_last() {
                    open.insert(id, sender);
                }
                let reply = frame::syn_reply(id, &deflater.write(&[])?);
                let writer = Writer { id, frames };
                if writer.queue(reply).await.is_ok() {
                    // Or nobody wants streams any more.
                    let _ = streams.send(Stream { headers, writer, reader }).await;
                }
            }
            frame::Kind::Reset => {
                open.remove(&frame::stream_id(&payload)?);
            }
            frame::Kind::Ping => {
                if let Some(frames) = frames.upgrade() {
                    let _ = frames.send(frame::ping(&payload)).await;
                }
            }
            frame::Kind::GoAway => return Ok(()),
            frame::Kind::Headers => {
                // They change the state of the decompressor, whatever they say.
                inflater.read(payload.get(4..).unwrap_or_default())?;
            }
            frame::Kind::Other => {}
        }
    }
}
