//! An API server that gives prepared answers and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// A running server. Its thread ends with the test's process.
pub(crate) struct FakeApi {
    pub(crate) server: String,
    pub(crate) kubeconfig: PathBuf,
    log: Arc<Mutex<Log>>,
    _directory: tempfile::TempDir,
}

#[derive(Default)]
struct Log {
    asked: Vec<String>,
    bodies: Vec<Value>,
    headers: Vec<String>,
}

impl FakeApi {
    /// Serves `answer(method, path)`: a code and a body.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> (u16, Value) + Send + 'static) -> Self {
        Self::listen(None, answer)
    }

    /// As [`FakeApi::start`], over TLS.
    pub(crate) fn start_tls(tls: ServerConfig, answer: impl Fn(&str, &str) -> (u16, Value) + Send + 'static) -> Self {
        Self::listen(Some(Arc::new(tls)), answer)
    }

    fn listen(tls: Option<Arc<ServerConfig>>, answer: impl Fn(&str, &str) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = format!("{scheme}://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Log::default()));
        let written = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                match &tls {
                    None => serve(stream, &answer, &written),
                    Some(tls) => {
                        let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        serve(StreamOwned::new(connection, stream), &answer, &written);
                    }
                }
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_for(&server)).unwrap();
        Self { server, kubeconfig, log, _directory: directory }
    }

    /// `METHOD path` of every request so far; ` (dry run)` follows where it was one.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.log.lock().unwrap().asked.clone()
    }

    /// The bodies of the patches so far.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.log.lock().unwrap().bodies.clone()
    }

    /// The headers of every request so far, names in lower case.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.log.lock().unwrap().headers.clone()
    }
}

/// A kubeconfig with one context, `here`, in namespace `models`.
pub(crate) fn kubeconfig_for(server: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
    })
    .to_string()
}

/// A list of objects as the API server gives it.
pub(crate) fn list(items: &[Value]) -> (u16, Value) {
    (200, json!({"metadata": {"resourceVersion": "1"}, "items": items}))
}

/// A refusal as the API server gives it.
pub(crate) fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn serve(stream: impl Read + Write, answer: &impl Fn(&str, &str) -> (u16, Value), log: &Mutex<Log>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let (mut length, mut headers) = (0, Vec::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        let (name, value) = (name.to_lowercase(), value.trim());
        if name == "content-length" {
            length = value.parse().unwrap();
        }
        headers.push(format!("{name}: {value}"));
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent).unwrap();
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let dry_run = if target.contains("dryRun=All") { " (dry run)" } else { "" };
    let mut seen = log.lock().unwrap();
    seen.asked.push(format!("{method} {path}{dry_run}"));
    if method == "PATCH" {
        seen.bodies.extend(serde_json::from_slice::<Value>(&sent));
    }
    seen.headers.append(&mut headers);
    drop(seen);
    let (code, body) = answer(method, path);
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // The client may have given up in between.
    let _ = reader.into_inner().write_all((head + &body).as_bytes());
}
