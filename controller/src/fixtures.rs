//! Fakes of the two services the controller talks to, and objects as users write them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use k8s_openapi::api::apps::v1::{Deployment as ApiDeployment, ReplicaSet as ApiReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod as ApiPod;
use kube::core::PartialObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wva_api::VariantAutoscaling;

use crate::cluster::index::{Effect, Index, convert, hpa};
use crate::config;
use crate::observe::prometheus::{Queries, Selector};

pub(crate) fn yaml<T: DeserializeOwned>(text: &str) -> T {
    serde_saphyr::from_str(text).unwrap()
}

/// An index filled by sentences.
impl Index {
    pub(crate) fn with_variant(mut self, text: &str) -> Self {
        let _effect = self.apply_variant(text);
        self
    }

    pub(crate) fn apply_variant(&mut self, text: &str) -> Effect {
        let object: VariantAutoscaling = yaml(text);
        self.apply(convert::key(&object.metadata), convert::variant(object))
    }

    /// A Deployment with its one `ReplicaSet`.
    pub(crate) fn with_deployment(mut self, name: &str, replicas: u32) -> Self {
        let _effect = self.apply_deployment(name, replicas);
        self
    }

    /// With one that asks for so many replicas and has so many.
    pub(crate) fn with_deployment_in_state(mut self, name: &str, asked: u32, there: u32) -> Self {
        let _effect = self.apply_deployment_in_state(name, asked, there);
        self
    }

    pub(crate) fn apply_deployment(&mut self, name: &str, replicas: u32) -> Effect {
        self.apply_deployment_in_state(name, replicas, replicas)
    }

    fn apply_deployment_in_state(&mut self, name: &str, asked: u32, there: u32) -> Effect {
        let text = format!(
            "{{metadata: {{namespace: ns, name: {name}, uid: uid-{name}}}, spec: {{replicas: {asked}, selector: {{}}, \
             template: {{spec: {{containers: []}}}}}}, status: {{replicas: {there}}}}}"
        );
        let set: PartialObjectMeta<ApiReplicaSet> = yaml(&format!(
            "{{metadata: {{namespace: ns, name: {name}-1, uid: uid-{name}-1, \
             ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: {name}, uid: uid-{name}, controller: true}}]}}}}"
        ));
        let _effect = self.apply(convert::key(&set.metadata), convert::replica_set(set).unwrap());
        let object: ApiDeployment = yaml(&text);
        self.apply(convert::key(&object.metadata), convert::deployment(object))
    }

    /// A pod of that Deployment, ready since 2026-01-01.
    pub(crate) fn with_pod(self, deployment: &str, name: &str) -> Self {
        let ready =
            "{phase: Running, conditions: [{type: Ready, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z'}]}";
        self.with_pod_in_state(deployment, name, ready)
    }

    /// A pod of that Deployment with this status.
    pub(crate) fn with_pod_in_state(mut self, deployment: &str, name: &str, status: &str) -> Self {
        let object: ApiPod = yaml(&format!(
            "{{metadata: {{namespace: ns, name: {name}, \
             ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: {deployment}-1, uid: uid-{deployment}-1, controller: true}}]}}, \
             status: {status}}}"
        ));
        let _effect = self.apply(convert::key(&object.metadata), convert::pod(object).unwrap());
        self
    }

    pub(crate) fn with_hpa(mut self, target: &str, min: u32, max: u32) -> Self {
        let _effect = self.apply_hpa(target, min, max);
        self
    }

    pub(crate) fn apply_hpa(&mut self, target: &str, min: u32, max: u32) -> Effect {
        let object: HorizontalPodAutoscaler = yaml(&format!(
            "{{metadata: {{namespace: ns, name: {target}-hpa}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, \
             name: {target}}}, minReplicas: {min}, maxReplicas: {max}}}}}"
        ));
        self.apply(convert::key(&object.metadata), hpa::read(object).unwrap())
    }
}

/// A variant of model `llama` in namespace `ns`, with a target of its own name.
pub(crate) fn variant(name: &str) -> String {
    variant_on(name, name)
}

pub(crate) fn variant_on(name: &str, target: &str) -> String {
    format!(
        "{{apiVersion: llmd.ai/v1alpha1, kind: VariantAutoscaling, metadata: {{namespace: ns, name: {name}, uid: uid-{name}, \
         resourceVersion: '1', generation: 1, \
         labels: {{inference.optimization/acceleratorName: A100}}}}, \
         spec: {{modelID: llama, scaleTargetRef: {{kind: Deployment, name: {target}}}}}}}"
    )
}

/// How to reach a Prometheus without anything special.
pub(crate) fn plain_prometheus(url: &str) -> config::Prometheus {
    config::Prometheus {
        url: url.parse().unwrap(),
        skip_verify: false,
        ca_file: None,
        client_pair: None,
        server_name: None,
        token: None,
        headers: config::Headers::default(),
        matchers: config::Matchers::default(),
    }
}

/// Answers queries about pods of namespace `ns` and model `llama`.
#[derive(Clone, Default)]
pub(crate) struct FakePrometheus(Arc<FakeState>);

struct FakeState {
    pods: Mutex<BTreeMap<String, (f64, f64)>>,
    /// Loads of this moment, of pods where they are not the peaks.
    now_of_pods: Mutex<BTreeMap<String, (f64, f64)>>,
    requests: AtomicUsize,
    broken: Mutex<bool>,
    silent: AtomicBool,
    /// Model name the pods report.
    model: Mutex<&'static str>,
    /// Age of what was scraped, in seconds.
    age: Mutex<f64>,
    /// Its clock, in seconds since 1970.
    now: Mutex<f64>,
}

impl Default for FakeState {
    fn default() -> Self {
        Self {
            pods: Mutex::default(),
            now_of_pods: Mutex::default(),
            requests: AtomicUsize::default(),
            broken: Mutex::default(),
            silent: AtomicBool::default(),
            model: Mutex::new("llama"),
            age: Mutex::new(3.0),
            now: Mutex::new(1_800_000_000.0),
        }
    }
}

impl FakePrometheus {
    pub(crate) async fn start(&self) -> config::Prometheus {
        let router = Router::new().route("/api/v1/query", post(answer)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        crate::install_crypto();
        plain_prometheus(&url)
    }

    pub(crate) fn set(&self, pod: &str, kv_usage: f64, queue_length: f64) {
        self.0.pods.lock().unwrap().insert(pod.to_owned(), (kv_usage, queue_length));
    }

    /// What is there at this moment, beside the peak that [`FakePrometheus::set`] says.
    pub(crate) fn set_now(&self, pod: &str, kv_usage: f64, queue_length: f64) {
        self.0.now_of_pods.lock().unwrap().insert(pod.to_owned(), (kv_usage, queue_length));
    }

    pub(crate) fn break_down(&self, broken: bool) {
        *self.0.broken.lock().unwrap() = broken;
    }

    pub(crate) fn forget(&self, pod: &str) {
        self.0.pods.lock().unwrap().remove(pod);
    }

    pub(crate) fn fall_silent(&self, silent: bool) {
        self.0.silent.store(silent, Ordering::SeqCst);
    }

    pub(crate) fn report_model(&self, model: &'static str) {
        *self.0.model.lock().unwrap() = model;
    }

    pub(crate) fn age(&self, seconds: f64) {
        *self.0.age.lock().unwrap() = seconds;
    }

    pub(crate) fn set_clock(&self, seconds: f64) {
        *self.0.now.lock().unwrap() = seconds;
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }
}

async fn answer(State(fake): State<FakePrometheus>, body: Bytes) -> Response {
    fake.0.requests.fetch_add(1, Ordering::SeqCst);
    if fake.0.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    if *fake.0.broken.lock().unwrap() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting up").into_response();
    }
    let form = format!("http://form/?{}", String::from_utf8(body.to_vec()).unwrap());
    let form: reqwest::Url = form.parse().unwrap();
    let (_, query) = form.query_pairs().find(|(name, _)| name == "query").unwrap();
    let (now, age, model) = (*fake.0.now.lock().unwrap(), *fake.0.age.lock().unwrap(), *fake.0.model.lock().unwrap());
    let known = Known::find(&query);
    let is_now = matches!(known, Some(Known::KvUsageNow | Known::QueueLengthNow));
    let value_of: fn((f64, f64), f64) -> f64 = match known {
        Some(Known::Probe | Known::Nothing) => return vector(&[]),
        Some(Known::NearLimits) => return near_limits(&fake, &query, now, model),
        Some(Known::ScrapedAt) => |_, scraped_at| scraped_at,
        Some(Known::QueueLength | Known::QueueLengthNow) => |(_, queue_length), _| queue_length,
        Some(Known::KvUsage | Known::KvUsageNow) => |(kv_usage, _), _| kv_usage,
        None => {
            let error = format!("the fake does not know this query: {query}");
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    };
    let mut pods = fake.0.pods.lock().unwrap().clone();
    if is_now {
        pods.extend(fake.0.now_of_pods.lock().unwrap().clone());
    }
    let series: Vec<Value> =
        pods.iter().map(|(pod, load)| one(pod, model, "", (now, value_of(*load, now - age)))).collect();
    vector(&series)
}

/// The queries that are answered, all of them without restriction and over the default window.
enum Known {
    Probe,
    Nothing,
    KvUsage,
    QueueLength,
    KvUsageNow,
    QueueLengthNow,
    ScrapedAt,
    NearLimits,
}

impl Known {
    fn find(query: &str) -> Option<Self> {
        let Queries { kv_usage, queue_length, kv_usage_now, queue_length_now, scraped_at, unlabelled, .. } =
            Queries::new(Duration::from_mins(1), Selector::default());
        match query {
            "vector(1)" => Some(Self::Probe),
            // Nobody else publishes.
            _ if query.starts_with("timestamp(wva_desired_replicas{") => Some(Self::Nothing),
            _ if query == unlabelled => Some(Self::Nothing),
            _ if query == kv_usage => Some(Self::KvUsage),
            _ if query == queue_length => Some(Self::QueueLength),
            _ if query == kv_usage_now => Some(Self::KvUsageNow),
            _ if query == queue_length_now => Some(Self::QueueLengthNow),
            _ if query == scraped_at => Some(Self::ScrapedAt),
            _ if query.starts_with("label_replace(") && query.contains(" > ") => Some(Self::NearLimits),
            _ => None,
        }
    }
}

/// The only comparison we ask for: KV usage first, queue length last.
fn near_limits(fake: &FakePrometheus, query: &str, now: f64, model: &str) -> Response {
    let limits: Vec<f64> =
        query.split(" > ").skip(1).map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect();
    let (kv_limit, queue_limit) = (limits[0], limits[limits.len() - 1]);
    let mut series = Vec::new();
    for (pod, &(kv_usage, queue_length)) in fake.0.pods.lock().unwrap().iter() {
        series.extend((kv_usage > kv_limit).then(|| one(pod, model, "kv_usage", (now, kv_usage))));
        series.extend((queue_length > queue_limit).then(|| one(pod, model, "queue_length", (now, queue_length))));
    }
    vector(&series)
}

fn one(pod: &str, model: &str, load: &str, (now, value): (f64, f64)) -> Value {
    let metric = json!({"namespace": "ns", "pod": pod, "model_name": model, "load": load});
    json!({"metric": metric, "value": [now, value.to_string()]})
}

fn vector(series: &[Value]) -> Response {
    Json(json!({"status": "success", "data": {"resultType": "vector", "result": series}})).into_response()
}

/// An API server that takes what is sent and keeps it for the test.
#[derive(Clone, Default)]
pub(crate) struct FakeApi(Arc<Mutex<FakeApiState>>);

#[derive(Default)]
struct FakeApiState {
    requests: Vec<Recorded>,
    /// Status codes to refuse the next requests with.
    refusals: Vec<u16>,
    /// Answers nothing at all.
    silent: bool,
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) line: String,
    pub(crate) body: Value,
}

impl FakeApi {
    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new().fallback(record).with_state(self.clone());
        kube::Client::new(router, "default")
    }

    pub(crate) fn refuse(&self, codes: &[u16]) {
        self.0.lock().unwrap().refusals = codes.to_vec();
    }

    pub(crate) fn fall_silent(&self, silent: bool) {
        self.0.lock().unwrap().silent = silent;
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.0.lock().unwrap().requests.clone()
    }
}

async fn record(State(fake): State<FakeApi>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (refusal, silent) = {
        let mut state = fake.0.lock().unwrap();
        state.requests.push(Recorded { line, body: body.clone() });
        let refusal = if state.refusals.is_empty() { None } else { Some(state.refusals.remove(0)) };
        (refusal, state.silent)
    };
    if silent {
        std::future::pending::<()>().await;
    }
    if let Some(code) = refusal {
        let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "Refused"});
        return (StatusCode::from_u16(code).unwrap(), Json(status)).into_response();
    }
    let mut stored = body;
    // The next version of what was written over.
    let version = stored["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok()).unwrap_or(0);
    stored["metadata"]["resourceVersion"] = json!((version + 1_u64).to_string());
    stored["spec"] = json!({"modelID": "llama", "scaleTargetRef": {"kind": "Deployment", "name": "a"}});
    Json(stored).into_response()
}

/// Waits until a condition holds; fails the test when that takes longer than five seconds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within five seconds");
}
