//! Secrets stay at home: planted in every key that may hold one, in every way a key can be given, and looked for in
//! everything that comes out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use support::{Controller, FakeApi, PATIENCE, eventually};
use wva_controller::config::keys::{KEYS, Mask};

const MAIN: &str = "wva-variantautoscaling-config";
/// Part of every secret; nothing else holds it.
const PLANTED: &str = "s3cr3t";
/// What HTTP makes of `scaler:s3cr3t-password`.
const BASIC: &str = "c2NhbGVyOnMzY3IzdC1wYXNzd29yZA";

/// A Prometheus that takes nobody in, and repeats everything it was sent, as some proxies do.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut sent = vec![0; 1 << 16];
            let length = connection.read(&mut sent).unwrap_or(0);
            let body = &sent[..length];
            let head = format!("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            let _gone = connection.write_all(&[head.as_bytes(), body].concat()).is_err();
        }
    });
    address
}

/// A value with secrets for every key that may hold one; `nth` tells two versions apart.
fn planted(prometheus: SocketAddr, nth: u32) -> Vec<(&'static str, String)> {
    let value = |key: &wva_controller::config::keys::Key| match key.mask {
        Mask::Nothing => None,
        Mask::Whole => Some(format!("{PLANTED}-token-{nth}")),
        Mask::Address => Some(format!("http://scaler:{PLANTED}-password@{prometheus}/p{nth}?token={PLANTED}-query")),
        Mask::Headers => Some(format!("X-Scope-OrgID={PLANTED}-tenant-{nth},X-Key: {PLANTED}-key")),
    };
    KEYS.iter().filter_map(|key| Some((key.name, value(key)?))).collect()
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(connection, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// A controller that talks as much as it can.
struct Scene {
    api: FakeApi,
    controller: Controller,
    probes: SocketAddr,
    metrics: SocketAddr,
}

impl Scene {
    fn start(api: FakeApi, environment: &[(&str, String)]) -> Self {
        let (probes, metrics) = (free(), free());
        let arguments = [
            format!("--health-probe-bind-address={probes}"),
            format!("--metrics-bind-address={metrics}"),
            "--metrics-secure=false".to_owned(),
            "--v=5".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let proxy = format!("http://proxy:{PLANTED}-proxy@127.0.0.1:9");
        let others = [("NO_PROXY", "127.0.0.1"), ("HTTPS_PROXY", &*proxy), ("GLOBAL_OPT_INTERVAL", "100ms")];
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str())).chain(others);
        let controller = api.controller(&arguments, &environment.collect::<Vec<_>>());
        Self { api, controller, probes, metrics }
    }

    /// Waits until it has sent that to the API server. The log may say so before.
    fn sends(&self, text: &str) {
        let late = || format!("{text} is not sent: {}", self.api.sent());
        eventually(PATIENCE, late, || self.api.sent().contains(text));
    }

    /// Everything it has said so far, on every way out.
    fn everything(&mut self) -> String {
        let pages = ["/healthz", "/readyz", "/debug/state"].map(|path| get(self.probes, path));
        let metrics = get(self.metrics, "/metrics");
        assert!(metrics.contains("wva_"), "{metrics}");
        [self.controller.log(), self.api.sent(), pages.join("\n"), metrics].join("\n")
    }
}

#[track_caller]
fn keeps_secrets(said: &str) {
    for planted in [PLANTED, BASIC] {
        let line = said.lines().find(|line| line.contains(planted));
        assert!(line.is_none(), "a secret came out: {}", line.unwrap_or_default());
    }
}

#[test]
fn secrets_of_the_environment_come_out_nowhere() {
    let mut scene = Scene::start(FakeApi::start(), &planted(echo(), 1));
    scene.controller.says(&["Starting", "http://***@127.0.0.1"]);
    scene.controller.says(&["Prometheus does not answer; holding targets", "401"]);
    keeps_secrets(&scene.everything());
}

#[test]
fn secrets_of_the_config_map_come_out_nowhere_not_even_when_they_change_or_are_wrong() {
    let (api, prometheus) = (FakeApi::start(), echo());
    let put = |values: Vec<(&str, String)>| {
        api.put("wva-system", MAIN, &values.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>());
    };
    put(planted(prometheus, 1));
    let mut scene = Scene::start(api.clone(), &[]);
    scene.controller.says(&["Prometheus does not answer; holding targets"]);
    put(planted(prometheus, 2));
    scene.controller.says(&["PROMETHEUS_BASE_URL", "/p2"]);
    scene.controller.says(&["PROMETHEUS_HEADERS", "X-Scope-OrgID=***"]);
    let wrong = |(key, value): (&'static str, String)| match value.split_once("@127.0.0.1") {
        Some((user, _)) => (key, format!("{user}@127.0.0.1:port")),
        None => (key, value.replace("X-Scope-OrgID=", "X Scope=")),
    };
    put(planted(prometheus, 3).into_iter().map(wrong).collect());
    scene.controller.says(&["PROMETHEUS_HEADERS", "is not the name of a header"]);
    scene.sends("ImmutableConfigChangeRejected");
    keeps_secrets(&scene.everything());
}

#[test]
fn secrets_in_files_come_out_nowhere() {
    let (api, prometheus) = (FakeApi::start(), echo());
    let yaml = |nth| {
        let lines = planted(prometheus, nth).into_iter().map(|(key, value)| format!("{key}: '{value}'\n"));
        lines.collect::<String>()
    };
    api.put("wva-system", MAIN, &[("config.yaml", &yaml(1))]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, yaml(2)).unwrap();
    let file = [("CONFIG_FILE", path.display().to_string())];
    let mut scene = Scene::start(api.clone(), &file);
    scene.controller.says(&["Prometheus does not answer; holding targets"]);
    // A line that is no YAML, with a secret in it.
    api.put("wva-system", MAIN, &[("config.yaml", &format!("{PLANTED}-a\n{PLANTED}: [\n"))]);
    scene.controller.says(&["config.yaml", "is not a list of"]);
    keeps_secrets(&scene.everything());
}

#[test]
fn a_token_that_is_read_from_a_file_comes_out_nowhere_not_even_when_it_cannot_be_sent() {
    let prometheus = echo();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    for token in [format!("{PLANTED}-token"), format!("{PLANTED}\u{7}x")] {
        std::fs::write(&path, token).unwrap();
        let environment = [
            ("PROMETHEUS_BASE_URL", format!("http://{prometheus}")),
            ("PROMETHEUS_TOKEN_PATH", path.display().to_string()),
        ];
        let mut scene = Scene::start(FakeApi::start(), &environment);
        scene.controller.says(&["Prometheus does not answer; holding targets"]);
        keeps_secrets(&scene.everything());
    }
}

#[test]
fn a_start_that_fails_tells_no_secret() {
    for (key, value) in [
        ("PROMETHEUS_BASE_URL", format!("http://scaler:{PLANTED}@host:port")),
        ("PROMETHEUS_BASE_URL", format!("scaler:{PLANTED}@host:9090")),
        ("PROMETHEUS_BASE_URL", format!("http://scaler:{PLANTED}/slash@host:9090")),
        ("PROMETHEUS_BASE_URL", format!("ftp://scaler:{PLANTED}@host")),
        ("PROMETHEUS_HEADERS", PLANTED.to_owned()),
        ("PROMETHEUS_HEADERS", format!("Content-Length={PLANTED}")),
        ("PROMETHEUS_BEARER_TOKEN", format!("{PLANTED}\u{7}x")),
        ("EPP_METRIC_READER_BEARER_TOKEN", format!("{PLANTED}\u{7}x")),
    ] {
        let mut environment = vec![("PROMETHEUS_BASE_URL", "http://127.0.0.1:9")];
        environment.retain(|(other, _)| *other != key);
        environment.push((key, &value));
        let mut controller = FakeApi::start().controller(&["--v=5"], &environment);
        if key == "PROMETHEUS_BEARER_TOKEN" {
            // What cannot be sent is found out when it is to be sent.
            controller.says(&["Prometheus does not answer"]);
        } else {
            assert_eq!(controller.ends().code(), Some(1), "{key}");
        }
        keeps_secrets(&controller.log());
    }
}
