//! Clusters that the plugin cannot work with: each is one sentence, a hint and exit code 2.

use std::path::Path;

use kubesim::cluster::{Cluster, Options};
use wva_e2e::kubectl::Kubectl;

use crate::fixture::steady;

/// The definition of an early release: a variant scales the Deployment of its own name.
const EARLY: &str = include_str!("../examples/definition-early.yaml");

/// The commands that look at variants.
const COMMANDS: [&[&str]; 13] = [
    &["status", "-A"],
    &["instances"],
    &["list-models"],
    &["explain", "llama"],
    &["doctor"],
    &["add-model", "llama", "--model-id", "meta/llama"],
    &["remove-model", "llama"],
    &["set", "llama", "--max", "3"],
    &["move", "llama", "--to", "team-b"],
    &["history", "llama"],
    &["logs", "llama"],
    &["cost"],
    &["top"],
];

async fn cluster() -> (Cluster, Kubectl) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let kubectl = Kubectl::new(cluster.kubeconfig_path()).unwrap();
    (cluster, kubectl)
}

/// What all the commands say, which is the same.
async fn refusal(kubectl: &Kubectl, commands: &[&[&str]], more: &[&str]) -> String {
    let mut said = Vec::new();
    for command in commands {
        let answer = kubectl.answer(&[command, more].concat()).await.unwrap();
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{command:?}");
        assert_eq!(answer.err.lines().count(), 2, "one sentence and one hint: {command:?}\n{}", answer.err);
        said.push(steady(&answer.err));
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:#?}");
    said.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_definition_or_with_an_early_one_is_refused() {
    let (cluster, kubectl) = cluster().await;
    insta::assert_snapshot!("no_definition", refusal(&kubectl, &COMMANDS, &[]).await);

    kubectl.apply(EARLY).await.unwrap();
    kubectl.run(&["wait", "--for=condition=Established", "crd/variantautoscalings.llmd.ai"]).await.unwrap();
    insta::assert_snapshot!("early_definition", refusal(&kubectl, &COMMANDS, &[]).await);
    let variant = "{apiVersion: llmd.ai/v1alpha1, kind: VariantAutoscaling, metadata: {name: llama, namespace: default}, \
                   spec: {modelID: meta/llama}}";
    kubectl.apply(variant).await.unwrap();
    assert!(refusal(&kubectl, &COMMANDS, &[]).await.contains("has an old definition"));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_not_there_and_a_cluster_that_has_gone_are_refused() {
    let (cluster, kubectl) = cluster().await;
    insta::assert_snapshot!("no_such_context", refusal(&kubectl, &COMMANDS, &["--context", "elsewhere"]).await);
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kubeconfig");
    std::fs::copy(cluster.kubeconfig_path(), &kept).unwrap();
    cluster.shutdown().await;
    let kubectl = Kubectl::new(Path::new(&kept)).unwrap();
    for command in COMMANDS {
        let answer = kubectl.answer(command).await.unwrap();
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{command:?}");
        assert!(answer.err.contains("no answer from https://") && answer.err.contains("hint: is the cluster running"));
    }
}
