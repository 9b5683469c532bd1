//! Growth within the GPUs there are.
//!
//! In a cluster of its own: it counts the GPUs of a node, and cordons it.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use wva_e2e::environment::Environment;
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, make_namespace};
use wva_e2e::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const NAMESPACE: &str = "chat";
const VARIANT: &str = "llama-a100";
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody else's workload: seven of the node's eight GPUs, in another namespace.
const SQUATTER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: training, namespace: research}
spec:
  replicas: 1
  selector: {matchLabels: {app: training}}
  template:
    metadata: {labels: {app: training}}
    spec:
      nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-PCIE-80GB}
      terminationGracePeriodSeconds: 1
      containers:
        - name: training
          image: vllm/vllm-openai:v0.11.0
          args: [--model, training]
          resources: {limits: {nvidia.com/gpu: "7"}}
"#;

async fn until_said(environment: &Environment, what: &str, args: &[&str], wanted: impl Fn(&str) -> bool) {
    wait::until(what, PATIENCE, || async {
        match environment.kubectl().run(args).await {
            Ok(seen) if wanted(&seen) => Look::Done(()),
            Ok(seen) => Look::NotYet(seen),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// Makes the one server say that its KV cache is nearly full.
async fn saturate(environment: &Environment) {
    let pods: Api<Pod> = Api::namespaced(environment.client(), NAMESPACE);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    wait::until("the server to take its orders", PATIENCE, || async {
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let Some(ip) = pod.status.and_then(|status| status.pod_ip) else { continue };
            let pins = json!({"kv_cache_usage": 0.95, "num_requests_waiting": 0});
            let sent = client.post(format!("http://{ip}:8000/admin/config")).json(&pins).send().await;
            if sent.is_ok_and(|answer| answer.status().is_success()) {
                return Look::Done(());
            }
        }
        Look::NotYet("no server".to_owned())
    })
    .await
    .unwrap();
}

/// Waits for a decision that has seen what is there now: two cycles, because one may be under way.
async fn decided_again(environment: &Environment) {
    let prometheus = environment.prometheus();
    let cycles = async || {
        let series = prometheus.query("max(wva_cycle_duration_seconds_count)").await.unwrap();
        series.first().map_or(0.0, |series| series.value)
    };
    let before = cycles().await;
    wait::until("two more cycles", PATIENCE, async || match cycles().await {
        now if now >= before + 2.0 => Look::Done(()),
        now => Look::NotYet(format!("{now} after {before}")),
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_grows_only_when_a_gpu_of_its_type_is_free_on_a_node_that_takes_pods() {
    with_environment(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        for namespace in [NAMESPACE, "research"] {
            make_namespace(kubectl, namespace).await.unwrap();
        }
        kubectl.apply(SQUATTER).await.unwrap();
        let mut controller =
            Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", environment.prometheus().url());
        controller.set.push("wva.limitedMode=true".to_owned());
        controller.install(kubectl).await.unwrap();
        let server = Vllm::new(NAMESPACE, VARIANT, "llama", A100);
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let variant = Variant {
            name: VARIANT,
            namespace: NAMESPACE,
            model_id: "llama",
            accelerator: "A100",
            cost: "40",
            min: 1,
            max: 4,
            instance: "",
        };
        kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
        kubectl.apply(&gateway::monitored(NAMESPACE).unwrap()).await.unwrap();
        let scheduled = ["get", "pods", "-n", "research", "-o", "jsonpath={.items[*].spec.nodeName}"];
        until_said(environment, "the other workload to have its GPUs", &scheduled, |node| node == "gpu-a100").await;
        saturate(environment).await;

        let path = "jsonpath={.status.desiredOptimizedAlloc.numReplicas} \
                    {.status.conditions[?(@.type==\"OptimizationReady\")].reason} \
                    {.status.conditions[?(@.type==\"OptimizationReady\")].message}";
        let status = ["get", "va", VARIANT, "-n", NAMESPACE, "-o", path];
        let limited =
            |seen: &str| seen.starts_with("1 LimitedByGpus ") && seen.contains("0 GPUs of type A100 are free");
        until_said(environment, "growth to be limited by the GPUs others hold", &status, limited).await;

        kubectl.run(&["cordon", "gpu-a100"]).await.unwrap();
        kubectl.run(&["delete", "deployment", "training", "-n", "research"]).await.unwrap();
        until_said(environment, "the other workload to be gone", &scheduled, str::is_empty).await;
        decided_again(environment).await;
        assert!(limited(&kubectl.run(&status).await.unwrap()), "a cordoned node offers nothing");

        kubectl.run(&["uncordon", "gpu-a100"]).await.unwrap();
        until_said(environment, "growth onto the GPUs that are free", &status, |seen| seen.starts_with("2 ")).await;
    })
    .await;
}
