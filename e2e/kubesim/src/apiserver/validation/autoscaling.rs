//! Horizontal pod autoscalers.

use serde_json::Value;

use super::Gates;
use crate::apiserver::failure::Cause;

/// Longest stabilisation window, in seconds.
const LONGEST_WINDOW: i64 = 3600;
/// Longest period of a policy, in seconds.
const LONGEST_PERIOD: i64 = 1800;

pub(super) fn horizontal_pod_autoscaler(gates: Gates, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    // One that was allowed to go to zero once keeps the right.
    let may_be_zero = gates.hpa_scale_to_zero || old.is_some_and(|old| old["spec"]["minReplicas"] == 0);
    let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(0));
    let lowest = i64::from(!may_be_zero);
    if min < lowest {
        let detail = format!("must be greater than or equal to {lowest}");
        causes.push(Cause::invalid("spec.minReplicas", &spec["minReplicas"], &detail));
    }
    if max == 0 {
        causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    } else if max < 0 {
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], "must be greater than 0"));
    }
    if max < min {
        let detail = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &spec["maxReplicas"], detail));
    }
    // What was accepted once is not checked again.
    if old.is_none() {
        scale_target(&spec["scaleTargetRef"], &mut causes);
    }
    let metrics = spec["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, one) in metrics.iter().enumerate() {
        metric(&format!("spec.metrics[{index}]"), one, &mut causes);
    }
    let can_wake = |metric: &Value| metric["type"] == "External" || metric["type"] == "Object";
    if min == 0 && !metrics.iter().any(can_wake) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        causes.push(Cause::forbidden("spec.metrics", detail));
    }
    for direction in ["scaleUp", "scaleDown"] {
        rules(&format!("spec.behavior.{direction}"), &spec["behavior"][direction], &mut causes);
    }
    causes
}

/// The core group has nothing that can be scaled but replication controllers.
fn scale_target(target: &Value, causes: &mut Vec<Cause>) {
    let text = |field: &str| target[field].as_str().unwrap_or_default();
    for field in ["kind", "name"] {
        if text(field).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    if !text("apiVersion").contains('/') && text("kind") != "ReplicationController" {
        let version = Value::from(text("apiVersion"));
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &version, "apiVersion must specify API group"));
    }
}

fn metric(at: &str, metric: &Value, causes: &mut Vec<Cause>) {
    let kind = metric["type"].as_str().unwrap_or_default();
    let source = match kind {
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => {
            let kinds = ["ContainerResource", "External", "Object", "Pods", "Resource"].map(ToOwned::to_owned);
            // Twice, as the original says it: once as a type, once as a source.
            for _ in 0..2 {
                causes.push(Cause::unsupported(format!("{at}.type"), &metric["type"], &kinds));
            }
            return;
        }
    };
    if !metric[source].is_object() {
        let detail = "must populate information for the given metric source";
        causes.push(Cause::required(format!("{at}.{source}"), detail));
        return;
    }
    if kind == "External" {
        external(&format!("{at}.external"), &metric[source], causes);
    }
}

fn external(at: &str, source: &Value, causes: &mut Vec<Cause>) {
    if source["metric"]["name"].as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::required(format!("{at}.metric.name"), "must specify a metric name"));
    }
    let target = &source["target"];
    match (target["value"].is_null(), target["averageValue"].is_null()) {
        (true, true) => {
            let detail = "must set either a target value for metric or a per-pod target";
            causes.push(Cause::required(format!("{at}.target.averageValue"), detail));
        }
        (false, false) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            causes.push(Cause::forbidden(format!("{at}.target.value"), detail));
        }
        _ => {}
    }
}

fn rules(at: &str, rules: &Value, causes: &mut Vec<Cause>) {
    let window = &rules["stabilizationWindowSeconds"];
    if window.as_i64().is_some_and(|seconds| seconds < 0) {
        let detail = "must be greater than or equal to zero";
        causes.push(Cause::invalid(format!("{at}.stabilizationWindowSeconds"), window, detail));
    } else if window.as_i64().is_some_and(|seconds| seconds > LONGEST_WINDOW) {
        let detail = format!("must be less than or equal to {LONGEST_WINDOW}");
        causes.push(Cause::invalid(format!("{at}.stabilizationWindowSeconds"), window, &detail));
    }
    for (index, policy) in rules["policies"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.policies[{index}]");
        if !matches!(policy["type"].as_str(), Some("Percent" | "Pods")) {
            let kinds = ["Percent", "Pods"].map(ToOwned::to_owned);
            causes.push(Cause::unsupported(format!("{at}.type"), &policy["type"], &kinds));
        }
        for field in ["value", "periodSeconds"] {
            if policy[field].as_i64().unwrap_or(0) < 1 {
                causes.push(Cause::invalid(format!("{at}.{field}"), &policy[field], "must be greater than zero"));
            }
        }
        if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > LONGEST_PERIOD) {
            let detail = format!("must be less than or equal to {LONGEST_PERIOD}");
            causes.push(Cause::invalid(format!("{at}.periodSeconds"), &policy["periodSeconds"], &detail));
        }
    }
}
