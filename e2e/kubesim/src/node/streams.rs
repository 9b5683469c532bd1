//! A client's end of `exec` and `attach`: its channels, joined to a process.

use std::{future::Future, sync::Arc};

use axum::extract::Query;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::{client::Client, log_file::Stream, runs::Stdin, terminal::Terminal};
use crate::machinery::remote_command::{CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT};

/// What a client asks for, as `PodExecOptions` and `PodAttachOptions` name it, or the kubelet's own API, which the real API
/// server speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the query")]
pub(super) struct Wanted {
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Wanted {
    /// Reads a query.
    pub(super) fn read(Query(pairs): Query<Vec<(String, String)>>) -> Result<Self, &'static str> {
        let mut wanted = Self::default();
        for (name, value) in pairs {
            let flag = matches!(value.as_str(), "true" | "1");
            match name.as_str() {
                "command" => wanted.command.push(value),
                "stdin" | "input" => wanted.stdin = flag,
                "stdout" | "output" => wanted.stdout = flag,
                "stderr" | "error" => wanted.stderr = flag,
                "tty" => wanted.tty = flag,
                _ => {}
            }
        }
        if wanted.tty {
            // A terminal has one output.
            wanted.stderr = false;
        }
        if wanted.stdin || wanted.stdout || wanted.stderr {
            Ok(wanted)
        } else {
            Err("you must specify at least 1 of stdin, stdout, stderr")
        }
    }
}

/// The process's side of a client's channels.
pub(super) struct Ends {
    /// Where input goes, when the client asked to send some.
    pub(super) stdin: Option<Stdin>,
    /// Whether the process's input ends with the client's.
    pub(super) closes_stdin: bool,
    /// What the process prints; nothing follows once it is closed.
    pub(super) output: mpsc::Receiver<(Stream, Bytes)>,
    pub(super) terminal: Option<Arc<Terminal>>,
}

/// Carries everything until the client leaves, or `outcome` is there and all output was sent.
pub(super) async fn serve(client: Client, wanted: &Wanted, mut ends: Ends, outcome: impl Future<Output = Value>) {
    let Client { outgoing, mut incoming, carrier } = client;
    let writing = async {
        // An empty message on the first channel that is written to says that the process has been reached.
        let first = match wanted {
            Wanted { stdout: true, .. } => STDOUT,
            Wanted { stderr: true, .. } => STDERR,
            _ => ERROR,
        };
        let sending = async {
            outgoing.send((first, Bytes::new())).await.ok()?;
            while let Some((stream, bytes)) = ends.output.recv().await {
                let (channel, asked) = match stream {
                    Stream::Stdout => (STDOUT, wanted.stdout),
                    Stream::Stderr => (STDERR, wanted.stderr),
                };
                if asked {
                    outgoing.send((channel, bytes)).await.ok()?;
                }
            }
            Some(outgoing)
        };
        let (sent, status) = tokio::join!(sending, outcome);
        let outgoing = sent?;
        outgoing.send((ERROR, Bytes::from(status.to_string()))).await.ok()?;
        drop(outgoing);
        carrier.await.ok()
    };
    let (stdin, closes_stdin, terminal) = (ends.stdin, ends.closes_stdin, ends.terminal);
    let reading = async {
        while let Some((channel, bytes)) = incoming.recv().await {
            match channel {
                STDIN => write(stdin.as_ref(), &bytes).await,
                CLOSE if bytes.first() == Some(&STDIN) && closes_stdin => close(stdin.as_ref()).await,
                RESIZE => resize(terminal.as_deref(), &bytes),
                _ => {}
            }
        }
    };
    tokio::select! {
        _ = writing => {}
        () = reading => {}
    }
}

/// What the process no longer reads is dropped.
async fn write(stdin: Option<&Stdin>, bytes: &[u8]) {
    let Some(stdin) = stdin else { return };
    let mut stdin = stdin.lock().await;
    if let Some(open) = stdin.as_mut()
        && (open.write_all(bytes).await.is_err() || open.flush().await.is_err())
    {
        *stdin = None;
    }
}

async fn close(stdin: Option<&Stdin>) {
    if let Some(stdin) = stdin {
        *stdin.lock().await = None;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

fn resize(terminal: Option<&Terminal>, size: &[u8]) {
    if let (Some(terminal), Ok(Size { width, height })) = (terminal, serde_json::from_slice(size)) {
        terminal.resize(width, height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Wanted, &'static str> {
        Wanted::read(Query(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()))
    }

    #[test]
    fn a_terminal_has_one_output() {
        let wanted =
            read(&[("command", "sh"), ("command", "-i"), ("stdout", "true"), ("stderr", "true"), ("tty", "1")]);
        let wanted = wanted.unwrap();
        assert_eq!(wanted.command, ["sh", "-i"]);
        assert!(wanted.stdout && wanted.tty && !wanted.stderr && !wanted.stdin);
    }

    #[test]
    fn streams_have_other_names_in_the_kubelets_api() {
        let names = |stdin, stdout, stderr| read(&[("command", "sh"), (stdin, "1"), (stdout, "1"), (stderr, "1")]);
        assert_eq!(names("input", "output", "error"), names("stdin", "stdout", "stderr"));
    }

    #[test]
    fn a_client_that_wants_no_stream_is_refused() {
        assert!(read(&[("command", "sh")]).is_err());
    }
}
