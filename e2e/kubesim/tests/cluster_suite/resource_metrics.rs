//! `metrics.k8s.io`: what pods use, and autoscalers that follow it.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kubesim::cluster::{Cluster, Options};
use serde_json::{Value, json};

use crate::{
    cluster,
    fixture::{TestCluster, deployment, eventually, shell},
};

/// A cluster whose metrics server asks the nodes often.
async fn start() -> TestCluster {
    let options = Options { metrics_resolution: Some(Duration::from_millis(400)), ..cluster::options() };
    TestCluster { cluster: Cluster::start(options).await.unwrap() }
}

async fn get(test: &TestCluster, path: &str) -> Option<Value> {
    let request = axum::http::Request::get(format!("/apis/metrics.k8s.io/v1beta1{path}")).body(Vec::new()).unwrap();
    test.cluster.client().request(request).await.ok()
}

/// Billionths of a core.
fn cpu(usage: &Value) -> u64 {
    usage["cpu"].as_str().and_then(|text| text.strip_suffix('n')?.parse().ok()).unwrap_or_default()
}

fn workload(name: &str, script: &str) -> Value {
    let mut spec = shell(script);
    spec["containers"][0]["resources"] = json!({"requests": {"cpu": "100m", "memory": "64Mi"}});
    deployment(name, 1, &spec)
}

#[tokio::test]
async fn what_processes_use_is_told_of_their_pods_and_nodes() {
    let test = start().await;
    test.create::<Deployment>(workload("busy", "while :; do :; done")).await;
    test.create::<Deployment>(workload("idle", "sleep 1000")).await;
    let of = async |app: &str| {
        let list = get(&test, &format!("/namespaces/default/pods?labelSelector=app%3D{app}")).await?;
        list["items"].get(0).cloned()
    };
    eventually("measured", async || {
        let busy = of("busy").await.map(|pod| cpu(&pod["containers"][0]["usage"])).unwrap_or_default();
        busy > 50_000_000 && of("idle").await.is_some()
    })
    .await;
    let idle = of("idle").await.unwrap();
    assert!(cpu(&idle["containers"][0]["usage"]) < 20_000_000, "{idle}");
    let pod =
        get(&test, &format!("/namespaces/default/pods/{}", idle["metadata"]["name"].as_str().unwrap())).await.unwrap();
    assert_eq!((&pod["kind"], &pod["containers"][0]["name"]), (&json!("PodMetrics"), &json!("main")));
    assert!(
        pod["window"].as_str().unwrap().ends_with('s') && pod["containers"][0]["usage"]["memory"] != "0Ki",
        "{pod}"
    );
    let nodes = get(&test, "/nodes").await.unwrap();
    assert_eq!(nodes["items"][0]["metadata"]["name"], "a100-0");
    assert!(cpu(&nodes["items"][0]["usage"]) > 50_000_000, "{nodes}");
    assert!(get(&test, "/namespaces/default/pods/none").await.is_none());
    test.shutdown().await;
}

#[tokio::test]
async fn an_autoscaler_follows_processor_time() {
    let test = start().await;
    test.create::<Deployment>(workload("busy", "while :; do :; done")).await;
    let autoscaler = json!({
        "metadata": {"name": "busy"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 20},
            }}],
        },
    });
    test.create::<HorizontalPodAutoscaler>(autoscaler).await;
    let grown = |deployment: Option<&Deployment>| deployment.and_then(|d| d.spec.as_ref()?.replicas) == Some(2);
    test.until("busy", "scaled to two", grown).await;
    let told = "SuccessfulRescale: New size: 2; reason: cpu resource utilization (percentage of request) above target";
    eventually("told", async || test.events("busy").await.iter().any(|event| event == told)).await;
    let reports = |hpa: Option<&HorizontalPodAutoscaler>| {
        let metrics = hpa.and_then(|hpa| hpa.status.as_ref()?.current_metrics.as_ref());
        let current = metrics.and_then(|metrics| metrics.first()?.resource.as_ref()).map(|metric| &metric.current);
        current.is_some_and(|current| current.average_utilization > Some(20) && current.average_value.is_some())
    };
    test.until("busy", "reporting its use", reports).await;
    test.shutdown().await;
}

#[tokio::test]
async fn without_a_metrics_server_an_autoscaler_says_so() {
    let test = TestCluster::start().await;
    test.create::<Deployment>(workload("idle", "sleep 1000")).await;
    let autoscaler = json!({
        "metadata": {"name": "idle"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "idle"},
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 20},
            }}],
        },
    });
    test.create::<HorizontalPodAutoscaler>(autoscaler).await;
    let message = "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics \
                   for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the \
                   requested resource (get pods.metrics.k8s.io)";
    let says = |hpa: Option<&HorizontalPodAutoscaler>| {
        let conditions = hpa.and_then(|hpa| hpa.status.as_ref()?.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| {
            condition.reason.as_deref() == Some("FailedGetResourceMetric")
                && condition.message.as_deref() == Some(message)
        })
    };
    test.until("idle", "told what is missing", says).await;
    test.shutdown().await;
}
