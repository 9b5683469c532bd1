//! Horizontal pod autoscalers that follow an external metric served in the cluster.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Endpoints, Service},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use kubesim::serving::Identity;
use serde_json::{Value, json};

use crate::fixture::{TestCluster, deployment, eventually, forever, marker, shell};

/// A metrics adapter whose single value is set by the test; `None` means that there is no series.
#[derive(Clone, Default)]
struct Adapter {
    value: Arc<Mutex<Option<String>>>,
    /// How often the value was asked for.
    asked: Arc<AtomicUsize>,
}

type Answer = Result<Json<Value>, StatusCode>;

impl Adapter {
    /// Listens in the cluster's network and registers with the API server.
    async fn start(test: &TestCluster) -> Self {
        let adapter = Self::default();
        let [a, b] = test.cluster.network();
        let address = Ipv4Addr::new(a, b, 0, 5);
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new()
            .route("/apis/external.metrics.k8s.io/v1beta1", get(resources))
            .route("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}", get(values))
            .with_state(adapter.clone());
        let identity = Identity::generate("adapter.default.svc").unwrap();
        tokio::spawn(identity.serve(listener, router).await.unwrap());
        test.create::<Service>(json!({"metadata": {"name": "adapter"}, "spec": {"ports": [{"port": port}]}})).await;
        let endpoints = json!({"metadata": {"name": "adapter"}, "subsets": [{"addresses": [{"ip": address}], "ports": [{"port": port}]}]});
        test.create::<Endpoints>(endpoints).await;
        let service: APIService = serde_json::from_value(json!({
            "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "service": {"namespace": "default", "name": "adapter", "port": port},
                "caBundle": identity.bundle(),
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        }))
        .unwrap();
        Api::all(test.cluster.client()).create(&PostParams::default(), &service).await.unwrap();
        adapter
    }

    fn set(&self, value: Option<&str>) {
        *self.value.lock().unwrap() = value.map(str::to_owned);
    }

    /// Returns when the value was asked for that many times more: once in a sync of the autoscaler.
    async fn asked_again(&self, times: usize) {
        let until = self.asked.load(Ordering::SeqCst) + times;
        eventually("asked again", async || self.asked.load(Ordering::SeqCst) >= until).await;
    }
}

async fn resources() -> Json<Value> {
    let metric = json!({"name": "wva_desired_replicas", "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]});
    Json(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": [metric],
    }))
}

async fn values(
    State(adapter): State<Adapter>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    if (namespace.as_str(), query.get("labelSelector").map(String::as_str)) != ("default", Some("variant_name=web")) {
        return Err(StatusCode::BAD_REQUEST);
    }
    adapter.asked.fetch_add(1, Ordering::SeqCst);
    let value = adapter.value.lock().unwrap().clone();
    let items: Vec<Value> = value
        .into_iter()
        .map(|value| json!({"metricName": metric, "metricLabels": {"variant_name": "web"}, "timestamp": "2026-01-01T00:00:00Z", "value": value}))
        .collect();
    let list = json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": items});
    Ok(Json(list))
}

fn autoscaler(min: i32, max: i32) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": min,
            "maxReplicas": max,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": {"variant_name": "web"}}},
                "target": {"type": "AverageValue", "averageValue": "1"},
            }}],
            "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0}, "scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    })
}

async fn started(replicas: i32, min: i32, max: i32) -> (TestCluster, Adapter) {
    let test = if min == 0 { TestCluster::start_with_zero().await } else { TestCluster::start().await };
    let adapter = Adapter::start(&test).await;
    test.create::<Deployment>(deployment("web", replicas, &shell(&forever(&marker())))).await;
    test.create::<HorizontalPodAutoscaler>(autoscaler(min, max)).await;
    (test, adapter)
}

async fn scaled_to(test: &TestCluster, replicas: i32) {
    let asks_for =
        |deployment: Option<&Deployment>| deployment.and_then(|d| d.spec.as_ref()?.replicas) == Some(replicas);
    test.until("web", &format!("scaled to {replicas}"), asks_for).await;
}

fn condition(hpa: Option<&HorizontalPodAutoscaler>, kind: &str) -> Option<(String, String)> {
    let conditions = hpa?.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((condition.status.clone(), condition.reason.clone()?))
}

async fn until_condition(test: &TestCluster, kind: &str, status: &str, reason: &str) {
    let wanted = Some((status.to_owned(), reason.to_owned()));
    let holds = |hpa: Option<&HorizontalPodAutoscaler>| condition(hpa, kind) == wanted;
    test.until("web", &format!("{kind}={status} {reason}"), holds).await;
}

#[tokio::test]
async fn an_autoscaler_follows_its_metric_up_and_down_within_its_bounds() {
    let (test, adapter) = started(1, 1, 3).await;
    until_condition(&test, "ScalingActive", "False", "FailedGetExternalMetric").await;
    adapter.set(Some("2"));
    scaled_to(&test, 2).await;
    until_condition(&test, "ScalingActive", "True", "ValidMetricFound").await;
    adapter.set(Some("9"));
    scaled_to(&test, 3).await;
    until_condition(&test, "ScalingLimited", "True", "TooManyReplicas").await;
    adapter.set(Some("1"));
    scaled_to(&test, 1).await;
    let reason = "All metrics below target";
    eventually("told in events", async || {
        test.events("web").await.contains(&format!("SuccessfulRescale: New size: 1; reason: {reason}"))
    })
    .await;
    let hpa = test.api::<HorizontalPodAutoscaler>().get("web").await.unwrap();
    let metric = hpa.status.unwrap().current_metrics.unwrap().remove(0).external.unwrap();
    assert!(metric.current.average_value.is_some());
    test.shutdown().await;
}

#[tokio::test]
async fn without_its_metric_an_autoscaler_holds() {
    let (test, adapter) = started(2, 1, 5).await;
    adapter.set(Some("3"));
    scaled_to(&test, 3).await;
    adapter.set(None);
    until_condition(&test, "ScalingActive", "False", "FailedGetExternalMetric").await;
    adapter.asked_again(6).await;
    let replicas = test.api::<Deployment>().get("web").await.unwrap().spec.unwrap().replicas;
    assert_eq!(replicas, Some(3));
    test.shutdown().await;
}

#[tokio::test]
async fn zero_is_reached_and_left_only_by_an_autoscaler_that_may() {
    let (test, adapter) = started(1, 0, 3).await;
    adapter.set(Some("0"));
    scaled_to(&test, 0).await;
    adapter.set(Some("2"));
    scaled_to(&test, 2).await;
    let api = test.api::<HorizontalPodAutoscaler>();
    api.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"minReplicas": 1}}))).await.unwrap();
    let zero = Patch::Merge(json!({"spec": {"replicas": 0}}));
    test.api::<Deployment>().patch("web", &PatchParams::default(), &zero).await.unwrap();
    until_condition(&test, "ScalingActive", "False", "ScalingDisabled").await;
    scaled_to(&test, 0).await;
    test.shutdown().await;
}

#[tokio::test]
async fn a_missing_target_is_reported() {
    let test = TestCluster::start().await;
    test.create::<HorizontalPodAutoscaler>(autoscaler(1, 3)).await;
    until_condition(&test, "AbleToScale", "False", "FailedGetScale").await;
    test.shutdown().await;
}
