//! Out of zero, with a gateway in front. (Into zero: `suites/retention.rs`.)
//!
//! In a cluster of its own: it begins without the kind `InferencePool`, and instances of a cluster share its kinds.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use wva_e2e::environment::Environment;
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::with_controller;
use wva_e2e::instance::make_namespace;
use wva_e2e::session::CONTROLLER_NAMESPACE;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Gpu, H100, Vllm};

const NAMESPACE: &str = "chat";
const MODEL: &str = "meta-llama/Llama-3.1-8B";
const CHEAP: &str = "llama-a100";
const DEAR: &str = "llama-h100";
const PATIENCE: Duration = Duration::from_mins(1);

/// What the test looks at.
struct Scene<'a> {
    environment: &'a Environment,
    deployments: Api<Deployment>,
}

impl<'a> Scene<'a> {
    /// Two variants of one model, each with so many replicas. Their HPAs have the least minimum that a default cluster takes, 1.
    async fn new(environment: &'a Environment, replicas: u32) -> Self {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, NAMESPACE).await.unwrap();
        for (name, gpu, cost) in [(CHEAP, A100, "40"), (DEAR, H100, "80")] {
            let replicas = if name == CHEAP { replicas } else { 0 };
            // Room for a long answer that does not look like a lack of capacity.
            let blocks = "1024".to_owned();
            let server = Vllm { replicas, blocks, ..Vllm::new(NAMESPACE, name, MODEL, gpu) };
            kubectl.apply(&server.manifest().unwrap()).await.unwrap();
            kubectl.apply(&variant(name, gpu, cost).manifest().unwrap()).await.unwrap();
        }
        let deployments = Api::namespaced(environment.client(), NAMESPACE);
        Self { environment, deployments }
    }

    async fn replicas(&self, name: &str) -> i32 {
        self.deployments.get(name).await.unwrap().spec.unwrap().replicas.unwrap()
    }

    async fn until_replicas(&self, name: &str, wanted: i32, limit: Duration) {
        wait::until(&format!("{name} to have {wanted} replicas"), limit, || async {
            match self.replicas(name).await {
                seen if seen == wanted => Look::Done(()),
                seen => Look::NotYet(format!("{seen} replicas")),
            }
        })
        .await
        .unwrap();
    }

    async fn until_said(&self, what: &str, args: &[&str], wanted: impl Fn(&str) -> bool) {
        wait::until(what, PATIENCE, || async {
            match self.environment.kubectl().run(args).await {
                Ok(seen) if wanted(&seen) => Look::Done(()),
                Ok(seen) => Look::NotYet(seen),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
        .unwrap();
    }

    /// Base URL of the gateway, once its picker is ready.
    async fn gateway(&self) -> String {
        self.ready_pod("app=pool-epp", 8080).await
    }

    async fn ready_pod(&self, labels: &str, port: u16) -> String {
        let pods: Api<Pod> = Api::namespaced(self.environment.client(), NAMESPACE);
        let listed = ListParams::default().labels(labels);
        wait::until(&format!("a pod with {labels} to be ready"), PATIENCE, || async {
            for pod in pods.list(&listed).await.unwrap() {
                let status = pod.status.unwrap_or_default();
                let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
                if let (true, Some(ip)) = (ready, status.pod_ip) {
                    return Look::Done(format!("http://{ip}:{port}"));
                }
            }
            Look::NotYet("no ready pod".to_owned())
        })
        .await
        .unwrap()
    }
}

fn variant(name: &'static str, gpu: Gpu, cost: &'static str) -> Variant<'static> {
    Variant { name, namespace: NAMESPACE, model_id: MODEL, accelerator: gpu.name, cost, min: 1, max: 2, instance: "" }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

fn completion(client: &reqwest::Client, gateway: &str, tokens: u32) -> reqwest::RequestBuilder {
    let body = json!({"model": MODEL, "prompt": "one two three", "max_tokens": tokens});
    client.post(format!("{gateway}/v1/completions")).json(&body)
}

/// A controller is ready before the cluster knows what an `InferencePool` is, and needs no restart when it learns it. The
/// request that waits is answered by the cheap variant; the dear one stays asleep, and its HPA, which leaves a workload
/// without replicas alone, does not undo that.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_wakes_the_cheapest_variant_and_no_other() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        let scene = Scene::new(environment, 0).await;
        let ready =
            ["get", "pods", "-n", CONTROLLER_NAMESPACE, "-o", "jsonpath={.items[*].status.containerStatuses[*].ready}"];
        scene.until_said("the controller to be ready without InferencePools", &ready, |seen| seen == "true").await;
        let decided =
            ["get", "va", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.desiredOptimizedAlloc.numReplicas}"];
        scene.until_said("both variants to be at zero", &decided, |seen| seen == "0 0").await;

        kubectl.apply(gateway::KINDS).await.unwrap();
        kubectl.apply(&gateway::pool(NAMESPACE, "pool").unwrap()).await.unwrap();
        let gateway = scene.gateway().await;
        let logs = ["logs", "-n", CONTROLLER_NAMESPACE, "deployment/workload-variant-autoscaler-controller-manager"];
        scene
            .until_said("the controller to watch pools", &logs, |log| {
                log.matches("Watching InferencePools").count() == 2
            })
            .await;

        let client = client();
        let sent = Instant::now();
        let request = tokio::spawn(completion(&client, &gateway, 4).send());
        scene.until_replicas(CHEAP, 1, Duration::from_secs(20)).await;
        let woken = sent.elapsed();
        let answer = request.await.unwrap().unwrap();
        anstream::println!(
            "woken {} ms after the request, answered after {:.1} s",
            woken.as_millis(),
            sent.elapsed().as_secs_f64()
        );
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        assert!(woken < Duration::from_secs(5), "woken only after {woken:?}");

        assert_eq!(scene.replicas(DEAR).await, 0);
        let events = [
            "get",
            "events",
            "-n",
            NAMESPACE,
            "-o",
            "jsonpath={range .items[*]}{.reason}/{.involvedObject.name} {end}",
        ];
        scene
            .until_said("an event on the woken variant", &events, |seen| {
                seen.contains(&format!("ScaledFromZero/{CHEAP}"))
            })
            .await;
        let desired =
            ["get", "va", CHEAP, "-n", NAMESPACE, "-o", "jsonpath={.status.desiredOptimizedAlloc.numReplicas}"];
        scene.until_said("the woken number in the status", &desired, |seen| seen == "1").await;
        let followed = [
            "get",
            "hpa",
            "llama-a100-hpa",
            "-n",
            NAMESPACE,
            "-o",
            "jsonpath={.status.desiredReplicas}/{.status.conditions[?(@.type==\"ScalingActive\")].status}",
        ];
        scene.until_said("the HPA to follow the woken number", &followed, |seen| seen == "1/True").await;
        assert_eq!((scene.replicas(CHEAP).await, scene.replicas(DEAR).await), (1, 0));
    })
    .await;
}
