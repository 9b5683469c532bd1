//! What a model does not wait for: a scale-down under load, and pods for which there is no node.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::{with_environment, with_settings};
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
    let variant = Variant { name, namespace: NAMESPACE, model_id: "llama", accelerator, cost, min: 1, max: 4 };
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
async fn load_that_comes_back_while_the_autoscaler_holds_a_scale_down_costs_no_replica() {
    with_environment(async |environment: &Environment| {
        begin(environment).await;
        serve(environment, CHEAP, A100, (2, 1), "40").await;
        // The windows of the chart.
        let windows = json!({"stabilizationWindowSeconds": 240});
        let patch = json!({"spec": {"behavior": {"scaleUp": windows, "scaleDown": windows}}}).to_string();
        let hpa = format!("{CHEAP}-hpa");
        environment.kubectl().run(&["patch", "hpa", &hpa, "-n", NAMESPACE, "-p", &patch]).await.unwrap();
        until(environment, CHEAP, "the idle model to be given up a replica", |desired, asked, _| {
            (desired, asked) == ("1", "2")
        })
        .await;

        pin(environment, CHEAP, 2, &saturated()).await;

        until(
            environment,
            CHEAP,
            "the scale-down to be taken back, and one more to be asked for",
            |desired, asked, _| {
                assert_eq!(asked, "2", "the autoscaler took a replica away");
                desired == "3"
            },
        )
        .await;
    })
    .await;
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

/// An HPA counts the pods that a rolling update has too many, and keeps them where they are within its tolerance: with one
/// pod more than 11, the number 11 is as good as 12 to it. Without tolerance it does not, which is what the chart asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_under_a_constant_number_changes_no_replicas() {
    const REPLICAS: u32 = 11;
    let room = |settings| Settings { gpus_per_node: 16, ..settings };
    with_settings(room, async |environment: &Environment| {
        begin(environment).await;
        let kubectl = environment.kubectl();
        let server = Vllm { replicas: REPLICAS, ..Vllm::new(NAMESPACE, CHEAP, "llama", A100) };
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let (name, namespace, model_id, accelerator) = (CHEAP, NAMESPACE, "llama", A100.name);
        let variant = Variant { name, namespace, model_id, accelerator, cost: "40", min: REPLICAS, max: 16 };
        kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
        let patch = async |kind: &str, name: &str, patch: Value| {
            kubectl.run(&["patch", kind, name, "-n", NAMESPACE, "-p", &patch.to_string()]).await.unwrap();
        };
        let exact = json!({"tolerance": "0"});
        patch("hpa", &format!("{CHEAP}-hpa"), json!({"spec": {"behavior": {"scaleUp": exact, "scaleDown": exact}}}))
            .await;
        patch(
            "deployment",
            CHEAP,
            json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}}),
        )
        .await;
        until(environment, CHEAP, "a decision", |desired, asked, _| (desired, asked) == ("11", "11")).await;

        kubectl.run(&["rollout", "restart", &format!("deployment/{CHEAP}"), "-n", NAMESPACE]).await.unwrap();

        let counts_of = "jsonpath={.spec.replicas} {.status.replicas} {.status.updatedReplicas} {.status.readyReplicas} \
                    {.status.observedGeneration} {.metadata.generation}";
        let mut surged = 0;
        let (asked, done) = ("11", "11 11 11 11");
        let rolled = wait::until("the update to end", Duration::from_mins(2), || {
            surged += 1;
            async {
                let seen = kubectl.run(&["get", "deployment", CHEAP, "-n", NAMESPACE, "-o", counts_of]).await.unwrap();
                assert_eq!(seen.split(' ').next(), Some(asked), "the number of replicas drifts: {seen}");
                let (counts, generations) = seen
                    .rsplit_once(' ')
                    .and_then(|(rest, generation)| {
                        let (counts, observed) = rest.rsplit_once(' ')?;
                        Some((counts.to_owned(), observed == generation))
                    })
                    .unwrap();
                if generations && counts == done { Look::Done(()) } else { Look::NotYet(seen) }
            }
        });
        rolled.await.unwrap();
        assert!(surged > 3, "it was looked at while it lasted");
        until(environment, CHEAP, "the same decision", |desired, asked, _| (desired, asked) == ("11", "11")).await;
    })
    .await;
}
