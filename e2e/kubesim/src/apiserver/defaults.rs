//! Defaults of built-in kinds: the values controllers and clients rely on although nobody wrote them.

mod autoscaling;
mod pods;
mod services;
mod workloads;

use serde_json::{Value, json};

use super::body::base64;
use super::resource::Resource;

/// Fills in what `object`, in its served version, leaves out.
pub(super) fn fill(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pods::pod(object),
        ("", "Namespace") => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
        }
        ("", "Service") => services::service(object),
        ("", "Endpoints") => services::endpoints(object),
        ("discovery.k8s.io", "EndpointSlice") => services::endpoint_slice(object),
        ("", "Secret") => secret(object),
        ("", "PersistentVolumeClaim") => default(&mut object["spec"], "volumeMode", json!("Filesystem")),
        ("", "ReplicationController") => workloads::replication_controller(object),
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "ReplicaSet") => workloads::replica_set(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("batch", "Job") => workloads::job(object),
        ("batch", "CronJob") => workloads::cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::horizontal_pod_autoscaler(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role_binding(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition(object),
        ("", "LimitRange") => limit_range(object),
        ("storage.k8s.io", "StorageClass") => {
            default(object, "reclaimPolicy", json!("Delete"));
            default(object, "volumeBindingMode", json!("Immediate"));
        }
        ("scheduling.k8s.io", "PriorityClass") => default(object, "preemptionPolicy", json!("PreemptLowerPriority")),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            default(&mut object["spec"], "failurePolicy", json!("Fail"));
            match_resources(&mut object["spec"]["matchConstraints"]);
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            let mutating = resource.kind == "MutatingWebhookConfiguration";
            items(object, "webhooks").for_each(|hook| webhook(hook, mutating));
        }
        ("admissionregistration.k8s.io", _) if object["spec"]["matchResources"].is_object() => {
            match_resources(&mut object["spec"]["matchResources"]);
        }
        ("apiregistration.k8s.io", "APIService") if object["spec"]["service"].is_object() => {
            default(&mut object["spec"]["service"], "port", json!(443));
        }
        _ => {}
    }
}

/// Adds what admission adds after ownership of the fields is settled.
pub(super) fn admit(resource: &Resource, object: &mut Value) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => pods::admit(object),
        ("", "Service") => services::admit(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("batch", "Job") => workloads::label_with_own_uid(object),
        _ => {}
    }
}

/// Sets a field that is absent, or empty, which is the same to Go.
fn default(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        let absent = fields.get(field).is_none_or(|present| present.is_null() || present == "");
        if absent {
            fields.insert(field.to_owned(), value);
        }
    }
}

/// The items of a list, none when it is absent.
fn items<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn secret(object: &mut Value) {
    default(object, "type", json!("Opaque"));
    let plain = object.as_object_mut().and_then(|fields| fields.remove("stringData"));
    if let Some(Value::Object(plain)) = plain {
        default(object, "data", json!({}));
        for (key, value) in plain {
            object["data"][key] = json!(base64(value.as_str().unwrap_or_default().as_bytes()));
        }
    }
}

/// A claim waits for a volume, and is kept while pods use it.
fn claim(object: &mut Value) {
    const PROTECTION: &str = "kubernetes.io/pvc-protection";
    let terminating = object["metadata"].get("deletionTimestamp").is_some();
    let finalizers = &mut object["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        _ if terminating => {}
        Some(present) if present.iter().any(|name| name == PROTECTION) => {}
        Some(present) => present.push(json!(PROTECTION)),
        None => *finalizers = json!([PROTECTION]),
    }
    if object["status"].get("phase").is_none() {
        object["status"]["phase"] = json!("Pending");
    }
}

/// What a limit implies: a container that asks for nothing gets the default, which is at most the largest allowed.
fn limit_range(object: &mut Value) {
    for item in items(&mut object["spec"], "limits").filter(|item| item["type"] == "Container") {
        let copy = |item: &mut Value, from: &str, to: &str| {
            let source = item[from].as_object().cloned().unwrap_or_default();
            for (name, quantity) in source {
                if !item[to].is_object() {
                    item[to] = json!({});
                }
                default(&mut item[to], &name, quantity);
            }
        };
        copy(item, "max", "default");
        copy(item, "default", "defaultRequest");
        copy(item, "min", "defaultRequest");
    }
}

fn match_resources(constraints: &mut Value) {
    default(constraints, "matchPolicy", json!("Equivalent"));
    default(constraints, "namespaceSelector", json!({}));
    default(constraints, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        items(constraints, list).for_each(|rule| default(rule, "scope", json!("*")));
    }
}

fn webhook(hook: &mut Value, mutating: bool) {
    default(hook, "failurePolicy", json!("Fail"));
    default(hook, "matchPolicy", json!("Equivalent"));
    default(hook, "namespaceSelector", json!({}));
    default(hook, "objectSelector", json!({}));
    default(hook, "timeoutSeconds", json!(10));
    if mutating {
        default(hook, "reinvocationPolicy", json!("Never"));
    }
    items(hook, "rules").for_each(|rule| default(rule, "scope", json!("*")));
    if hook["clientConfig"]["service"].is_object() {
        default(&mut hook["clientConfig"]["service"], "port", json!(443));
    }
}

fn network_policy(object: &mut Value) {
    let spec = &mut object["spec"];
    let types = if spec["egress"].as_array().is_some_and(|rules| !rules.is_empty()) {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    default(spec, "policyTypes", types);
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            items(rule, "ports").for_each(|port| default(port, "protocol", json!("TCP")));
        }
    }
}

fn role_binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    default(&mut object["roleRef"], "apiGroup", json!(GROUP));
    for subject in items(object, "subjects") {
        if subject["kind"] == "User" || subject["kind"] == "Group" {
            default(subject, "apiGroup", json!(GROUP));
        }
    }
}

fn custom_resource_definition(object: &mut Value) {
    let spec = &mut object["spec"];
    let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if !kind.is_empty() {
        default(&mut spec["names"], "singular", json!(kind.to_lowercase()));
        default(&mut spec["names"], "listKind", json!(format!("{kind}List")));
    }
    default(spec, "conversion", json!({"strategy": "None"}));
}

#[cfg(test)]
mod tests;
