//! A model that nobody asks goes to zero when its retention is over, and not before.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use wva_e2e::gateway::{self, Variant};
use wva_e2e::instances::{Wva, with_instance};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

use crate::reaches_pods;

const MODEL: &str = "meta-llama/Llama-3.1-8B";
const VARIANT: &str = "llama-a100";
const RETENTION: Duration = Duration::from_secs(15);
/// Prometheus knows of a request from two scrapes, the last without and the first with it: the retention counts from the
/// former, so it is over that much early.
const SCRAPE: Duration = Duration::from_secs(1);

/// Whether an HPA scales, and why not.
const SCALING_ACTIVE: &str = "jsonpath={.status.conditions[?(@.type==\"ScalingActive\")].status} \
                              {.status.conditions[?(@.type==\"ScalingActive\")].reason}";

/// A variant of one replica, whose HPA has the least minimum that a default cluster takes, 1.
struct Scene<'a> {
    wva: &'a Wva<'a>,
    namespace: String,
}

/// Runs a test with a model that goes to zero when it has been idle for the retention.
async fn with_retention(test: impl AsyncFnOnce(&Scene<'_>)) {
    with_instance(async |wva| {
        if !reaches_pods(wva) {
            return;
        }
        let kubectl = wva.kubectl();
        let policy = format!("enable_scale_to_zero: true\nretention_period: {}s\n", RETENTION.as_secs());
        let policies = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "wva-model-scale-to-zero-config", "namespace": wva.namespace()},
            "data": {"default": policy},
        });
        kubectl.apply(&policies.to_string()).await.unwrap();
        let namespace = wva.models();
        // Room for a long answer that does not look like a lack of capacity.
        let server = Vllm { blocks: "1024".to_owned(), ..Vllm::new(&namespace, VARIANT, MODEL, A100) };
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let variant = Variant {
            name: VARIANT,
            namespace: &namespace,
            model_id: MODEL,
            accelerator: A100.name,
            cost: "40",
            min: 1,
            max: 2,
            instance: wva.id(),
        };
        kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
        kubectl.apply(&gateway::monitored(&namespace).unwrap()).await.unwrap();
        test(&Scene { wva, namespace }).await;
    })
    .await;
}

impl Scene<'_> {
    async fn until_said(&self, what: &[&str], wanted: &str) {
        let line = [&["get", "-n", &self.namespace], what].concat();
        self.wva.kubectl().eventually(self.wva.patience(), &line, |seen| seen == wanted).await.unwrap();
    }

    async fn until_replicas(&self, wanted: &str) {
        self.until_said(&["deployment", VARIANT, "-o", "jsonpath={.spec.replicas}"], wanted).await;
    }

    async fn replicas(&self) -> String {
        let line = ["get", "-n", &self.namespace, "deployment", VARIANT, "-o", "jsonpath={.spec.replicas}"];
        self.wva.kubectl().run(&line).await.unwrap()
    }

    /// Base URL of the one model server, once it is ready.
    async fn server(&self) -> String {
        let pods: Api<Pod> = Api::namespaced(self.wva.environment().client(), &self.namespace);
        let listed = ListParams::default().labels("llm-d.ai/inferenceServing=true");
        wait::until("the server to be ready", self.wva.patience(), || async {
            for pod in pods.list(&listed).await.unwrap() {
                let status = pod.status.unwrap_or_default();
                let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
                if let (true, Some(ip)) = (ready, status.pod_ip) {
                    return Look::Done(format!("http://{ip}:8000"));
                }
            }
            Look::NotYet("no ready pod".to_owned())
        })
        .await
        .unwrap()
    }

    /// Waits until Prometheus knows so many answered requests.
    async fn counted(&self, wanted: f64) {
        let query = format!("sum(vllm:request_success_total{{namespace=\"{}\"}})", self.namespace);
        wait::until(&format!("a count of {wanted}"), self.wva.patience(), || async {
            match self.wva.environment().prometheus().query(&query).await.unwrap().first() {
                Some(series) if (series.value - wanted).abs() < 0.5 => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .unwrap();
    }
}

async fn post(url: String, body: serde_json::Value) {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
    let answer = client.post(url).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// Has a server answer with so many tokens.
async fn complete(server: &str, tokens: u32) {
    let body = json!({"model": MODEL, "prompt": "one two three", "max_tokens": tokens});
    post(format!("{server}/v1/completions"), body).await;
}

/// Nothing completes for longer than the retention while a long answer is computed, and the model stays; then it goes, not
/// before the retention has passed since the answer, although its HPA keeps one replica of whatever runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_model_goes_to_zero_after_its_retention_and_not_while_it_answers() {
    with_retention(async |scene: &Scene<'_>| {
        let server = scene.server().await;
        // 1,700 tokens at 11.5 ms each take about 20 s.
        let sent = Instant::now();
        complete(&server, 1700).await;
        let took = sent.elapsed();
        assert!(took > RETENTION, "an answer of {took:?} proves nothing");
        assert_eq!(scene.replicas().await, "1", "the model was put to sleep while it computed");

        let answered = Instant::now();
        scene.until_replicas("0").await;
        let idle = answered.elapsed();
        anstream::println!("answered for {:.1} s, asleep {:.1} s later", took.as_secs_f64(), idle.as_secs_f64());
        assert!(idle + SCRAPE >= RETENTION, "asleep {idle:?} after the last answer");
        scene.until_said(&["va", VARIANT, "-o", "jsonpath={.status.desiredOptimizedAlloc.numReplicas}"], "0").await;
        // The HPA leaves it alone.
        scene.until_said(&["hpa", &format!("{VARIANT}-hpa"), "-o", SCALING_ACTIVE], "False ScalingDisabled").await;
        assert_eq!(scene.replicas().await, "0");
    })
    .await;
}

/// A counter that falls back to zero, as when the process in a pod is started again, hides no request that it has counted:
/// the model is not put to sleep before the retention has passed since the last answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_falls_back_to_zero_hides_no_request() {
    with_retention(async |scene: &Scene<'_>| {
        let server = scene.server().await;
        scene.counted(0.0).await;
        for _ in 0..3 {
            complete(&server, 4).await;
        }
        let answered = Instant::now();
        scene.counted(3.0).await;

        post(format!("{server}/admin/config"), json!({"counters": {"vllm:request_success_total": 0}})).await;
        scene.counted(0.0).await;
        let fell_after = answered.elapsed();
        assert!(fell_after < RETENTION, "a fall after {fell_after:?} proves nothing");

        scene.until_replicas("0").await;
        let (fell, idle) = (fell_after.as_secs_f64(), answered.elapsed());
        anstream::println!("the counter fell after {fell:.1} s, asleep after {:.1} s", idle.as_secs_f64());
        assert!(idle + SCRAPE >= RETENTION, "asleep {idle:?} after the last answer");
    })
    .await;
}
