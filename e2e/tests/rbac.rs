//! The chart's roles, enforced: nothing the controller does is refused, and nothing is granted that it does not use.
//!
//! In clusters of their own: kinds of targets are defined, and the record of requests is that of one controller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kubesim::apiserver::Authorization;
use serde_json::{Value, json};
use tokio::sync::watch;
use vllm_sim::epp::{self, Epp};
use wva_api::labels;
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::harness::with_settings;
use wva_e2e::instance::{Controller, Model, make_namespace};
use wva_e2e::rights::{Account, Right};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const TEAM: &str = "team-a";
const SYSTEM: &str = "wva-system";
const PATIENCE: Duration = Duration::from_mins(1);
const KINDS: &str = include_str!("../manifests/kinds.yaml");
/// Kinds of targets that the chart grants rights to.
const TARGETS: [(&str, &str); 5] = [
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
    ("Rollout", "argoproj.io/v1alpha1"),
];

/// Rights that are granted and may stay unused, each with its reason.
const EXCEPTIONS: [(&str, &str); 1] =
    [("patch events.events.k8s.io", "an event that repeats is counted up once a minute, later than the test waits")];

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_wide_controller_has_the_rights_it_uses_and_no_others() {
    check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaced_controller_has_the_rights_it_uses_and_no_others() {
    check(true).await;
}

async fn check(namespaced: bool) {
    let enforced = |settings| Settings { authorization: Authorization::Rbac, ..settings };
    with_settings(enforced, async |environment: &Environment| {
        let kubectl = environment.kubectl();
        kubectl.apply(KINDS).await.expect("the kinds are defined");
        make_namespace(kubectl, TEAM).await.expect("the namespace is made");
        install(environment, namespaced).await;
        let _picker = exercise(environment).await;

        let account = Account { namespace: SYSTEM.to_owned(), name: controller_account(environment).await };
        let granted = account.granted(&environment.client()).await.expect("roles and bindings are listed");
        assert!(!granted.is_empty(), "no binding names {account:?}");
        // Some rights are used a little later, such as those to repeat an event.
        let outcome = wait::until("all granted rights to be used", PATIENCE, || async {
            let requests = environment.control().expect("the embedded cluster has a record").requests();
            let unused = unused(&granted, &account.used(&requests));
            if unused.is_empty() { Look::Done(()) } else { Look::NotYet(words(&unused)) }
        })
        .await;
        let lacked = account.lacked(&environment.control().expect("the embedded cluster has a record").requests());
        assert_eq!(words(&lacked), "", "refused");
        outcome.expect("no right is granted without need");
    })
    .await;
}

fn unused(granted: &BTreeSet<Right>, used: &BTreeSet<Right>) -> BTreeSet<Right> {
    let excepted = |right: &Right| EXCEPTIONS.iter().any(|(exception, _)| *exception == right.to_string());
    granted.difference(used).filter(|right| !excepted(right)).cloned().collect()
}

fn words(rights: &BTreeSet<Right>) -> String {
    rights.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every feature that needs rights is on: secure metrics by default, GPU limiter, scale to zero.
async fn install(environment: &Environment, namespaced: bool) {
    let prometheus = environment.prometheus();
    let mut controller = Controller::quick("wva", SYSTEM, "", prometheus.url());
    controller.set.extend([
        format!("wva.namespaceScoped={namespaced}"),
        format!("llmd.namespace={TEAM}"),
        "wva.limitedMode=true".to_owned(),
        "wva.scaleToZero=true".to_owned(),
        // What a standby does needs rights as well.
        "wva.replicaCount=2".to_owned(),
    ]);
    controller.install(environment.kubectl()).await.expect("the controller installs");
}

/// Uses what the controller can do: a Deployment that is scaled, sleeping targets of all kinds that are woken, a
/// ConfigMap edit that is refused twice, metrics that are scraped.
async fn exercise(environment: &Environment) -> Epp {
    let kubectl = environment.kubectl();
    let awake = Vllm::new(TEAM, "awake", "example/awake", A100);
    kubectl.apply(&awake.manifest().expect("a manifest")).await.expect("the Deployment is applied");
    let model = Model { release: "awake", server: &awake, accelerator: A100.name, cost: "10", max: 2, instance: "" };
    model.add(kubectl).await.expect("the model is added");

    let asleep = Vllm { replicas: 0, ..Vllm::new(TEAM, "deployment", "example/deployment", A100) };
    kubectl.apply(&asleep.manifest().expect("a manifest")).await.expect("the Deployment is applied");
    for (kind, api_version) in &TARGETS[1..] {
        apply(environment, sleeping(kind, api_version)).await;
    }
    for (kind, api_version) in TARGETS {
        apply(environment, variant(kind, api_version)).await;
    }
    let picker = gateway(environment).await;
    for kind in TARGETS.map(|(kind, _)| kind.to_lowercase()) {
        let kind = kind.as_str();
        let query = ["get", kind, kind, "-n", TEAM, "-o", "jsonpath={.spec.replicas}"];
        wait::until(&format!("the sleeping {kind} to be woken"), PATIENCE, || async {
            match kubectl.run(&query).await {
                Ok(replicas) if replicas == "1" => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await
        .expect("the target is woken");
    }
    let patch = json!({"data": {"PROMETHEUS_BASE_URL": "http://elsewhere:9090"}}).to_string();
    let config = ["patch", "configmap", "wva-variantautoscaling-config", "-n", SYSTEM, "--type=merge", "-p", &patch];
    kubectl.run(&config).await.expect("the ConfigMap is edited");
    let prometheus = environment.prometheus();
    wait::until("Prometheus to scrape the controller", PATIENCE, || async {
        match prometheus.query("wva_desired_replicas").await {
            Ok(series) if !series.is_empty() => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await
    .expect("the metrics are scraped with a token");
    picker
}

async fn apply(environment: &Environment, object: Value) {
    environment.kubectl().apply(&object.to_string()).await.expect("the object is applied");
}

/// A target without replicas; its pods would carry the labels by which the pool finds them.
fn sleeping(kind: &str, api_version: &str) -> Value {
    let name = kind.to_lowercase();
    let labels = json!({"llm-d.ai/model": name, "llm-d.ai/inferenceServing": "true"});
    let gpus = json!({"limits": {"nvidia.com/gpu": "1"}});
    let container = json!({"name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "resources": gpus});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let spec = if kind == "LeaderWorkerSet" {
        json!({"replicas": 0, "leaderWorkerTemplate": {"size": 1, "leaderTemplate": template, "workerTemplate": template}})
    } else {
        let mut spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template});
        if kind == "StatefulSet" {
            spec["serviceName"] = json!(name);
        }
        spec
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": TEAM}, "spec": spec})
}

fn variant(kind: &str, api_version: &str) -> Value {
    let name = kind.to_lowercase();
    json!({
        "apiVersion": "llmd.ai/v1alpha1",
        "kind": "VariantAutoscaling",
        // In limited mode nothing grows on an accelerator whose GPUs are not known.
        "metadata": {"name": name, "namespace": TEAM, "labels": {labels::ACCELERATOR: A100.name}},
        "spec": {
            "modelID": format!("example/{name}"),
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name},
        },
    })
}

/// An endpoint picker with a request waiting for each sleeping model, behind pools of both groups.
async fn gateway(environment: &Environment) -> Epp {
    let (_, none) = watch::channel(Vec::new());
    let picker = Epp::start(epp::Config::new("pool"), none).await.expect("the picker starts");
    let waiting: BTreeMap<String, f64> =
        TARGETS.map(|(kind, _)| (format!("example/{}", kind.to_lowercase()), 1.0)).into();
    let pinned = reqwest::Client::new().post(format!("http://{}/admin/queue", picker.addr())).json(&waiting).send();
    pinned.await.and_then(reqwest::Response::error_for_status).expect("the queue is pinned");

    let metrics = picker.metrics_addr();
    let port = json!({"name": "metrics", "port": metrics.port(), "protocol": "TCP"});
    apply(
        environment,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "picker", "namespace": TEAM},
            "spec": {"clusterIP": "None", "ports": [port]},
        }),
    )
    .await;
    apply(
        environment,
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "picker-1", "namespace": TEAM, "labels": {"kubernetes.io/service-name": "picker"}},
            "endpoints": [{"addresses": [metrics.ip()], "conditions": {"ready": true}}],
            "ports": [port],
        }),
    )
    .await;
    let serving = json!({"llm-d.ai/inferenceServing": "true"});
    apply(
        environment,
        json!({
            "apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool",
            "metadata": {"name": "pool", "namespace": TEAM},
            "spec": {
                "selector": {"matchLabels": serving}, "targetPorts": [{"number": 8000}],
                "endpointPickerRef": {"name": "picker", "port": {"number": 9002}},
            },
        }),
    )
    .await;
    apply(
        environment,
        json!({
            "apiVersion": "inference.networking.x-k8s.io/v1alpha2", "kind": "InferencePool",
            "metadata": {"name": "old-pool", "namespace": TEAM},
            "spec": {"selector": serving, "targetPortNumber": 8000, "extensionRef": {"name": "picker"}},
        }),
    )
    .await;
    picker
}

/// The service account of the controller's pods.
async fn controller_account(environment: &Environment) -> String {
    let args = ["get", "pods", "-n", SYSTEM, "-l", "control-plane=controller-manager", "-o"];
    let args = [&args[..], &["jsonpath={.items[0].spec.serviceAccountName}"]].concat();
    environment.kubectl().run(&args).await.expect("the controller's pod")
}
