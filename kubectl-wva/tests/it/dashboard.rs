//! `dashboard`: who is answered what, and what a browser makes of the page.

mod browser;
mod stand_in;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::Value;

use crate::cli::{cluster, wva};
use crate::fake_api::{FakeApi, refusal};

/// A dashboard as a shell starts it.
struct Served {
    child: Child,
    port: String,
}

impl Served {
    fn start(api: &FakeApi) -> Self {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"))
            .args(["dashboard", "-o", "name"])
            .env("KUBECONFIG", &api.kubeconfig)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/'));
        Self { port: port.unwrap_or_else(|| panic!("no address: {line:?}")).to_owned(), child }
    }

    /// Asks under a name of this machine, and gives head and body.
    fn ask(&self, method: &str, path: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}:{}\r\nconnection: close\r\n\r\n", self.port).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> Value {
        let (head, body) = self.ask("GET", path, "127.0.0.1");
        assert!(head.starts_with("http/1.1 200"), "{head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_is_served_until_ctrl_c() {
    let api = FakeApi::start(cluster);
    let served = Served::start(&api);
    let (head, body) = served.ask("GET", "/", "localhost");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
    assert!(body.starts_with("<!doctype html>") && body.contains("function lineChart("), "{body}");
    assert_eq!(served.interrupt().code(), Some(0));
}

#[test]
fn the_state_is_what_status_history_and_cost_say() {
    let api = FakeApi::start(cluster);
    let served = Served::start(&api);
    let state = served.get("/state");
    let last = &state["last"];
    assert_eq!((&state["trouble"], &last["namespace"]), (&Value::Null, &Value::from("models")), "{state}");
    let variant = &last["status"]["variants"][0];
    assert_eq!((&variant["release"], &variant["replicas"]["desired"]), (&"llama".into(), &2.into()), "{variant}");
    assert_eq!(last["cost"]["total"]["perHour"], 80.0);
    assert_eq!(last["samples"][0]["points"][0][3], 2, "replicas of the first sample: {}", last["samples"]);
    let notes = last["cost"]["notes"].to_string();
    assert!(notes.contains("no pod of controller wva-a/wva-controller-manager leads"), "{notes}");
    assert!(served.get("/findings")["last"]["checks"].as_array().unwrap().len() > 20);
}

#[rstest]
#[case::another_site("GET", "/state", "rebound.example.com", "403", "answers to 127.0.0.1")]
#[case::another_site_page("GET", "/", "rebound.example.com", "403", "answers to 127.0.0.1")]
#[case::writing("POST", "/state", "127.0.0.1", "405", "only shows")]
#[case::deleting("DELETE", "/", "127.0.0.1", "405", "only shows")]
#[case::elsewhere("GET", "/../etc/passwd", "127.0.0.1", "404", "the page is at /")]
fn what_is_no_question_of_the_page_is_refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] host: &str,
    #[case] code: &str,
    #[case] expect: &str,
) {
    let api = FakeApi::start(cluster);
    let (head, body) = Served::start(&api).ask(method, path, host);
    assert!(head.starts_with(&format!("http/1.1 {code}")) && body.contains(expect), "{head}\n{body}");
    assert!(!body.contains("llama"), "nothing of the cluster is told: {body}");
}

#[test]
fn the_cluster_is_read_once_for_all_browsers() {
    let api = FakeApi::start(cluster);
    let served = Served::start(&api);
    let reads = || api.asked().iter().filter(|line| line.ends_with("/horizontalpodautoscalers")).count();
    let first = served.get("/state");
    let browsers = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| served.get("/state"));
        let asking: Vec<_> = (0..8).map(|_| ask()).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let different = browsers.iter().filter(|answer| **answer != first).count();
    assert!(
        different == 0 || reads() == 2,
        "one reading holds for 3 s: {} of 8 differ after {} readings",
        different,
        reads()
    );
}

#[test]
fn a_cluster_that_goes_away_is_said_beside_what_was_known() {
    let away = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&away);
    let api = FakeApi::start(move |method, path| {
        if gone.load(Ordering::SeqCst) {
            refusal(500, "InternalError", "etcd is not there")
        } else {
            cluster(method, path)
        }
    });
    let served = Served::start(&api);
    away.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(30);
    let state = loop {
        let state = served.get("/state");
        if state["trouble"].is_string() || Instant::now() > deadline {
            break state;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(state["trouble"].as_str().unwrap().contains("could not list variants: etcd is not there"), "{state}");
    assert_eq!(state["last"]["status"]["variants"][0]["release"], "llama", "{state}");
}

#[test]
fn few_rights_show_what_they_allow_and_name_the_verb() {
    let api = FakeApi::start(|method, path| match path {
        "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers" => refusal(
            403,
            "Forbidden",
            "horizontalpodautoscalers.autoscaling is forbidden: User \"u\" cannot list resource \"horizontalpodautoscalers\"",
        ),
        _ => cluster(method, path),
    });
    let state = Served::start(&api).get("/state");
    let unread = &state["last"]["status"]["unread"];
    assert!(unread.to_string().contains("cannot list resource"), "{unread}");
    assert_eq!(state["last"]["status"]["variants"][0]["release"], "llama");
}

#[test]
fn what_keeps_the_page_from_showing_anything_is_said_at_once() {
    let api = FakeApi::start(|_, _| refusal(403, "Forbidden", "User \"u\" cannot list variantautoscalings"));
    let answer = wva(&["dashboard"], Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.contains("cannot list variantautoscalings"), "{}", answer.err);
}

#[test]
fn a_port_that_is_taken_is_said_with_the_flag_that_helps() {
    let api = FakeApi::start(cluster);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let answer = wva(&["dashboard", "--port", &port], Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    let expect = format!("could not listen on 127.0.0.1:{port}: Address already in use");
    assert!(answer.err.contains(&expect) && answer.err.contains("--port N"), "{}", answer.err);
}
