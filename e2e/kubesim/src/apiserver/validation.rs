//! Rules on built-in objects that a schema cannot say: names, labels, immutable fields, sums that must fit.

mod autoscaling;
pub(super) mod metadata;
mod pods;
mod policies;
mod rbac;
mod services;
mod webhooks;
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
        ("batch", "CronJob") => policies::cron_job,
        ("coordination.k8s.io", "Lease") => policies::lease,
        ("policy", "PodDisruptionBudget") => policies::budget,
        ("", "ResourceQuota") => policies::quota,
        ("", "LimitRange") => policies::limit_range,
        ("", "Event") => policies::event,
        ("events.k8s.io", "Event") => policies::new_event,
        ("scheduling.k8s.io", "PriorityClass") => policies::priority_class,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            webhooks::configuration
        }
        ("networking.k8s.io", "NetworkPolicy") => policies::network_policy,
        ("networking.k8s.io", "Ingress") => policies::ingress,
        ("discovery.k8s.io", "EndpointSlice") => policies::endpoint_slice,
        ("apiregistration.k8s.io", "APIService") => policies::api_service,
        ("rbac.authorization.k8s.io", "Role") => rbac::role,
        ("rbac.authorization.k8s.io", "ClusterRole") => rbac::cluster_role,
        ("rbac.authorization.k8s.io", "RoleBinding") => rbac::role_binding,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => rbac::cluster_role_binding,
        _ => return causes,
    };
    causes.extend(rules(old, object));
    causes
}

const IMMUTABLE: &str = "field is immutable";

/// A field that keeps the value it was created with.
pub(super) fn immutable(old: Option<&Value>, object: &Value, pointer: &str, causes: &mut Vec<Cause>) {
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

/// The place of a field.
fn at(place: &str, field: &str) -> String {
    format!("{place}.{field}")
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

/// A quantity in thousandths.
pub(super) fn amount(value: &Value) -> Option<i64> {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    crate::machinery::quantity::milli(&k8s_openapi::apimachinery::pkg::api::resource::Quantity(text)).ok()
}

/// What is wrong with the addresses of a pod.
pub(super) fn addresses(pod: &Value) -> Vec<Cause> {
    let ips = pod["status"]["podIPs"].as_array().into_iter().flatten().enumerate();
    ips.filter(|(_, ip)| ip["ip"].as_str().is_none_or(|text| text.parse::<std::net::IpAddr>().is_err()))
        .map(|(index, ip)| {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            Cause::invalid(format!("status.podIPs[{index}]"), &ip["ip"], detail)
        })
        .collect()
}

/// As many bytes as a ConfigMap or Secret may hold.
const LARGEST: u64 = 1_048_576;
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
    'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

fn config_map(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            causes.extend(config_key(field, key));
            if field == "data" && object["binaryData"].get(key).is_some() {
                let detail = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(format!("{field}[{key}]"), &Value::from(key.as_str()), detail));
            }
            let length = value.as_str().map_or(0, str::len);
            size += if field == "data" { length } else { length / 4 * 3 };
        }
    }
    if size as u64 > LARGEST {
        causes.push(Cause::too_long("[]", LARGEST));
    }
    frozen(old, object, &mut causes);
    causes
}

/// What is declared immutable stays as it is.
fn frozen(old: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    if old.is_some_and(|old| old["immutable"] == true) {
        for pointer in ["/immutable", "/data", "/binaryData"] {
            if old.and_then(|old| old.pointer(pointer)) != object.pointer(pointer) {
                causes.push(Cause::forbidden(&pointer[1..], "field is immutable when `immutable` is set"));
            }
        }
    }
}

fn config_key(field: &str, key: &str) -> Option<Cause> {
    let detail = match key {
        "." => "must not be '.'".to_owned(),
        ".." => "must not be '..'".to_owned(),
        key if key.starts_with("..") => "must not start with '..'".to_owned(),
        key if key.len() > 253 => "must be no more than 253 characters".to_owned(),
        key if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) => {
            CONFIG_KEY.to_owned()
        }
        _ => return None,
    };
    Some(Cause::invalid(format!("{field}[{key}]"), &Value::from(key), &detail))
}

fn secret(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        causes.extend(config_key("data", key));
        size += value.as_str().map_or(0, str::len) / 4 * 3;
    }
    if size as u64 > LARGEST {
        causes.push(Cause::too_long("data", LARGEST));
    }
    let needed = |key: &str| object["data"].get(key).is_none();
    let missing = |key: &str| Cause::required(format!("data[{key}]"), "");
    match object["type"].as_str().unwrap_or_default() {
        "kubernetes.io/tls" => {
            causes.extend(["tls.crt", "tls.key"].into_iter().filter(|key| needed(key)).map(missing));
        }
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            if object["metadata"]["annotations"][name].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("metadata.annotations[{name}]"), ""));
            }
        }
        "kubernetes.io/dockerconfigjson" if needed(".dockerconfigjson") => causes.push(missing(".dockerconfigjson")),
        "kubernetes.io/dockerconfigjson" => {
            let text = decoded(&object["data"][".dockerconfigjson"]);
            if serde_json::from_str::<Value>(&text).is_err() {
                let odd = text.chars().next().unwrap_or(' ');
                let detail = format!("invalid character {odd:?} looking for beginning of value");
                causes.push(Cause::raw("data[.dockerconfigjson]", "\"<secret contents redacted>\"", &detail));
            }
        }
        "kubernetes.io/ssh-auth" if needed("ssh-privatekey") => causes.push(missing("ssh-privatekey")),
        "kubernetes.io/basic-auth" if needed("username") && needed("password") => {
            causes.extend(["username", "password"].map(missing));
        }
        _ => {}
    }
    immutable(old, object, "/type", &mut causes);
    frozen(old, object, &mut causes);
    causes
}

fn decoded(value: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default());
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests;
