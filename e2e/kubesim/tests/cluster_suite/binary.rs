//! The `kubesim` program.

use std::{path::Path, process::Stdio, time::Duration};

use assert_cmd::cargo::cargo_bin;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{LogParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::await_condition,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rstest::rstest;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::fixture::{NAMESPACE, eventually, forever, marker, pod, processes, shell};

/// The program with one pod running in it.
async fn start(marker: &str, directory: &Path) -> Child {
    start_with(marker, directory, &[]).await
}

/// The same, with variables in its environment.
async fn start_with(marker: &str, directory: &Path, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(cargo_bin!("kubesim"));
    command.envs(environment.iter().copied());
    let (program, pods) = launch(command, directory).await;
    let object = serde_json::from_value(pod("p", &shell(&forever(marker)))).unwrap();
    pods.create(&PostParams::default(), &object).await.unwrap();
    eventually("running", async || processes(marker) == 1).await;
    program
}

/// The program, called by `command`, and access to its pods.
async fn launch(mut command: Command, directory: &Path) -> (Child, Api<Pod>) {
    let kubeconfig = &directory.join("kubeconfig.out");
    let mut program = command
        .args(["--node", "name=plain", "--image", "example/shell=/bin/sh"])
        .arg("--kubeconfig-out")
        .arg(kubeconfig)
        .arg("--work-dir")
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.expect("it announces itself");
    assert_eq!(line.unwrap().unwrap(), format!("export KUBECONFIG={}", kubeconfig.display()));
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    (program, Api::namespaced(Client::try_from(config).unwrap(), NAMESPACE))
}

fn send(program: &Child, signal: Signal) {
    kill(Pid::from_raw(program.id().unwrap().try_into().unwrap()), signal).unwrap();
}

#[tokio::test]
async fn an_interrupt_stops_everything_and_succeeds() {
    let (marker, directory) = (marker(), tempfile::tempdir().unwrap());
    let mut program = start(&marker, directory.path()).await;
    send(&program, Signal::SIGINT);
    let status = tokio::time::timeout(Duration::from_secs(10), program.wait()).await.expect("it stops").unwrap();
    assert!(status.success());
    assert_eq!(processes(&marker), 0);
}

#[tokio::test]
async fn even_a_killed_cluster_leaves_no_process_behind() {
    let (marker, directory) = (marker(), tempfile::tempdir().unwrap());
    let mut program = start(&marker, directory.path()).await;
    send(&program, Signal::SIGKILL);
    program.wait().await.unwrap();
    eventually("without processes", async || processes(&marker) == 0).await;
}

#[rstest]
#[case::a_controller_panics("panic", "controller scheduler", "the controller scheduler panicked: struck by a test (")]
#[case::a_controller_returns("return", "controller hpa", "the controller hpa ended although nobody asked it to;")]
#[case::a_node_agent_panics("panic", "agent of node plain", "the agent of node plain panicked: struck by a test (")]
#[case::a_heartbeat_returns("return", "heartbeat of node plain", "the heartbeat of node plain ended although")]
#[case::the_api_server_panics("panic", "API server", "the API server panicked: struck by a test (")]
#[tokio::test]
async fn a_cluster_ends_with_the_first_of_its_tasks_that_fails(
    #[case] fault: &str,
    #[case] task: &str,
    #[case] said: &str,
) {
    let (marker, directory) = (marker(), tempfile::tempdir().unwrap());
    let strike = directory.path().join("strike");
    let order = format!("{fault}:{task}:{}", strike.display());
    let program = start_with(&marker, directory.path(), &[("KUBESIM_TEST_FAULT", &order)]).await;
    std::fs::write(&strike, "").unwrap();
    // Pods get two seconds to end.
    let ended = tokio::time::timeout(Duration::from_secs(10), program.wait_with_output()).await;
    let output = ended.expect("it ends").unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(said) && stderr.contains("the cluster ends with it"), "{stderr}");
    eventually("without processes", async || processes(&marker) == 0).await;
}

/// As an unprivileged user, or root of a container without the capability.
#[tokio::test]
async fn without_the_right_to_mount_paths_are_translated_and_the_program_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(cargo_bin!("kubesim"));
    if nix::unistd::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--bounding-set=-sys_admin", "--inh-caps=-all"]).arg(cargo_bin!("kubesim"));
    }
    let (program, pods) = launch(command, directory.path()).await;
    let script = "cat $FILE; cat $0/namespace; grep -c current-context $KUBECONFIG; \
        case $0 in /var/run/*) echo mounted;; *) echo translated;; esac";
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "labels", "downwardAPI": {"items": [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        ]}}],
        "containers": [{
            "name": "main",
            "image": "example/shell",
            "args": ["-c", script, "/var/run/secrets/kubernetes.io/serviceaccount"],
            "env": [{"name": "FILE", "value": "/etc/labels/name"}],
            "volumeMounts": [{"name": "labels", "mountPath": "/etc/labels"}],
        }],
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod("p", &spec)).unwrap()).await.unwrap();
    let is_over = |pod: Option<&Pod>| {
        pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()).is_some_and(|phase| phase == "Succeeded")
    };
    let ended = await_condition(pods.clone(), "p", is_over);
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it ends").unwrap();
    assert_eq!(pods.logs("p", &LogParams::default()).await.unwrap(), "pdefault1\ntranslated\n");
    send(&program, Signal::SIGTERM);
    let output = program.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("Mounting is not permitted here"), "{said}");
}

#[test]
fn bad_flags_are_explained() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new(cargo_bin!("kubesim")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["--node", "gpus=4"]).contains("a node description needs a name"));
    assert!(run(&["--image", "nginx"]).contains("write REPOSITORY=PROGRAM"));
    assert!(run(&["--hpa-sync-period", "15"]).contains("examples: 500ms, 15s, 2m"));
    assert!(run(&["--hpa-sync-period", "0s"]).contains("above zero"));
}
