//! A process of the controller and an API server for it, as far as configuration needs one.

#![allow(dead_code, reason = "each test binary needs a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Looks until it holds; after that long the test fails with those words.
#[track_caller]
pub(crate) fn eventually(limit: Duration, what: impl Fn() -> String, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", what());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Longest a test waits for a line of the log.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An API server with ConfigMaps, and pods that can be listed. Of everything else there is nothing, and events are taken.
#[derive(Clone)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<Stored>>,
    changes: broadcast::Sender<(&'static str, Value)>,
    directory: Arc<tempfile::TempDir>,
}

#[derive(Default)]
struct Stored {
    version: u64,
    config_maps: BTreeMap<(String, String), Value>,
    pods: Vec<Value>,
    events: Vec<Value>,
    /// The one Lease.
    lease: Option<Value>,
    requests: Vec<String>,
    /// Bodies of requests.
    bodies: Vec<String>,
    /// How many of the next requests fail.
    failing: usize,
}

impl FakeApi {
    /// Starts one, with a kubeconfig that leads to it.
    pub(crate) fn start() -> Self {
        let api = Self {
            state: Arc::default(),
            changes: broadcast::channel(64).0,
            directory: Arc::new(tempfile::tempdir().unwrap()),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}]
        });
        std::fs::write(api.directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        let router = Router::new().fallback(answer).with_state(api.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
            });
        });
        api
    }

    /// Creates or changes a ConfigMap.
    pub(crate) fn put(&self, namespace: &str, name: &str, data: &[(&str, &str)]) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{name}"), "resourceVersion": state.version.to_string()}
        });
        let key = (namespace.to_owned(), name.to_owned());
        let change = if state.config_maps.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        let _nobody_watches = self.changes.send((change, object)).is_err();
    }

    /// Adds a running pod at an address of this machine, for whoever lists pods.
    pub(crate) fn pod(&self, name: &str, ip: &str) {
        self.state.lock().unwrap().pods.push(json!({
            "metadata": {"namespace": "wva-system", "name": name},
            "spec": {"containers": []}, "status": {"phase": "Running", "podIP": ip}
        }));
    }

    /// The kubeconfig that leads to it.
    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Makes the next requests fail.
    pub(crate) fn fail(&self, times: usize) {
        self.state.lock().unwrap().failing = times;
    }

    /// Messages of the events on an object, by reason.
    pub(crate) fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let on = |event: &&Value| event["regarding"]["name"] == name && event["reason"] == reason;
        state.events.iter().filter(on).map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Who holds the Lease; empty for nobody.
    pub(crate) fn holder(&self) -> String {
        let state = self.state.lock().unwrap();
        let lease = state.lease.as_ref();
        lease.map_or_else(String::new, |lease| lease["spec"]["holderIdentity"].as_str().unwrap().to_owned())
    }

    /// Requests so far, as method and address.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Everything that was sent to it: methods, addresses and bodies.
    pub(crate) fn sent(&self) -> String {
        let state = self.state.lock().unwrap();
        [state.requests.join("\n"), state.bodies.join("\n")].join("\n")
    }

    /// The controller as a pod of this cluster would start it.
    pub(crate) fn controller(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Controller {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wva-controller"));
        if !arguments.iter().any(|argument| argument.starts_with("--health-probe-bind-address")) {
            command.arg("--health-probe-bind-address=127.0.0.1:0");
        }
        command.args(arguments).env_clear();
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("POD_NAMESPACE", "wva-system")
            .envs(environment.iter().copied());
        Controller::start(command)
    }
}

async fn answer(State(api): State<FakeApi>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let path = uri.path().to_owned();
    let query: BTreeMap<String, String> = reqwest::Url::parse(&format!("http://api{uri}"))
        .unwrap()
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let mut state = api.state.lock().unwrap();
    state.requests.push(format!("{method} {uri}"));
    state.bodies.push(String::from_utf8_lossy(&body).into_owned());
    if state.failing > 0 {
        state.failing -= 1;
        return (StatusCode::INTERNAL_SERVER_ERROR, "starting up").into_response();
    }
    if method == Method::POST && path.ends_with("/events") {
        let event: Value = serde_json::from_slice(&body).unwrap();
        state.events.push(event.clone());
        return (StatusCode::CREATED, Json(event)).into_response();
    }
    if path.contains("/leases") && !query.contains_key("fieldSelector") {
        return lease(&mut state, &method, &body);
    }
    if method != Method::GET {
        return not_found();
    }
    let parts: Vec<&str> = path.split('/').collect();
    let namespace = parts.iter().position(|part| *part == "namespaces").and_then(|at| parts.get(at + 1));
    if let ["configmaps", name] = parts[parts.len() - 2..] {
        let key = (namespace.map_or_else(String::new, ToString::to_string), name.to_owned());
        return state.config_maps.get(&key).map_or_else(not_found, |object| Json(object.clone()).into_response());
    }
    let wanted = query.get("fieldSelector").and_then(|text| text.strip_prefix("metadata.name=")).map(str::to_owned);
    let namespace = namespace.map(ToString::to_string);
    let of_config_maps = parts.last() == Some(&"configmaps");
    let selected = move |object: &Value| {
        of_config_maps
            && wanted.as_ref().is_none_or(|name| object["metadata"]["name"] == **name)
            && namespace.as_ref().is_none_or(|ns| object["metadata"]["namespace"] == **ns)
    };
    if query.contains_key("watch") {
        // What was stored before the watch began was listed, or comes first.
        let since: u64 = query.get("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        let newer =
            |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > since;
        let missed: Vec<_> = state.config_maps.values().filter(|o| newer(o)).map(|o| ("MODIFIED", o.clone())).collect();
        let coming = tokio_stream(api.changes.subscribe());
        let lines = futures::stream::iter(missed).chain(coming).filter_map(move |(change, object)| {
            let line = selected(&object).then(|| format!("{}\n", json!({"type": change, "object": object})));
            async move { line.map(Ok::<_, std::convert::Infallible>) }
        });
        return Body::from_stream(lines).into_response();
    }
    let mut items: Vec<_> = state.config_maps.values().filter(|object| selected(object)).cloned().collect();
    if parts.last() == Some(&"pods") {
        items.clone_from(&state.pods);
    }
    let version = state.version.to_string();
    Json(json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items}))
        .into_response()
}

/// Stores the Lease, unless it is written over another version than the stored one.
fn lease(state: &mut Stored, method: &Method, body: &[u8]) -> Response {
    if method == Method::GET {
        return state.lease.clone().map_or_else(not_found, |lease| Json(lease).into_response());
    }
    let mut sent: Value = serde_json::from_slice(body).unwrap();
    let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
    if state.lease.as_ref().map_or(Value::Null, version) != version(&sent) {
        let status =
            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict"});
        return (StatusCode::CONFLICT, Json(status)).into_response();
    }
    state.version += 1;
    sent["metadata"]["resourceVersion"] = json!(state.version.to_string());
    state.lease = Some(sent.clone());
    Json(sent).into_response()
}

fn tokio_stream(
    receiver: broadcast::Receiver<(&'static str, Value)>,
) -> impl futures::Stream<Item = (&'static str, Value)> {
    futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await.ok()?, receiver)))
}

fn not_found() -> Response {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

/// A running controller, ended with the test.
pub(crate) struct Controller {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Controller {
    /// Starts the command and reads its log.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = std::io::BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds all of these.
    pub(crate) fn says(&mut self, parts: &[&str]) -> String {
        let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.seen.iter().find(has_all) {
                return line.clone();
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("{parts:?} is not said; log:\n{}", self.seen.join("\n")),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {parts:?}; log:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Everything it has said so far.
    pub(crate) fn log(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        self.seen.join("\n")
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                self.seen.extend(self.lines.iter());
                return status;
            }
            assert!(Instant::now() < deadline, "it is still running; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.ends()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ended_before = self.process.kill().is_err();
        let _ended_before = self.process.wait().is_err();
    }
}
