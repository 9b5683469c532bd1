//! Pods and pod templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{amount, at, metadata, words};
use crate::apiserver::failure::Cause;

pub(super) fn pod(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = pod_spec(&object["spec"], "spec");
    if let Some(old) = old
        && fixed_part(old) != fixed_part(object)
    {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
             tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
    causes
}

/// The spec without what may change while a pod runs.
fn fixed_part(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        for field in ["activeDeadlineSeconds", "tolerations", "ephemeralContainers", "schedulingGates"] {
            fields.remove(field);
        }
        // Set once, by whoever binds the pod to a node.
        fields.remove("nodeName");
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["image"] = json!("");
            container["resources"] = json!({});
        }
    }
    spec
}

/// What is wrong with the spec of a pod or a pod template at `path`.
pub(super) fn pod_spec(spec: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
    let mut names = BTreeSet::new();
    let volumes: BTreeSet<String> =
        list("volumes").iter().filter_map(|volume| Some(volume["name"].as_str()?.to_owned())).collect();
    if list("containers").is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    for kind in ["initContainers", "containers"] {
        for (index, container) in list(kind).iter().enumerate() {
            let place = format!("{path}.{kind}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if name.is_empty() {
                causes.push(Cause::required(at(&place, "name"), ""));
            } else if let Some(problem) = metadata::label_problem(name) {
                causes.push(Cause::invalid(at(&place, "name"), &container["name"], &problem));
            } else if !names.insert(name.to_owned()) {
                causes.push(Cause::duplicate(at(&place, "name"), &container["name"]));
            }
            if container["image"].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(at(&place, "image"), ""));
            }
            causes.extend(probes(container, &place));
            causes.extend(ports(container, &place));
            causes.extend(environment(container, &place));
            causes.extend(mounts(container, &place, &volumes));
            if let Some(policy) = container["imagePullPolicy"].as_str()
                && !["Always", "IfNotPresent", "Never"].contains(&policy)
            {
                let known = words(&["Always", "IfNotPresent", "Never"]);
                causes.push(Cause::unsupported(at(&place, "imagePullPolicy"), &container["imagePullPolicy"], &known));
            }
            causes.extend(resources(container, &place));
        }
    }
    let policies = ["Always", "OnFailure", "Never"].map(ToOwned::to_owned);
    let policy = &spec["restartPolicy"];
    if policy.as_str().is_some_and(|policy| !policies.iter().any(|known| known == policy)) {
        causes.push(Cause::unsupported(format!("{path}.restartPolicy"), policy, &policies));
    }
    let known = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if spec["dnsPolicy"].as_str().is_some_and(|policy| !known.contains(&policy)) {
        causes.push(Cause::unsupported(at(path, "dnsPolicy"), &spec["dnsPolicy"], &words(&known)));
    }
    causes.extend(metadata::labels(&spec["nodeSelector"], &at(path, "nodeSelector")));
    if spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| !(1..=2_147_483_647).contains(&seconds)) {
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(at(path, "activeDeadlineSeconds"), &spec["activeDeadlineSeconds"], detail));
    }
    causes
}

/// What is wrong with the ports of a container.
fn ports(container: &Value, place: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{place}.ports[{index}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty())
            && let Some(problem) = port_name_problem(name)
        {
            causes.push(Cause::invalid(at(&place, "name"), &port["name"], &problem));
        }
        match port["containerPort"].as_i64() {
            None | Some(0) => causes.push(Cause::required(at(&place, "containerPort"), "")),
            Some(number) if !(1..=65535).contains(&number) => {
                let detail = "must be between 1 and 65535, inclusive";
                causes.push(Cause::invalid(at(&place, "containerPort"), &port["containerPort"], detail));
            }
            Some(_) => {}
        }
        if let Some(protocol) = port["protocol"].as_str()
            && !["SCTP", "TCP", "UDP"].contains(&protocol)
        {
            let known = words(&["SCTP", "TCP", "UDP"]);
            causes.push(Cause::unsupported(at(&place, "protocol"), &port["protocol"], &known));
        }
    }
    causes
}

/// What is wrong with the name of a port.
pub(super) fn port_name_problem(name: &str) -> Option<String> {
    if name.len() > 15 {
        return Some("must be no more than 15 characters".to_owned());
    }
    let sound = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !sound {
        return Some("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    (!name.chars().any(|c| c.is_ascii_lowercase())).then(|| "must contain at least one letter (a-z)".to_owned())
}

fn mounts(container: &Value, place: &str, volumes: &BTreeSet<String>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{place}.volumeMounts[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.push(Cause::required(at(&place, "name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause::not_found(at(&place, "name"), &mount["name"]));
        }
        if mount["mountPath"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(at(&place, "mountPath"), ""));
        }
    }
    causes
}

fn environment(container: &Value, place: &str) -> Vec<Cause> {
    let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let mut causes = Vec::new();
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let place = format!("{place}.env[{index}]");
        if variable["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(at(&place, "name"), ""));
        }
        if let Some(from) = variable.get("valueFrom").filter(|from| from.is_object())
            && !sources.iter().any(|source| from.get(source).is_some())
        {
            let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or \
                          `fileKeyRef`";
            causes.push(Cause::invalid(at(&place, "valueFrom"), &json!(""), detail));
        }
    }
    causes
}

/// Only what Kubernetes knows comes in parts: everything else is counted.
fn resources(container: &Value, place: &str) -> Vec<Cause> {
    const KNOWN: &[&str] = &["cpu", "memory", "ephemeral-storage", "storage"];
    let mut causes = Vec::new();
    let resources = &container["resources"];
    for list in ["limits", "requests"] {
        for (name, value) in resources[list].as_object().into_iter().flatten() {
            let field = format!("{place}.resources.{list}[{name}]");
            let Some(amount) = amount(value) else { continue };
            if amount < 0 {
                causes.push(Cause::invalid(field, value, "must be greater than or equal to 0"));
            } else if name.contains('/') && amount % 1000 != 0 {
                causes.push(Cause::invalid(field, value, "must be an integer"));
            } else if !name.contains('/') && !KNOWN.contains(&name.as_str()) && !name.starts_with("hugepages-") {
                let detail = "must be a standard resource for containers";
                causes.push(Cause::invalid(field, &json!(name), detail));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let Some(limit) = resources["limits"].get(name) else { continue };
        let (Some(wanted), Some(most)) = (amount(request), amount(limit)) else { continue };
        let extended = name.contains('/');
        let shown = limit.as_str().unwrap_or_default();
        let field = at(place, "resources.requests");
        if extended && wanted != most {
            causes.push(Cause::invalid(field, request, &format!("must be equal to {name} limit of {shown}")));
        } else if wanted > most {
            let detail = format!("must be less than or equal to {name} limit of {shown}");
            causes.push(Cause::invalid(field, request, &detail));
        }
    }
    causes
}

fn probes(container: &Value, place: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name).filter(|probe| probe.is_object()) else { continue };
        let place = at(place, name);
        if !["exec", "httpGet", "tcpSocket", "grpc"].iter().any(|handler| probe.get(handler).is_some()) {
            causes.push(Cause::required(place.clone(), "must specify a handler type"));
        }
        let numbers =
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
        for number in numbers {
            if probe[number].as_i64().is_some_and(|value| value < 0) {
                causes.push(Cause::invalid(at(&place, number), &probe[number], "must be greater than or equal to 0"));
            }
        }
        if name != "readinessProbe" && probe["successThreshold"].as_i64().is_some_and(|value| value > 1) {
            causes.push(Cause::invalid(at(&place, "successThreshold"), &probe["successThreshold"], "must be 1"));
        }
    }
    causes
}
