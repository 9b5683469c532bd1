//! Between the version a client speaks and the one an object is stored in.
//!
//! Custom resources differ in nothing but `apiVersion`. Two built-in kinds are served twice: autoscalers are
//! stored as `autoscaling/v2`, events as core `v1`.

use serde_json::{Map, Value, json};

use super::resource::Resource;

/// From the served version to the stored form.
pub(super) fn to_stored(resource: &Resource, object: Value) -> Value {
    match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaler_to_v2(object),
        ("events.k8s.io", _, "Event") => event_to_core(object),
        _ => object,
    }
}

/// From the stored form to what `resource` serves.
pub(super) fn to_served(resource: &Resource, object: &Value) -> Value {
    let mut object = match (resource.group.as_str(), resource.version.as_str(), resource.kind.as_str()) {
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => autoscaler_to_v1(object.clone()),
        ("events.k8s.io", _, "Event") => event_from_core(object.clone()),
        _ => object.clone(),
    };
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    object
}

/// As an item of a list: those of built-in kinds do not say what they are, the list does.
pub(super) fn to_item(resource: &Resource, object: &Value) -> Value {
    let mut item = to_served(resource, object);
    if resource.custom().is_none()
        && let Some(fields) = item.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}

/// Where version 1 keeps what it has no fields for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

fn autoscaler_to_v2(mut object: Value) -> Value {
    object["apiVersion"] = json!("autoscaling/v2");
    let mut metrics =
        take_annotation(&mut object, METRICS).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    if let Some(percent) = take(&mut object["spec"], "targetCPUUtilizationPercentage") {
        metrics.insert(0, cpu_metric(&percent));
    }
    if !metrics.is_empty() {
        object["spec"]["metrics"] = Value::Array(metrics);
    }
    for (annotation, part, field) in [
        (BEHAVIOR, "spec", "behavior"),
        (CONDITIONS, "status", "conditions"),
        (CURRENT_METRICS, "status", "currentMetrics"),
    ] {
        if let Some(value) = take_annotation(&mut object, annotation) {
            object[part][field] = value;
        }
    }
    if object["status"].is_object() {
        take(&mut object["status"], "currentCPUUtilizationPercentage");
    }
    object
}

fn autoscaler_to_v1(mut object: Value) -> Value {
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource" && metric.pointer("/resource/name").is_some_and(|name| name == "cpu")
    };
    let metrics = take(&mut object["spec"], "metrics").and_then(|list| list.as_array().cloned()).unwrap_or_default();
    let (cpu, others): (Vec<Value>, Vec<Value>) = metrics.into_iter().partition(is_cpu);
    if let Some(percent) = cpu.first().and_then(|metric| metric.pointer("/resource/target/averageUtilization")) {
        object["spec"]["targetCPUUtilizationPercentage"] = percent.clone();
    }
    let others = if others.is_empty() { None } else { Some(Value::Array(others)) };
    let behavior = take(&mut object["spec"], "behavior");
    let (conditions, current) = if object["status"].is_object() {
        (take(&mut object["status"], "conditions"), take(&mut object["status"], "currentMetrics"))
    } else {
        (None, None)
    };
    for (annotation, value) in
        [(METRICS, others), (BEHAVIOR, behavior), (CONDITIONS, conditions), (CURRENT_METRICS, current)]
    {
        if let Some(value) = value {
            object["metadata"]["annotations"][annotation] = json!(value.to_string());
        }
    }
    object
}

fn cpu_metric(percent: &Value) -> Value {
    json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
    })
}

fn take(object: &mut Value, field: &str) -> Option<Value> {
    object.as_object_mut()?.remove(field)
}

fn take_annotation(object: &mut Value, name: &str) -> Option<Value> {
    let value = take(object.pointer_mut("/metadata/annotations")?, name)?;
    serde_json::from_str(value.as_str()?).ok()
}

/// Names of the same field in core events and in those of `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 6] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];

fn event_to_core(mut object: Value) -> Value {
    object["apiVersion"] = json!("v1");
    if let Some(fields) = object.as_object_mut() {
        for (core, other) in EVENT_FIELDS.iter().chain(&[("count", "deprecatedCount")]) {
            rename(fields, other, core);
        }
        // Core events always carry an object and a source, whoever reported them.
        fields.entry("involvedObject").or_insert(json!({}));
        fields.entry("source").or_insert(json!({}));
    }
    object
}

fn event_from_core(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        for (core, other) in EVENT_FIELDS.iter().chain(&[("count", "deprecatedCount")]) {
            rename(fields, core, other);
        }
    }
    object
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::catalog::Catalog;

    #[test]
    fn an_autoscaler_keeps_its_external_metric_through_version_1() {
        let stored = json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "x", "annotations": {}},
            "spec": {"maxReplicas": 3, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
            ]},
        });
        let catalog = Catalog::new();
        let v1 = catalog.find("autoscaling", "v1", "horizontalpodautoscalers").expect("served");
        let served = to_served(v1, &stored);
        assert_eq!(served["spec"]["targetCPUUtilizationPercentage"], 70);
        assert_eq!(served["spec"].get("metrics"), None);
        assert_eq!(to_stored(v1, served), stored);
    }

    #[test]
    fn an_event_is_the_same_in_both_groups() {
        let catalog = Catalog::new();
        let events = catalog.find("events.k8s.io", "v1", "events").expect("served");
        let reported = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "name": "p"}, "note": "Started", "reason": "Started",
            "deprecatedSource": {"component": "kubelet"}, "reportingController": "kubelet",
        });
        let stored = to_stored(events, reported.clone());
        assert_eq!((&stored["message"], &stored["involvedObject"]["name"]), (&json!("Started"), &json!("p")));
        assert_eq!(to_served(events, &stored), reported);
    }
}
