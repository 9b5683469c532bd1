//! Defaults of pods and pod templates.

use serde_json::{Value, json};

use super::{default, items};

/// Defaults of a pod itself, beyond those of its spec.
pub(super) fn pod(object: &mut Value) {
    let first = object["status"]["podIP"].clone();
    if first.as_str().is_some_and(|ip| !ip.is_empty()) && object["status"]["podIPs"][0]["ip"] != first {
        object["status"]["podIPs"] = json!([{ "ip": first }]);
    }
    let spec = &mut object["spec"];
    pod_spec(spec);
    default(spec, "enableServiceLinks", json!(true));
    for container in all_containers(spec) {
        requests_from_limits(container);
    }
}

/// What admission adds to a pod, which nobody owns.
pub(super) fn admit(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "serviceAccountName", json!("default"));
    let account = spec["serviceAccountName"].clone();
    default(spec, "serviceAccount", account);
    default(spec, "priority", json!(0));
    default(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    default_tolerations(spec);
}

/// Pods wait five minutes on a node that stopped answering before they are evicted.
fn default_tolerations(spec: &mut Value) {
    default(spec, "tolerations", json!([]));
    let Some(tolerations) = spec["tolerations"].as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = tolerations.iter().any(|toleration| {
            (toleration["key"] == key || toleration.get("key").is_none())
                && toleration.get("effect").is_none_or(|effect| effect == "NoExecute")
        });
        if !covered {
            tolerations.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// Defaults of the spec of a pod or a pod template.
pub(super) fn pod_spec(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", json!("default-scheduler"));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        default(spec, "serviceAccount", account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        default(spec, "serviceAccountName", account);
    }
    let host_network = spec["hostNetwork"] == true;
    for container in all_containers(spec) {
        defaults_of_container(container, host_network);
    }
    items(spec, "volumes").for_each(volume);
}

fn all_containers(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    spec.as_object_mut()
        .into_iter()
        .flatten()
        .filter(move |(name, _)| lists.contains(&name.as_str()))
        .flat_map(|(_, list)| list.as_array_mut().into_iter().flatten())
}

fn defaults_of_container(container: &mut Value, host_network: bool) {
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "resources", json!({}));
    let policy = pull_policy(container["image"].as_str().unwrap_or_default());
    default(container, "imagePullPolicy", json!(policy));
    for port in items(container, "ports") {
        default(port, "protocol", json!("TCP"));
        if host_network {
            let number = port["containerPort"].clone();
            default(port, "hostPort", number);
        }
    }
    for variable in items(container, "env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(field, "apiVersion", json!("v1"));
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(name) {
            probe(found);
        }
    }
    for hook in ["/lifecycle/postStart/httpGet", "/lifecycle/preStop/httpGet"] {
        if let Some(get) = container.pointer_mut(hook) {
            http_get(get);
        }
    }
}

/// `latest`, written or meant, may change behind its name and is pulled each time.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    let latest = !name.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    if latest { "Always" } else { "IfNotPresent" }
}

fn probe(probe: &mut Value) {
    default(probe, "timeoutSeconds", json!(1));
    default(probe, "periodSeconds", json!(10));
    default(probe, "successThreshold", json!(1));
    default(probe, "failureThreshold", json!(3));
    if let Some(get) = probe.get_mut("httpGet") {
        http_get(get);
    }
    if let Some(grpc) = probe.get_mut("grpc") {
        default(grpc, "service", json!(""));
    }
}

fn http_get(get: &mut Value) {
    default(get, "path", json!("/"));
    default(get, "scheme", json!("HTTP"));
}

fn requests_from_limits(container: &mut Value) {
    let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object).cloned() else { return };
    default(&mut container["resources"], "requests", json!({}));
    for (name, quantity) in limits {
        default(&mut container["resources"]["requests"], &name, quantity);
    }
}

fn volume(volume: &mut Value) {
    const SOURCES: [&str; 4] = ["configMap", "secret", "projected", "downwardAPI"];
    for source in SOURCES {
        let Some(found) = volume.get_mut(source) else { continue };
        // 0644: files readable by everybody, writable by their owner.
        default(found, "defaultMode", json!(0o644));
        items(found, "items").for_each(field_item);
        for projection in items(found, "sources") {
            if let Some(token) = projection.get_mut("serviceAccountToken") {
                default(token, "expirationSeconds", json!(3600));
            }
            if let Some(downward) = projection.get_mut("downwardAPI") {
                items(downward, "items").for_each(field_item);
            }
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        default(path, "type", json!(""));
    }
}

fn field_item(item: &mut Value) {
    if let Some(field) = item.get_mut("fieldRef") {
        default(field, "apiVersion", json!("v1"));
    }
}
