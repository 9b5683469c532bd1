//! Growth ahead of saturation by the rate of requests, and by counted tokens.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

use std::time::Duration;

use serde_json::json;
use vllm_sim::load::{Load, Plan, Shape};
use wva_e2e::endpoints::{self, Follower};
use wva_e2e::environment::Environment;
use wva_e2e::gateway::{self, Variant};
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, make_namespace};
use wva_e2e::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const NAMESPACE: &str = "chat";
const VARIANT: &str = "llama-a100";
const MODEL: &str = "meta-llama/Llama-3.1-8B";
const PATIENCE: Duration = Duration::from_mins(2);

/// One model on one variant, and its controller.
struct Scene<'a> {
    environment: &'a Environment,
    endpoints: Follower,
}

impl<'a> Scene<'a> {
    async fn new(environment: &'a Environment, set: &str, config_map: serde_json::Value, server: Vllm) -> Self {
        let kubectl = environment.kubectl();
        let prometheus = environment.prometheus();
        let mut controller = Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url());
        controller.set.push(set.to_owned());
        controller.install(kubectl).await.unwrap();
        kubectl.apply(&config_map.to_string()).await.unwrap();
        make_namespace(kubectl, NAMESPACE).await.unwrap();
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let variant = Variant {
            name: VARIANT,
            namespace: NAMESPACE,
            model_id: MODEL,
            accelerator: "A100",
            cost: "40",
            min: 1,
            max: 3,
        };
        kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
        kubectl.apply(&gateway::monitored(NAMESPACE).unwrap()).await.unwrap();
        let endpoints = endpoints::follow_pods(environment.client(), NAMESPACE, "llm-d.ai/inferenceServing=true", 8000);
        let scene = Self { environment, endpoints };
        scene.until_replicas(|replicas| replicas == "1/1").await;
        scene
    }

    /// So many requests per second, on all servers there are.
    fn load(&self, per_second: f64, (prompt_tokens, max_tokens): (u32, u32)) -> Load {
        let (model, timeout) = (MODEL.to_owned(), PATIENCE);
        let plan = Plan { model, shape: Shape::Rate { per_second }, prompt_tokens, max_tokens, timeout };
        Load::start(&plan, self.endpoints.urls()).unwrap()
    }

    /// Waits for replicas as decided and as ready, e.g. `2/2`.
    async fn until_replicas(&self, wanted: impl Fn(&str) -> bool) {
        let decided =
            ["get", "va", VARIANT, "-n", NAMESPACE, "-o", "jsonpath={.status.desiredOptimizedAlloc.numReplicas}"];
        let ready = ["get", "deployment", VARIANT, "-n", NAMESPACE, "-o", "jsonpath={.status.readyReplicas}"];
        let kubectl = self.environment.kubectl();
        wait::until("replicas to be as decided", PATIENCE, || async {
            let seen = (kubectl.run(&decided).await, kubectl.run(&ready).await);
            match seen {
                (Ok(decided), Ok(ready)) if wanted(&format!("{decided}/{ready}")) => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .unwrap();
    }

    async fn until(&self, what: &str, promql: &str, wanted: impl Fn(f64) -> bool) {
        let prometheus = self.environment.prometheus();
        wait::until(what, PATIENCE, || async {
            match prometheus.query(promql).await.unwrap().first() {
                Some(series) if wanted(series.value) => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .unwrap();
    }

    async fn highest(&self, promql: &str) -> f64 {
        self.environment.prometheus().query(promql).await.unwrap()[0].value
    }

    /// What `kubectl wva explain` says of the variant.
    async fn explained(&self) -> serde_json::Value {
        let line = ["explain", VARIANT, "-n", NAMESPACE, "-o", "json"];
        let explained = self.environment.kubectl().answer(&line).await.unwrap();
        serde_json::from_str(&explained.out).unwrap()
    }

    /// Messages of the events on the variant.
    async fn told(&self) -> String {
        let path = "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}";
        self.environment.kubectl().run(&["get", "events", "-n", NAMESPACE, "-o", path]).await.unwrap()
    }
}

fn config_map(name: &str, data: &[(&str, &str)]) -> serde_json::Value {
    let data: serde_json::Map<_, _> = data.iter().map(|&(key, text)| (key.to_owned(), json!(text))).collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": CONTROLLER_NAMESPACE}, "data": data,
    })
}

/// One server of 16 slots takes 6.5 requests of 64 tokens in and 64 out per second with 13 ms between tokens, and 16 without
/// such a promise: four a second need one, ten a second need two, and neither comes near a full cache or a queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_grows_with_the_rate_of_requests_before_its_servers_are_saturated_and_shrinks_with_it() {
    with_environment(async |environment: &Environment| {
        let classes = [
            (
                "serviceClasses",
                "- {name: Premium, model: meta-llama/Llama-3.1-8B, priority: 1, slo-itl: 13, slo-ttw: 500}",
            ),
            (
                "profiles",
                "- {model: meta-llama/Llama-3.1-8B, accelerator: A100, alpha: 11.45, beta: 0.0856, gamma: 0.00049}",
            ),
        ];
        let server =
            Vllm { slots: "16".to_owned(), blocks: "4096".to_owned(), ..Vllm::new(NAMESPACE, VARIANT, MODEL, A100) };
        let scene =
            Scene::new(environment, "wva.proactiveModel=true", config_map("serviceclass", &classes), server).await;

        let load = scene.load(4.0, (64, 64));
        let rate = format!("sum(rate(vllm:request_success_total{{namespace=\"{NAMESPACE}\"}}[10s]))");
        scene.until("the load to be seen in full", &rate, |rate| rate > 3.5).await;
        scene.until_replicas(|replicas| replicas == "1/1").await;

        load.reshape(Shape::Rate { per_second: 10.0 });
        scene.until_replicas(|replicas| replicas == "2/2").await;
        let told = scene.told().await;
        assert!(told.contains("requests arrive per second and the replicas can take"), "{told}");
        let [kv, queue] = ["vllm:kv_cache_usage_perc", "vllm:num_requests_waiting"]
            .map(|name| format!("max(max_over_time({name}{{namespace=\"{NAMESPACE}\"}}[10m]))"));
        let (kv, queue) = (scene.highest(&kv).await, scene.highest(&queue).await);
        anstream::println!("grown at a KV cache of at most {kv:.3} and a queue of at most {queue}");
        assert!(kv < 0.5 && queue < 2.0, "saturation alone would have grown too: KV cache {kv}, queue {queue}");

        let explained = scene.explained().await;
        let per_replica = explained["forecast"]["variants"][0]["perReplica"].as_f64().unwrap();
        assert!((6.0..7.0).contains(&per_replica), "{explained:#}");

        let report = load.stop(Duration::from_secs(10)).await;
        assert_eq!(report.sent, report.ok, "{report:?}");
        scene.until_replicas(|replicas| replicas == "1/1").await;
    })
    .await;
}

/// The same servers and requests, but nobody says how fast they are: the controller finds it out from what the requests see, and
/// then grows ahead as with a profile. What it learns from light load may be a quarter off.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_profile_grows_with_the_rate_once_its_speed_is_learnt() {
    with_environment(async |environment: &Environment| {
        let classes = [(
            "serviceClasses",
            "- {name: Premium, model: meta-llama/Llama-3.1-8B, priority: 1, slo-itl: 13, slo-ttw: 500}",
        )];
        let server =
            Vllm { slots: "16".to_owned(), blocks: "4096".to_owned(), ..Vllm::new(NAMESPACE, VARIANT, MODEL, A100) };
        let scene =
            Scene::new(environment, "wva.proactiveModel=true", config_map("serviceclass", &classes), server).await;

        let load = scene.load(4.0, (64, 64));
        let learnt = wait::until("the speed to be learnt", PATIENCE, || async {
            let explained = scene.explained().await;
            let variant = &explained["forecast"]["variants"][0];
            match variant["perReplica"].as_f64() {
                Some(per_replica) if variant["learnt"] == true => Look::Done(per_replica),
                _ => Look::NotYet(explained["forecast"].to_string()),
            }
        });
        let learnt = learnt.await.unwrap();
        anstream::println!("learnt: {learnt:.2} requests per second and replica");
        assert!((6.5 * 0.7..6.5 * 1.3).contains(&learnt), "{learnt}");

        load.reshape(Shape::Rate { per_second: 10.0 });
        scene.until_replicas(|replicas| replicas == "2/2" || replicas == "3/3").await;
        let told = scene.told().await;
        assert!(told.contains("requests arrive per second and the replicas can take"), "{told}");
        let report = load.stop(Duration::from_secs(10)).await;
        assert_eq!(report.sent, report.ok, "{report:?}");
        scene.until_replicas(|replicas| replicas == "1/1").await;
    })
    .await;
}

/// The queue of a server that is full holds more tokens than fit: the `saturation` analyzer adds room for them, and takes it
/// back when the load is gone.
#[tokio::test(flavor = "multi_thread")]
async fn the_saturation_analyzer_grows_with_the_tokens_that_are_asked_for_and_shrinks_when_they_are_gone() {
    with_environment(async |environment: &Environment| {
        let entries = [("default", "analyzerName: saturation\n")];
        let settings = config_map(&format!("{CONTROLLER_RELEASE}-saturation-scaling-config"), &entries);
        let server = Vllm::new(NAMESPACE, VARIANT, MODEL, A100);
        let scene = Scene::new(environment, "wva.proactiveModel=false", settings, server).await;

        // Four slots answer about two and a half requests of this size per second.
        let load = scene.load(4.0, (256, 128));
        scene.until_replicas(|replicas| !replicas.starts_with('1') && !replicas.ends_with("/1")).await;
        let told = scene.told().await;
        assert!(told.contains("the model needs room for"), "{told}");

        let report = load.stop(PATIENCE).await;
        assert_eq!(report.sent, report.ok, "{report:?}");
        scene.until_replicas(|replicas| replicas == "1/1").await;
        let told = scene.told().await;
        assert!(told.contains("tokens of room can go"), "{told}");
    })
    .await;
}
