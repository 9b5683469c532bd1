//! What a model does not wait for: pods for which there is no node.
//!
//! In a cluster of its own: it takes all GPUs of a node. (What needs none for itself: `suites/waiting.rs`.)

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use wva_e2e::environment::Environment;
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, make_namespace};
use wva_e2e::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Gpu, H100, Vllm};

const NAMESPACE: &str = "chat";
const CHEAP: &str = "cheap";
const DEAR: &str = "dear";
const PATIENCE: Duration = Duration::from_mins(1);

/// Has every server of a variant say that this share of its KV cache is in use and so many requests wait.
async fn pin(environment: &Environment, variant: &str, replicas: usize, pins: &Value) {
    let pods: Api<Pod> = Api::namespaced(environment.client(), NAMESPACE);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    wait::until(&format!("{replicas} servers of {variant} to take orders"), PATIENCE, || async {
        let mut pinned = 0;
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let is_of_variant = pod.metadata.name.as_ref().is_some_and(|name| name.starts_with(variant));
            let Some(ip) = pod.status.and_then(|status| status.pod_ip).filter(|_| is_of_variant) else { continue };
            let sent = client.post(format!("http://{ip}:8000/admin/config")).json(pins).send().await;
            pinned += usize::from(sent.is_ok_and(|answer| answer.status().is_success()));
        }
        if pinned == replicas { Look::Done(()) } else { Look::NotYet(format!("{pinned} of them")) }
    })
    .await
    .unwrap();
}

fn saturated() -> Value {
    json!({"kv_cache_usage": 0.95, "num_requests_waiting": 9})
}

/// What a variant is to have, what its Deployment asks for, and why.
async fn until(environment: &Environment, variant: &str, what: &str, wanted: impl Fn(&str, &str, &str) -> bool) {
    let kubectl = environment.kubectl();
    let path = "jsonpath={.status.desiredOptimizedAlloc.numReplicas}|\
                {.status.conditions[?(@.type==\"OptimizationReady\")].message}";
    let status = ["get", "va", variant, "-n", NAMESPACE, "-o", path];
    let asked = ["get", "deployment", variant, "-n", NAMESPACE, "-o", "jsonpath={.spec.replicas}"];
    wait::until(what, PATIENCE, || async {
        let seen =
            async { Ok::<_, wva_e2e::kubectl::Error>((kubectl.run(&status).await?, kubectl.run(&asked).await?)) };
        match seen.await {
            Ok((status, asked)) => {
                let (desired, why) = status.split_once('|').unwrap_or_default();
                if wanted(desired, &asked, why) {
                    Look::Done(())
                } else {
                    Look::NotYet(format!("{asked} there, {status}"))
                }
            }
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// A variant of so many replicas with so many GPUs each.
async fn serve(environment: &Environment, name: &'static str, gpu: Gpu, (replicas, gpus): (u32, u32), cost: &str) {
    let kubectl = environment.kubectl();
    let server = Vllm { replicas, ..Vllm::new(NAMESPACE, name, "llama", gpu) }.manifest().unwrap();
    let (one, all) = ("nvidia.com/gpu: \"1\"", format!("nvidia.com/gpu: \"{gpus}\""));
    assert!(server.contains(one), "{server}");
    kubectl.apply(&server.replace(one, &all)).await.unwrap();
    let accelerator = gpu.name;
    let variant =
        Variant { name, namespace: NAMESPACE, model_id: "llama", accelerator, cost, min: 1, max: 4, instance: "" };
    kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
}

async fn begin(environment: &Environment) {
    let prometheus = environment.prometheus();
    let controller = Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url());
    controller.install(environment.kubectl()).await.unwrap();
    make_namespace(environment.kubectl(), NAMESPACE).await.unwrap();
    environment.kubectl().apply(&gateway::monitored(NAMESPACE).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_a_node_lets_the_next_variant_grow_and_the_status_says_what_the_scheduler_says() {
    with_environment(async |environment: &Environment| {
        begin(environment).await;
        // A replica takes every GPU of the only node of its type.
        serve(environment, CHEAP, A100, (1, 8), "10").await;
        serve(environment, DEAR, H100, (1, 1), "80").await;
        until(environment, CHEAP, "both to be decided on", |desired, asked, _| (desired, asked) == ("1", "1")).await;
        pin(environment, CHEAP, 1, &saturated()).await;
        pin(environment, DEAR, 1, &saturated()).await;

        until(environment, DEAR, "the next variant to grow", |desired, _, _| desired == "2").await;
        until(environment, CHEAP, "the scheduler's words", |desired, _, why| {
            desired == "2" && why.contains("cannot be scheduled: 0/") && why.contains("Insufficient nvidia.com/gpu")
        })
        .await;
    })
    .await;
}
