//! Large clusters: what one answer costs the API server. The objects are there; nothing runs.

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kubesim::apiserver::{Options, Seen, Server};
use serde_json::json;
use wva_e2e::bench::fleet::Fleet;
use wva_e2e::instance::Controller;
use wva_e2e::kubectl::Kubectl;

/// Whom the plugin acts as, so that its requests are told from all others.
const COUNTED: &str = "counted";

/// An API server with two controllers, each of which has a replica that leads.
async fn cluster(dir: &std::path::Path) -> (Server, Client, Kubectl) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start(Options::default()).await.unwrap();
    let file = dir.join("kubeconfig");
    std::fs::write(&file, server.kubeconfig(None)).unwrap();
    let kubeconfig = Kubeconfig::read_from(&file).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let kubectl = Kubectl::new(&file).unwrap();
    let definitions = include_str!("../../manifests/definitions/servicemonitors.yaml");
    kubectl.apply(definitions).await.unwrap();
    for (release, instance) in [("one", ""), ("two", "team-a")] {
        Controller::quick(release, release, instance, "http://prometheus:9090").install(&kubectl).await.unwrap();
        let name = format!("{release}-workload-variant-autoscaler-controller-manager");
        let ready = json!({"status": {"replicas": 1, "readyReplicas": 1}}).to_string();
        let patch = ["patch", "deployment", &name, "-n", release, "--subresource=status", "--type=merge", "-p", &ready];
        kubectl.run(&patch).await.unwrap();
        kubectl.apply(&pod(release, &name)).await.unwrap();
        let ready =
            json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}).to_string();
        let patch = ["patch", "pod", "replica", "-n", release, "--subresource=status", "--type=merge", "-p", &ready];
        kubectl.run(&patch).await.unwrap();
    }
    (server, Client::try_from(config).unwrap(), kubectl)
}

fn pod(namespace: &str, deployment: &str) -> String {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{deployment}-5d4f8c7b9"), "uid": "u"});
    let labels = json!({
        "control-plane": "controller-manager", "app.kubernetes.io/name": "workload-variant-autoscaler",
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": "replica", "labels": labels, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "manager", "image": "localhost/wva-controller:0.6.0"}]},
    })
    .to_string()
}

/// The requests of one `status -A`, and how many variants it shows.
async fn status(server: &Server, kubectl: &Kubectl) -> (String, usize) {
    server.control().clear_requests();
    let answer = kubectl.answer(&["status", "-A", "-o", "name", "--as", COUNTED]).await.unwrap();
    let requests = server.control().requests();
    let counted = requests.iter().filter(|seen| seen.request.user == COUNTED);
    let line = |Seen { request, count, .. }: &Seen| {
        let action = &request.action;
        let place = if action.namespace.is_empty() { "all namespaces" } else { &action.namespace };
        format!("{} {} in {place}, {count} times", action.verb, action.combined_resource())
    };
    (counted.map(line).collect::<Vec<_>>().join("\n"), answer.out.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn status_asks_no_more_for_500_variants_in_50_namespaces_than_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let (server, client, kubectl) = cluster(dir.path()).await;
    let fleet = Fleet { variants: 1, pods: 0 };
    fleet.create(&client).await.unwrap();
    let (requests, shown) = status(&server, &kubectl).await;
    assert_eq!(shown, 1);
    insta::assert_snapshot!("requests_of_status", requests);
    for (made, variants) in [(1, 50), (50, 500)] {
        fleet.add(&client, made..variants).await.unwrap();
        assert_eq!(status(&server, &kubectl).await, (requests.clone(), variants));
    }
    server.shutdown().await;
}
