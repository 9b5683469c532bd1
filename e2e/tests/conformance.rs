//! The embedded API server, held to what a real Kubernetes control plane answered.

use std::path::Path;

use kubesim::apiserver::Authorization;
use kubesim::cluster::{Cluster, Options};
use kubesim::node::NodeConfig;
use wva_e2e::conformance::{self, Server};

/// Scripts of these groups wait for controllers, by the clock; `make conformance` sends them as well.
const SLOW: [&str; 2] = ["controllers", "hpa"];

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_answers_as_a_real_one_but_for_the_accepted_differences() {
    // Rustls takes one provider for the whole process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubesim/tests/conformance");
    let accepted = conformance::accepted(&folder).expect("the accepted differences are read");
    let mut scripts = conformance::scripts(&folder).expect("the scripts are read");
    scripts.retain(|script| !SLOW.contains(&script.group.as_str()) && script.needs.is_empty());
    assert!(scripts.len() > 140, "{} scripts", scripts.len());

    let options =
        Options { nodes: vec![NodeConfig::new("node-0")], authorization: Authorization::Rbac, ..Options::default() };
    let cluster = Cluster::start(options).await.expect("the cluster starts");
    let server = Server::of_kubeconfig(cluster.kubeconfig_path(), Some(&cluster.url())).expect("a kubeconfig");
    let report = conformance::check(&server, &scripts, 16).await.expect("the scripts are sent");
    cluster.shutdown().await;
    let surprises = report.surprises(&accepted, &scripts);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
