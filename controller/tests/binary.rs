//! The program as a user starts it: what it says and how it ends when something is wrong.

use std::time::{Duration, Instant};

use assert_cmd::Command;
use rstest::rstest;

/// The controller with an environment of its own.
fn controller() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wva-controller"));
    command.env_clear().timeout(Duration::from_secs(20));
    command
}

#[rstest]
#[case::unknown_flag(&["--no-such-flag"], &[], 2, "unexpected argument '--no-such-flag'")]
#[case::bad_duration_flag(&["--rest-client-timeout=60"], &[], 2, "invalid value '60' for '--rest-client-timeout")]
#[case::bad_bool_flag(&["--leader-elect=maybe"], &[], 2, "is not a boolean")]
#[case::bad_duration(
    &[],
    &[("PROMETHEUS_BASE_URL", "https://p:9090"), ("GLOBAL_OPT_INTERVAL", "60")],
    1,
    "GLOBAL_OPT_INTERVAL=\"60\" (from environment) is not a duration: it has no unit; did you mean \"60s\"?"
)]
#[case::bad_instance(
    &["--controller-instance=team a"],
    &[("PROMETHEUS_BASE_URL", "https://p:9090")],
    1,
    "controller instance \"team a\" is not a valid Kubernetes label value"
)]
#[case::no_kubeconfig(
    &["--health-probe-bind-address=127.0.0.1:0"],
    &[("PROMETHEUS_BASE_URL", "http://127.0.0.1:9"), ("KUBECONFIG", "/does/not/exist")],
    1,
    "cannot find out how to reach the API server"
)]
fn what_is_wrong_is_said_and_ends_the_process(
    #[case] arguments: &[&str],
    #[case] environment: &[(&str, &str)],
    #[case] code: i32,
    #[case] expect: &str,
) {
    let output = controller().args(arguments).envs(environment.iter().copied()).assert().code(code);
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(stderr.contains(expect), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn help_shows_every_key_with_its_default() {
    let output = controller().arg("--help").assert().success();
    let help = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    for key in wva_controller::config::keys::KEYS {
        assert!(help.contains(key.name), "{}", key.name);
        assert!(help.contains(key.default), "{}", key.name);
    }
}

/// A kubeconfig that names an API server nobody listens at.
fn absent_api_server(directory: &tempfile::TempDir) -> std::path::PathBuf {
    let path = directory.path().join("kubeconfig");
    let text = "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], \
                contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}";
    std::fs::write(&path, text).expect("the test can write its own files");
    path
}

#[test]
fn without_an_api_server_it_waits_and_stops_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_wva-controller"))
        .args(["--health-probe-bind-address=127.0.0.1:0", "--leader-elect"])
        .env_clear()
        .env("PROMETHEUS_BASE_URL", "http://127.0.0.1:9")
        .env("KUBECONFIG", absent_api_server(&directory))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = std::io::BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Cannot read the main ConfigMap yet; retrying") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).unwrap(), 0, "it ended");
        assert!(started.elapsed() < Duration::from_secs(15), "it says what it waits for");
    }
    assert_eq!(process.try_wait().unwrap(), None, "it is still there");
    let stopped = Instant::now();
    let killed = std::process::Command::new("kill").arg(process.id().to_string()).status().unwrap();
    assert!(killed.success());
    let status = process.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
}
