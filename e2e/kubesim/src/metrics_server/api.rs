//! What the metrics server answers: `NodeMetrics` and `PodMetrics` of `metrics.k8s.io/v1beta1`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    samples::{Measured, Usage},
};
use crate::{apiserver::LabelSelector, controllers::pods};

const VERSION: &str = "metrics.k8s.io/v1beta1";

type Answer = (StatusCode, Json<Value>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Selected {
    label_selector: String,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/apis/metrics.k8s.io/v1beta1", get(resources))
        .route("/apis/metrics.k8s.io/v1beta1/nodes", get(nodes))
        .route("/apis/metrics.k8s.io/v1beta1/nodes/{name}", get(node))
        .route("/apis/metrics.k8s.io/v1beta1/pods", get(all_pods))
        .route("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", get(pods_of))
        .route("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{name}", get(pod))
        .with_state(shared)
}

async fn resources() -> Json<Value> {
    let resource = |name, kind, namespaced: bool| json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]});
    Json(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION,
        "resources": [resource("nodes", "NodeMetrics", false), resource("pods", "PodMetrics", true)],
    }))
}

async fn nodes(State(shared): State<Arc<Shared>>, Query(selected): Query<Selected>) -> Answer {
    let Ok(selector) = LabelSelector::parse(&selected.label_selector) else { return unreadable(&selected) };
    let samples = shared.samples();
    let nodes = shared.nodes.list();
    let items = nodes.iter().filter(|node| selector.matches(node.labels()));
    list(
        "NodeMetricsList",
        items.filter_map(|node| Some(of_node(&node.name_any(), node.labels(), &samples.node(&node.name_any())?))),
    )
}

async fn node(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Answer {
    let known = shared.nodes.list().into_iter().find(|node| node.name_any() == name);
    let measured = shared.samples().node(&name);
    match known.zip(measured) {
        Some((node, measured)) => found("NodeMetrics", of_node(&name, node.labels(), &measured)),
        None => missing("nodes", &name),
    }
}

async fn all_pods(state: State<Arc<Shared>>, query: Query<Selected>) -> Answer {
    select(&state, None, &query)
}

async fn pods_of(state: State<Arc<Shared>>, Path(namespace): Path<String>, query: Query<Selected>) -> Answer {
    select(&state, Some(&namespace), &query)
}

fn select(shared: &Shared, namespace: Option<&str>, selected: &Selected) -> Answer {
    let Ok(selector) = LabelSelector::parse(&selected.label_selector) else { return unreadable(selected) };
    let pods = namespace.map_or_else(|| shared.pods.list(), |namespace| shared.pods.in_namespace(namespace));
    let samples = shared.samples();
    let items = pods.iter().filter(|pod| selector.matches(pod.labels()));
    list(
        "PodMetricsList",
        items.filter_map(|pod| {
            let measured = samples.pod(&pod.namespace()?, &pod.name_any()).filter(|_| !pods::is_finished(pod))?;
            Some(of_pod(pod, &measured))
        }),
    )
}

async fn pod(State(shared): State<Arc<Shared>>, Path((namespace, name)): Path<(String, String)>) -> Answer {
    let known = shared.pods.in_namespace(&namespace).into_iter().find(|pod| pod.name_any() == name);
    let measured = shared.samples().pod(&namespace, &name);
    match known.zip(measured) {
        Some((pod, measured)) => found("PodMetrics", of_pod(&pod, &measured)),
        None => missing("pods", &format!("{namespace}/{name}")),
    }
}

fn of_node(name: &str, labels: &BTreeMap<String, String>, measured: &Measured) -> Value {
    let usage = measured.usage.values().next().copied().unwrap_or_default();
    json!({
        "metadata": {"name": name, "creationTimestamp": seconds(measured), "labels": labels},
        "timestamp": seconds(measured),
        "window": window(measured),
        "usage": amounts(usage),
    })
}

fn of_pod(pod: &Pod, measured: &Measured) -> Value {
    let containers: Vec<Value> =
        measured.usage.iter().map(|(name, usage)| json!({"name": name, "usage": amounts(*usage)})).collect();
    json!({
        "metadata": {
            "name": pod.name_any(),
            "namespace": pod.namespace(),
            "creationTimestamp": seconds(measured),
            "labels": pod.labels(),
        },
        "timestamp": seconds(measured),
        "window": window(measured),
        "containers": containers,
    })
}

fn amounts(usage: Usage) -> Value {
    json!({"cpu": format!("{}n", usage.nanocores), "memory": format!("{}Ki", usage.memory_bytes / 1024)})
}

fn seconds(measured: &Measured) -> String {
    format!("{:.0}", measured.at)
}

/// As Go writes durations of less than an hour.
fn window(measured: &Measured) -> String {
    let seconds = measured.window.as_millis();
    format!("{}.{:03}s", seconds / 1000, seconds % 1000)
}

fn list(kind: &str, items: impl Iterator<Item = Value>) -> Answer {
    let items: Vec<Value> = items.collect();
    (StatusCode::OK, Json(json!({"kind": kind, "apiVersion": VERSION, "metadata": {}, "items": items})))
}

fn found(kind: &str, mut object: Value) -> Answer {
    object["kind"] = json!(kind);
    object["apiVersion"] = json!(VERSION);
    (StatusCode::OK, Json(object))
}

fn missing(plural: &str, name: &str) -> Answer {
    let message = format!("{plural}.metrics.k8s.io {name:?} not found");
    status(404, "NotFound", &message, &json!({"name": name, "group": "metrics.k8s.io", "kind": plural}))
}

fn unreadable(selected: &Selected) -> Answer {
    status(400, "BadRequest", &format!("unable to parse label selector {:?}", selected.label_selector), &json!({}))
}

fn status(code: u16, reason: &str, message: &str, details: &Value) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code,
    });
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body))
}
