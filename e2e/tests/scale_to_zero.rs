//! To zero and back, with a gateway in front.

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

    /// Base URL of the one model server, once it is ready.
    async fn server(&self) -> String {
        self.ready_pod("llm-d.ai/inferenceServing=true", 8000).await
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
    Variant { name, namespace: NAMESPACE, model_id: MODEL, accelerator: gpu.name, cost, min: 1, max: 2 }
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

/// Whether an HPA scales, and why not.
const SCALING_ACTIVE: &str = "jsonpath={.status.conditions[?(@.type==\"ScalingActive\")].status} \
                              {.status.conditions[?(@.type==\"ScalingActive\")].reason}";

/// Retention of the tests below, in seconds.
const RETENTION: u64 = 15;

/// One replica of a model that goes to zero when it has been idle for the retention.
async fn with_retention(environment: &Environment) -> Scene<'_> {
    let kubectl = environment.kubectl();
    let policies = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "wva-model-scale-to-zero-config", "namespace": CONTROLLER_NAMESPACE},
        "data": {"default": format!("enable_scale_to_zero: true\nretention_period: {RETENTION}s\n")},
    });
    kubectl.apply(&policies.to_string()).await.unwrap();
    let scene = Scene::new(environment, 1).await;
    kubectl.apply(&gateway::monitored(NAMESPACE).unwrap()).await.unwrap();
    scene
}

/// Nothing completes for longer than the retention while a long answer is computed, and the model stays; then it goes, not
/// before the retention has passed since the answer, although its HPA keeps one replica of whatever runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_model_goes_to_zero_after_its_retention_and_not_while_it_answers() {
    with_controller(async |environment: &Environment| {
        let scene = with_retention(environment).await;
        let server = scene.server().await;
        // 1,700 tokens at 11.5 ms each take about 20 s.
        let sent = Instant::now();
        let answer = completion(&client(), &server, 1700).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        let took = sent.elapsed();
        assert!(took > Duration::from_secs(RETENTION), "an answer of {took:?} proves nothing");
        assert_eq!(scene.replicas(CHEAP).await, 1, "the model was put to sleep while it computed");

        let answered = Instant::now();
        scene.until_replicas(CHEAP, 0, PATIENCE).await;
        let idle = answered.elapsed();
        anstream::println!("answered for {:.1} s, asleep {:.1} s later", took.as_secs_f64(), idle.as_secs_f64());
        assert!(idle >= Duration::from_secs(RETENTION), "asleep {idle:?} after the last answer");
        let said = ["get", "va", CHEAP, "-n", NAMESPACE, "-o", "jsonpath={.status.desiredOptimizedAlloc.numReplicas}"];
        scene.until_said("0 in the status", &said, |seen| seen == "0").await;
        let left_alone = ["get", "hpa", "llama-a100-hpa", "-n", NAMESPACE, "-o", SCALING_ACTIVE];
        scene.until_said("the HPA to leave it alone", &left_alone, |seen| seen == "False ScalingDisabled").await;
        assert_eq!(scene.replicas(CHEAP).await, 0);
    })
    .await;
}

/// A counter that falls back to zero, as when the process in a pod is started again, hides no request that it has counted:
/// the model is not put to sleep before the retention has passed since the last answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_falls_back_to_zero_hides_no_request() {
    with_controller(async |environment: &Environment| {
        let scene = with_retention(environment).await;
        let server = scene.server().await;
        let counted = async |wanted: f64| {
            let query = format!("sum(vllm:request_success_total{{namespace=\"{NAMESPACE}\"}})");
            wait::until(&format!("a count of {wanted}"), PATIENCE, || async {
                match environment.prometheus().query(&query).await.unwrap().first() {
                    Some(series) if (series.value - wanted).abs() < 0.5 => Look::Done(()),
                    seen => Look::NotYet(format!("{seen:?}")),
                }
            })
            .await
            .unwrap();
        };
        counted(0.0).await;
        for _ in 0..3 {
            let answer = completion(&client(), &server, 4).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
        let answered = Instant::now();
        counted(3.0).await;

        let pins = json!({"counters": {"vllm:request_success_total": 0}});
        let pinned = client().post(format!("{server}/admin/config")).json(&pins).send().await.unwrap();
        assert!(pinned.status().is_success(), "{}", pinned.text().await.unwrap());
        counted(0.0).await;
        let fell_after = answered.elapsed();
        assert!(fell_after < Duration::from_secs(RETENTION), "a fall after {fell_after:?} proves nothing");

        scene.until_replicas(CHEAP, 0, PATIENCE).await;
        let idle = answered.elapsed();
        anstream::println!(
            "the counter fell after {:.1} s, asleep after {:.1} s",
            fell_after.as_secs_f64(),
            idle.as_secs_f64()
        );
        assert!(idle >= Duration::from_secs(RETENTION), "asleep {idle:?} after the last answer");
    })
    .await;
}
