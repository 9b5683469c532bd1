//! Growth ahead of saturation by the rate of requests, and by counted tokens.

use std::time::Duration;

use serde_json::json;
use vllm_sim::load::{Load, Plan, Shape};
use wva_e2e::endpoints::{self, Follower};
use wva_e2e::gateway::{self, Variant};
use wva_e2e::instances::{Install, RELEASE, Wva, with_instances_by};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

use crate::reaches_pods;

const VARIANT: &str = "llama-a100";
const MODEL: &str = "meta-llama/Llama-3.1-8B";
const PATIENCE: Duration = Duration::from_mins(2);

/// One model on one variant, and its controller.
struct Scene<'a> {
    wva: &'a Wva<'a>,
    namespace: String,
    endpoints: Follower,
}

impl<'a> Scene<'a> {
    async fn new(wva: &'a Wva<'a>, config_map: (&str, &[(&str, &str)]), server: Vllm) -> Self {
        let kubectl = wva.kubectl();
        let namespace = wva.models();
        let (name, entries) = config_map;
        let data: serde_json::Map<_, _> = entries.iter().map(|&(key, text)| (key.to_owned(), json!(text))).collect();
        let metadata = json!({"name": name, "namespace": wva.namespace()});
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        kubectl.apply(&config_map.to_string()).await.unwrap();
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let variant = Variant {
            name: VARIANT,
            namespace: &namespace,
            model_id: MODEL,
            accelerator: "A100",
            cost: "40",
            min: 1,
            max: 3,
            instance: wva.id(),
        };
        kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
        kubectl.apply(&gateway::monitored(&namespace).unwrap()).await.unwrap();
        let client = wva.environment().client();
        let endpoints = endpoints::follow_pods(client, &namespace, "llm-d.ai/inferenceServing=true", 8000);
        let scene = Self { wva, namespace, endpoints };
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
            ["get", "va", VARIANT, "-n", &self.namespace, "-o", "jsonpath={.status.desiredOptimizedAlloc.numReplicas}"];
        let ready = ["get", "deployment", VARIANT, "-n", &self.namespace, "-o", "jsonpath={.status.readyReplicas}"];
        let kubectl = self.wva.kubectl();
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
        let prometheus = self.wva.environment().prometheus();
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
        self.wva.environment().prometheus().query(promql).await.unwrap()[0].value
    }

    /// What `kubectl wva explain` says of the variant.
    async fn explained(&self) -> serde_json::Value {
        let line = ["explain", VARIANT, "-n", &self.namespace, "-o", "json"];
        let explained = self.wva.kubectl().answer(&line).await.unwrap();
        serde_json::from_str(&explained.out).unwrap()
    }

    /// Messages of the events on the variant.
    async fn told(&self) -> String {
        let path = "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}";
        self.wva.kubectl().run(&["get", "events", "-n", &self.namespace, "-o", path]).await.unwrap()
    }
}

/// Runs a test with a controller whose growth by the rate of requests is on or off. Load comes from this machine.
async fn with_proactive_model(on: bool, test: impl AsyncFnOnce(&Wva<'_>)) {
    let set = format!("wva.proactiveModel={on}");
    with_instances_by(Install::ChartRender, &[&set], async |[wva]: &[Wva<'_>; 1]| {
        if reaches_pods(wva) {
            test(wva).await;
        }
    })
    .await;
}

/// Servers of 16 slots.
fn servers(wva: &Wva<'_>) -> Vllm {
    Vllm { slots: "16".to_owned(), blocks: "4096".to_owned(), ..Vllm::new(&wva.models(), VARIANT, MODEL, A100) }
}

/// One server of 16 slots takes 6.5 requests of 64 tokens in and 64 out per second with 13 ms between tokens, and 16 without
/// such a promise: four a second need one, ten a second need two, and neither comes near a full cache or a queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_grows_with_the_rate_of_requests_before_its_servers_are_saturated_and_shrinks_with_it() {
    with_proactive_model(true, async |wva| {
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
        let scene = Scene::new(wva, ("serviceclass", &classes), servers(wva)).await;

        let load = scene.load(4.0, (64, 64));
        let namespace = wva.models();
        let rate = format!("sum(rate(vllm:request_success_total{{namespace=\"{namespace}\"}}[10s]))");
        scene.until("the load to be seen in full", &rate, |rate| rate > 3.5).await;
        scene.until_replicas(|replicas| replicas == "1/1").await;

        load.reshape(Shape::Rate { per_second: 10.0 });
        scene.until_replicas(|replicas| replicas == "2/2").await;
        let told = scene.told().await;
        assert!(told.contains("requests arrive per second and the replicas can take"), "{told}");
        let [kv, queue] = ["vllm:kv_cache_usage_perc", "vllm:num_requests_waiting"]
            .map(|name| format!("max(max_over_time({name}{{namespace=\"{namespace}\"}}[10m]))"));
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
    with_proactive_model(true, async |wva| {
        let classes = [(
            "serviceClasses",
            "- {name: Premium, model: meta-llama/Llama-3.1-8B, priority: 1, slo-itl: 13, slo-ttw: 500}",
        )];
        let scene = Scene::new(wva, ("serviceclass", &classes), servers(wva)).await;

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
    with_proactive_model(false, async |wva| {
        let entries = [("default", "analyzerName: saturation\n")];
        let settings = format!("{RELEASE}-saturation-scaling-config");
        let server = Vllm::new(&wva.models(), VARIANT, MODEL, A100);
        let scene = Scene::new(wva, (&settings, &entries), server).await;

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
