//! Services.

use serde_json::Value;

use super::metadata;
use crate::apiserver::failure::Cause;

pub(super) fn service(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(ToOwned::to_owned);
    if !kinds.iter().any(|kind| spec["type"] == kind.as_str()) {
        causes.push(Cause::unsupported("spec.type", &spec["type"], &kinds));
    }
    if spec["type"] == "ExternalName" && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        let detail = metadata::subdomain_problem("").unwrap_or_default();
        causes.push(Cause::invalid("spec.externalName", &Value::from(""), &detail));
    }
    let ports = spec["ports"].as_array().cloned().unwrap_or_default();
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && spec["type"] != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1 && port["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        }
        if port["port"].as_i64().is_some_and(|number| !(1..=65535).contains(&number)) {
            let field = format!("spec.ports[{index}].port");
            causes.push(Cause::invalid(field, &port["port"], "must be between 1 and 65535, inclusive"));
        }
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty())
            && let Some(problem) = metadata::label_problem(name)
        {
            causes.push(Cause::invalid(format!("spec.ports[{index}].name"), &port["name"], &problem));
        }
        let same = |other: &&Value| ["port", "protocol"].iter().all(|field| other[*field] == port[*field]);
        if ports[..index].iter().any(|other| same(&other)) {
            let shown = serde_json::json!({"port": port["port"], "protocol": port["protocol"]});
            causes.push(Cause::duplicate(format!("spec.ports[{index}]"), &shown));
        }
        let twin = ports[..index].iter().any(|other| port.get("name").is_some() && other["name"] == port["name"]);
        if twin {
            causes.push(Cause::duplicate(format!("spec.ports[{index}].name"), &port["name"]));
        }
    }
    if let Some(old) = old {
        let before = &old["spec"]["clusterIP"];
        let same_kind = old["spec"]["type"] == spec["type"];
        if same_kind && before.is_string() && *before != spec["clusterIP"] {
            let value = Value::from(vec![spec["clusterIP"].clone()]);
            causes.push(Cause::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
        }
    }
    causes
}
