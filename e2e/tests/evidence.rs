//! A test that fails on purpose, and what it leaves behind.
//!
//! In a cluster of its own with one GPU: that there is none for the second server is what fails.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use vllm_sim::load::{Load, Plan, Shape};
use wva_e2e::endpoints;
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::with_settings;
use wva_e2e::instance::{Controller, make_namespace};
use wva_e2e::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use wva_e2e::workload::{A100, Vllm};

const NAMESPACE: &str = "chat";

/// Load for two servers, and a node with a GPU for one: the test wants both to be ready.
async fn fails(environment: &Environment) {
    let kubectl = environment.kubectl();
    let prometheus = environment.prometheus();
    let controller = Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url());
    controller.install(kubectl).await.unwrap();
    make_namespace(kubectl, NAMESPACE).await.unwrap();
    kubectl.apply(&gateway::monitored(NAMESPACE).unwrap()).await.unwrap();
    kubectl.apply(&Vllm::new(NAMESPACE, "llama", "llama", A100).manifest().unwrap()).await.unwrap();
    let variant = Variant {
        name: "llama",
        namespace: NAMESPACE,
        model_id: "llama",
        accelerator: A100.name,
        cost: "10",
        min: 1,
        max: 4,
        instance: "",
    };
    kubectl.apply(&variant.manifest().unwrap()).await.unwrap();

    let servers = endpoints::follow_pods(environment.client(), NAMESPACE, "llm-d.ai/inferenceServing=true", 8000);
    let plan = Plan {
        model: "llama".to_owned(),
        shape: Shape::Concurrency { clients: 16 },
        prompt_tokens: 256,
        max_tokens: 128,
        timeout: Duration::from_mins(1),
    };
    let _load = Load::start(&plan, servers.urls()).unwrap();
    let (replicas, ready) = ("jsonpath={.spec.replicas}", "jsonpath={.status.readyReplicas}");
    let asked = ["get", "deployment", "llama", "-n", NAMESPACE, "-o", replicas];
    kubectl.eventually(Duration::from_mins(1), &asked, |seen| seen > "1").await.unwrap();
    let served = ["get", "deployment", "llama", "-n", NAMESPACE, "-o", ready];
    kubectl.eventually(Duration::from_secs(8), &served, |seen| seen > "1").await.unwrap();
}

#[tokio::test]
async fn a_failed_test_leaves_evidence_from_which_its_cause_can_be_read() {
    let one_gpu = |settings| Settings { gpus_per_node: 1, ..settings };
    let outcome = AssertUnwindSafe(with_settings(one_gpu, fails)).catch_unwind().await;
    assert!(outcome.is_err(), "there is no GPU for the second server");

    let dir = wva_e2e::evidence::folder();
    let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let holds = |file: &str, text: &str| {
        let content = read(file);
        assert!(content.contains(text), "{file} does not hold `{text}`:\n{content}");
    };
    // What was wanted, what there was instead, and why: the controller did its part, the scheduler found no GPU.
    holds("failure.txt", "kubectl get deployment llama");
    holds("timeline.txt", "chat/llama wanted: 2");
    holds("events.txt", "VariantAutoscaling chat/llama: ");
    holds("timeline.svg", "chat/llama wanted");
    holds("decisions/chat.llama.txt", "llama");
    holds("decisions/chat.llama.json", "\"llama\"");
    holds("metrics.txt", "vllm:num_requests_waiting");
    holds("requests.json", "system:serviceaccount:");
    holds("objects/all.yaml", "Insufficient nvidia.com/gpu");
    let logs: Vec<_> = std::fs::read_dir(dir.join("logs")).unwrap().map(|log| log.unwrap().file_name()).collect();
    assert!(logs.iter().any(|log| log.to_string_lossy().contains("controller-manager")), "{logs:?}");
    assert!(!read("objects/all.yaml").contains("kind: Secret"), "secrets are nobody's evidence");
}
