//! The embedded API server, held to what a real Kubernetes control plane answered.
//!
//! On an API server of its own, started as the recorded one was: its scripts use fixed names and list whole clusters.

use std::path::{Path, PathBuf};

use kubesim::apiserver::Authorization;
use kubesim::cluster::{Cluster, Options};
use kubesim::node::NodeConfig;
use wva_e2e::conformance::{self, Script, Server};

/// Scripts of these groups wait for controllers, by the clock; `make conformance` sends them as well.
const SLOW: [&str; 2] = ["controllers", "hpa"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kubesim/tests/conformance")
}

fn quick_scripts(folder: &Path) -> Vec<Script> {
    let mut scripts = conformance::scripts(folder).expect("the scripts are read");
    let metrics = |script: &Script| script.needs.iter().any(|need| need == "metrics");
    scripts.retain(|script| !SLOW.contains(&script.group.as_str()) && !metrics(script));
    scripts
}

async fn start() -> (Cluster, Server) {
    // Rustls takes one provider for the whole process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options =
        Options { nodes: vec![NodeConfig::new("node-0")], authorization: Authorization::Rbac, ..Options::default() };
    let cluster = Cluster::start(options).await.expect("the cluster starts");
    let server = Server::of_kubeconfig(cluster.kubeconfig_path(), None).expect("a kubeconfig");
    (cluster, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_answers_as_a_real_one_but_for_the_accepted_differences() {
    let accepted = conformance::accepted(&folder()).expect("the accepted differences are read");
    let scripts = quick_scripts(&folder());
    assert!(scripts.len() > 140, "{} scripts", scripts.len());
    let (cluster, server) = start().await;
    let report = conformance::check(&server, &scripts, 16).await.expect("the scripts are sent");
    cluster.shutdown().await;
    let surprises = report.surprises(&accepted, &scripts);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn no_more_than_fifteen_requests_may_differ_and_each_says_why() {
    let accepted = conformance::accepted(&folder()).expect("the accepted differences are read");
    let requests: usize = accepted.iter().map(|entry| entry.steps.union(&entry.sometimes).count()).sum();
    assert!(requests <= 15, "{requests} requests");
    let mut reasons: Vec<&str> = accepted.iter().map(|entry| entry.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), accepted.len(), "a reason of its own for each");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_of_the_embedded_server_it_answers_again() {
    const GROUPS: [&str; 4] = ["crud", "discovery", "patch", "table"];
    let mut scripts = quick_scripts(&folder());
    scripts.retain(|script| GROUPS.contains(&script.group.as_str()));
    assert!(scripts.len() > 60, "{} scripts", scripts.len());
    let recorded = tempfile::tempdir().expect("a directory");
    let (cluster, server) = start().await;
    conformance::record(&server, &scripts, recorded.path(), 16).await.expect("recorded");
    cluster.shutdown().await;
    // Another one, in which nothing of the first run is left.
    let (cluster, server) = start().await;
    let scripts = conformance::scripts(recorded.path()).expect("the scripts are read");
    let report = conformance::check(&server, &scripts, 16).await.expect("the scripts are sent");
    cluster.shutdown().await;
    // What differs from time to time does so between two runs, too.
    let mut racing = conformance::accepted(&folder()).expect("the accepted differences are read");
    racing.retain(|entry| entry.steps.is_empty());
    let surprises = report.surprises(&racing, &scripts);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
