//! What the process does when one of its tasks is no longer there, or stuck.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;
use support::{Controller, FakeApi, eventually};

const MAIN: &str = "wva-variantautoscaling-config";
/// Longest a process may outlive one of its tasks.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Longest a standby may take for a Lease that was released.
const LEADS_WITHIN: Duration = Duration::from_secs(1);

/// A controller named `host` that takes part in the election; `fault` strikes when `file` appears.
fn candidate(api: &FakeApi, host: &str, more: &[&str], fault: &str, file: &Path) -> Controller {
    let fault = format!("{fault}:{}", file.display());
    let environment = [
        ("PROMETHEUS_BASE_URL", "http://127.0.0.1:9"),
        ("HOSTNAME", host),
        ("WVA_TEST_FAULT", fault.as_str()),
        ("GLOBAL_OPT_INTERVAL", "1s"),
    ];
    let election = ["--leader-elect", "--leader-election-retry-period=100ms"];
    api.controller(&[&election[..], more].concat(), &environment)
}

/// Whether the Lease is held by that pod, at the latest when `limit` has passed.
fn leads(api: &FakeApi, host: &str, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !api.holder().starts_with(host) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[rstest]
fn a_task_that_is_gone_takes_the_process_along_and_a_standby_leads(
    #[values(
        "probes",
        "metrics",
        "certificate",
        "cycle",
        "saturation",
        "status",
        "events",
        "wake",
        "gateway",
        "targets",
        "inventory",
        "election",
        "watch of variantautoscalings",
        "watch of deployments",
        "watch of replicasets",
        "watch of pods",
        "watch of horizontalpodautoscalers",
        "watch of namespaces",
        "watch of the main configmap",
        "watch of configmaps wva-saturation-scaling-config",
        "watch of inferencepools.inference.networking.k8s.io",
        "watch of inferencepools.inference.networking.x-k8s.io",
        "watch of endpoint pickers"
    )]
    task: &str,
    #[values("panic", "return")] fault: &str,
) {
    let api = FakeApi::start();
    api.put("wva-system", MAIN, &[]);
    let directory = tempfile::tempdir().unwrap();
    let (file, never) = (directory.path().join("now"), directory.path().join("never"));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join("tls.crt"), pair.cert.pem()).unwrap();
    std::fs::write(directory.path().join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    let certificate = format!("--metrics-cert-path={}", directory.path().display());
    let metrics = ["--metrics-bind-address=127.0.0.1:0", certificate.as_str()];
    let mut leader = candidate(&api, "first", &metrics, &format!("{fault}:{task}"), &file);
    leader.says(&["Became leader"]);
    leader.says(&["Prometheus does not answer; holding targets"]);
    let mut standby = candidate(&api, "second", &[], "none:none", &never);
    standby.says(&["Starting"]);

    std::fs::write(&file, "").unwrap();
    let struck = Instant::now();
    let ended = leader.ends();
    assert!(struck.elapsed() < ENDS_WITHIN, "{:?}\n{}", struck.elapsed(), leader.log());
    assert_eq!(ended.code(), Some(1), "{}", leader.log());
    leader.says(&["Ending the process", task]);
    if fault == "panic" {
        leader.says(&["ERROR", "Panicked: struck by a test", "fault.rs"]);
    }
    leader.says(&["Released the lease"]);
    assert!(leads(&api, "second", LEADS_WITHIN), "held by {:?}\n{}", api.holder(), standby.log());
    assert!(standby.stop().success());
}

/// A free address on this machine.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free address")
}

/// What a path of the probes answers; `None` while nobody does.
fn probe(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn with_a_prometheus_that_does_not_answer_it_is_not_ready_from_the_first_answer_on() {
    let api = FakeApi::start();
    let (address, never) = (free_address(), Path::new("/does/not/exist"));
    let probes = format!("--health-probe-bind-address={address}");
    let mut controller = candidate(&api, "first", &[&probes], "none:none", never);
    let mut answers = 0;
    let started = Instant::now();
    let all = loop {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", controller.log());
        let Some(answer) = probe(address, "/readyz") else { continue };
        assert!(answer.starts_with("HTTP/1.1 503"), "answer {answers}: {answer}");
        answers += 1;
        if answer.contains("for:\n- first answer of Prometheus\n") {
            break answer;
        }
    };
    assert!(answers > 1 && all.contains("not ready"), "{answers}: {all}");
    assert!(probe(address, "/healthz").unwrap().starts_with("HTTP/1.1 200"));
    assert!(controller.stop().success());
}

#[test]
fn a_stuck_cycle_is_unhealthy_within_three_intervals_and_ten_seconds() {
    let api = FakeApi::start();
    let directory = tempfile::tempdir().unwrap();
    let (address, file) = (free_address(), directory.path().join("now"));
    let probes = format!("--health-probe-bind-address={address}");
    let mut controller = candidate(&api, "first", &[&probes], "stick:cycle", &file);
    controller.says(&["Prometheus does not answer; holding targets"]);
    std::fs::write(&file, "").unwrap();
    let stuck = Instant::now();
    let allowed = Duration::from_secs(13);
    let late = loop {
        let answer = probe(address, "/healthz").unwrap();
        if answer.starts_with("HTTP/1.1 503") {
            break answer;
        }
        assert!(stuck.elapsed() < allowed + Duration::from_secs(1), "{answer}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(late.contains("late: the decision cycle: none has ended for 13s"), "{late}");
}

#[test]
fn requests_that_fail_in_an_outage_of_the_api_server_take_no_line_of_log_each() {
    const FAILED: usize = 100;
    let api = FakeApi::start();
    let environment =
        [("PROMETHEUS_BASE_URL", "http://127.0.0.1:9"), ("HOSTNAME", "wva-1"), ("GLOBAL_OPT_INTERVAL", "100ms")];
    let mut controller = api.controller(&["--leader-elect", "--leader-election-retry-period=50ms"], &environment);
    controller.says(&["Became leader"]);
    controller.says(&["Prometheus does not answer; holding targets"]);
    let (lines, requests) = (controller.log().lines().count(), api.requests().len());

    api.fail(usize::MAX);
    let late = || format!("it asks again: {:?}", api.requests());
    eventually(Duration::from_mins(1), late, || api.requests().len() >= requests + FAILED);

    let log = controller.log();
    let said: Vec<&str> = log.lines().skip(lines).collect();
    assert!(said.len() <= FAILED / 5, "{} lines for {FAILED} requests: {said:#?}", said.len());
    assert!(said.iter().any(|line| line.contains("retrying")), "it is said once: {said:#?}");
}
