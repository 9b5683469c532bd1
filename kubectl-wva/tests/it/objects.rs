//! Objects of a cluster, written as sentences.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kubectl_wva::readers::controllers::Controller;
use kubectl_wva::readers::variants::Guarded;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// When the fixtures were written.
pub(crate) const NOW: &str = "2026-01-02T03:04:05Z";
/// 30 s before.
pub(crate) const RECENTLY: &str = "2026-01-02T03:03:35Z";

pub(crate) fn typed<T: DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap()
}

/// A Deployment with replicas that are all ready.
pub(crate) fn deployment(namespace: &str, name: &str, replicas: i32) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"llm-d.ai/model": name.trim_end_matches("-decode")}},
                "spec": {"containers": [{"name": "vllm", "image": "localhost/vllm:1"}]},
            },
        },
        "status": {"replicas": replicas, "readyReplicas": replicas},
    })
}

/// A controller that watches some namespaces, or all; `id` may be empty.
pub(crate) fn controller(namespace: &str, id: &str, watches: &[&str]) -> Controller {
    let args: Vec<String> =
        if watches.is_empty() { vec![] } else { vec![format!("--watch-namespace={}", watches.join(","))] };
    let mut object = deployment(namespace, "wva-controller-manager", 1);
    object["spec"]["template"]["spec"]["containers"] = json!([{
        "name": "manager", "image": "localhost/wva-controller:0.6.0", "args": args,
        "env": [{"name": "CONTROLLER_INSTANCE", "value": id}],
    }]);
    Controller::of(&typed(&object)).unwrap()
}

/// A variant nobody has looked at yet. It is named `<release>-va`.
pub(crate) fn variant(namespace: &str, release: &str, target: &str, instance: &str) -> Value {
    let mut object = json!({
        "metadata": {
            "namespace": namespace, "name": format!("{release}-va"), "generation": 1,
            "labels": {"app.kubernetes.io/instance": release, "inference.optimization/acceleratorName": "A100"},
        },
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": target},
            "modelID": "meta/llama", "variantCost": "40",
        },
    });
    if !instance.is_empty() {
        object["metadata"]["labels"]["wva.llmd.ai/controller-instance"] = json!(instance);
    }
    object
}

pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": RECENTLY})
}

/// A variant in good order, with `desired` replicas decided.
pub(crate) fn decided(mut variant: Value, desired: i32) -> Value {
    variant["status"] = json!({
        "desiredOptimizedAlloc": {"numReplicas": desired, "accelerator": "A100", "lastRunTime": RECENTLY},
        "conditions": [
            condition("Ready", "True", "DeploymentFound", "Scale target Deployment found"),
            condition("MetricsAvailable", "True", "MetricsFound", "Saturation metrics data is available"),
            condition("OptimizationReady", "True", "SaturationOnlyMode", "spare KV 0.04 below 0.10: one replica more"),
        ],
    });
    variant
}

/// An HPA that follows its metric.
pub(crate) fn hpa(namespace: &str, target: &str, current: i32) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": format!("{target}-hpa")},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": target},
            "minReplicas": 1, "maxReplicas": 10,
        },
        "status": {
            "currentReplicas": current, "desiredReplicas": current,
            "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}],
        },
    })
}

pub(crate) fn deployments(objects: &[Value]) -> Vec<Deployment> {
    objects.iter().map(typed).collect()
}

pub(crate) fn variants(objects: &[Value]) -> Vec<Guarded> {
    objects.iter().map(typed).collect()
}

pub(crate) fn hpas(objects: &[Value]) -> Vec<HorizontalPodAutoscaler> {
    objects.iter().map(typed).collect()
}
