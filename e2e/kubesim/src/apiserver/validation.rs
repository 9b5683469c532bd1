//! Rules on built-in objects that a schema cannot say: names, labels, immutable fields, sums that must fit.

mod autoscaling;
mod metadata;
mod pods;
mod services;
mod workloads;

use serde_json::Value;

use super::failure::Cause;
use super::resource::Resource;

/// Features that a cluster has off unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// `HPAScaleToZero`: whether an HPA may have `minReplicas: 0`.
    pub hpa_scale_to_zero: bool,
}

/// Everything wrong with `object`, which is about to replace `old` or to be created.
pub(super) fn validate(resource: &Resource, gates: Gates, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = metadata::validate(resource, old, object);
    let rules: fn(Option<&Value>, &Value) -> Vec<Cause> = match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pods::pod,
        ("", "Service") => services::service,
        ("", "ConfigMap") => config_map,
        ("", "Secret") => secret,
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => workloads::workload,
        ("batch", "Job") => workloads::job,
        ("autoscaling", "HorizontalPodAutoscaler") => {
            causes.extend(autoscaling::horizontal_pod_autoscaler(gates, old, object));
            return causes;
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role_binding,
        _ => return causes,
    };
    causes.extend(rules(old, object));
    causes
}

const IMMUTABLE: &str = "field is immutable";

/// A field that keeps the value it was created with.
fn immutable(old: Option<&Value>, object: &Value, pointer: &str, causes: &mut Vec<Cause>) {
    let Some(before) = old.map(|old| old.pointer(pointer)) else { return };
    let after = object.pointer(pointer);
    if before != after {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), IMMUTABLE));
    }
}

fn not_negative(object: &Value, pointer: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = object.pointer(pointer)
        && value.as_i64().is_some_and(|number| number < 0)
    {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
    }
}

fn config_map(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_some_and(|old| old["immutable"] == true) {
        for pointer in ["/data", "/binaryData", "/immutable"] {
            if old.and_then(|old| old.pointer(pointer)) != object.pointer(pointer) {
                causes.push(Cause::forbidden(&pointer[1..], "field is immutable when `immutable` is set"));
            }
        }
    }
    for key in object["data"].as_object().into_iter().flatten().map(|(key, _)| key) {
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
            causes.push(Cause::invalid(format!("data[{key}]"), &Value::from(key.as_str()), detail));
        }
    }
    causes
}

fn secret(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = config_map(old, object);
    immutable(old, object, "/type", &mut causes);
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        use base64::Engine as _;
        let text = value.as_str().unwrap_or_default();
        if base64::engine::general_purpose::STANDARD.decode(text).is_err() {
            causes.push(Cause::invalid(format!("data[{key}]"), value, "illegal base64 data"));
        }
    }
    causes
}

fn role_binding(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(before) = old
        && before["roleRef"] != object["roleRef"]
    {
        causes.push(Cause::invalid("roleRef", &object["roleRef"], "cannot change roleRef"));
    }
    causes
}

#[cfg(test)]
mod tests;
