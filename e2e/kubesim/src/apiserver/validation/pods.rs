//! Pods and pod templates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

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
        for field in [
            "activeDeadlineSeconds",
            "tolerations",
            "terminationGracePeriodSeconds",
            "ephemeralContainers",
            "schedulingGates",
        ] {
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
            let at = format!("{path}.{kind}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if !name.is_empty() && !names.insert(name.to_owned()) {
                causes.push(Cause::duplicate(format!("{at}.name"), &container["name"]));
            }
            if container["image"].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("{at}.image"), ""));
            }
            causes.extend(ports(container, &at));
            causes.extend(mounts(container, &at, &volumes));
        }
    }
    let policies = ["Always", "OnFailure", "Never"].map(ToOwned::to_owned);
    let policy = &spec["restartPolicy"];
    if policy.as_str().is_some_and(|policy| !policies.iter().any(|known| known == policy)) {
        causes.push(Cause::unsupported(format!("{path}.restartPolicy"), policy, &policies));
    }
    causes
}

fn ports(container: &Value, at: &str) -> Vec<Cause> {
    let ports = container["ports"].as_array().into_iter().flatten().enumerate();
    ports
        .filter(|(_, port)| port["containerPort"].as_i64().is_some_and(|number| !(1..=65535).contains(&number)))
        .map(|(index, port)| {
            let field = format!("{at}.ports[{index}].containerPort");
            Cause::invalid(field, &port["containerPort"], "must be between 1 and 65535, inclusive")
        })
        .collect()
}

fn mounts(container: &Value, at: &str, volumes: &BTreeSet<String>) -> Vec<Cause> {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten().enumerate();
    mounts
        .filter(|(_, mount)| mount["name"].as_str().is_some_and(|name| !volumes.contains(name)))
        .map(|(index, mount)| Cause::not_found(format!("{at}.volumeMounts[{index}].name"), &mount["name"]))
        .collect()
}
