//! Configurations of admission webhooks.

use serde_json::{Value, json};

use super::{at, metadata, words};
use crate::apiserver::failure::Cause;

pub(super) fn configuration(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut names: Vec<&Value> = Vec::new();
    for (index, hook) in object["webhooks"].as_array().into_iter().flatten().enumerate() {
        let place = format!("webhooks[{index}]");
        webhook(&place, hook, &mut causes);
        if names.contains(&&hook["name"]) {
            causes.push(Cause::duplicate(at(&place, "name"), &hook["name"]));
        }
        names.push(&hook["name"]);
    }
    causes
}

fn webhook(place: &str, hook: &Value, causes: &mut Vec<Cause>) {
    causes.extend(name(&at(place, "name"), &hook["name"]));
    for (index, rule) in hook["rules"].as_array().into_iter().flatten().enumerate() {
        rule_with_operations(&format!("{place}.rules[{index}]"), rule, causes);
    }
    let one_of = |field: &str, known: &[&str]| {
        let known = words(known);
        let value = &hook[field];
        let unknown = !value.is_null() && !known.iter().any(|known| *value == known.as_str());
        unknown.then(|| Cause::unsupported(at(place, field), value, &known))
    };
    causes.extend(one_of("failurePolicy", &["Fail", "Ignore"]));
    causes.extend(one_of("matchPolicy", &["Equivalent", "Exact"]));
    if hook.get("sideEffects").is_none_or(Value::is_null) {
        causes.push(Cause::required(at(place, "sideEffects"), "must specify one of None, NoneOnDryRun"));
    }
    causes.extend(one_of("sideEffects", &["None", "NoneOnDryRun"]));
    causes.extend(one_of("reinvocationPolicy", &["IfNeeded", "Never"]));
    if hook["timeoutSeconds"].as_i64().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        causes.push(Cause::invalid(at(place, "timeoutSeconds"), &hook["timeoutSeconds"], detail));
    }
    client_config(&at(place, "clientConfig"), &hook["clientConfig"], causes);
    let versions = &hook["admissionReviewVersions"];
    let field = at(place, "admissionReviewVersions");
    let all: Vec<&str> = versions.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if all.is_empty() {
        causes.push(Cause::required(field, "must specify one of v1, v1beta1"));
    } else if !all.iter().any(|version| ["v1", "v1beta1"].contains(version)) {
        causes.push(Cause::invalid(field, versions, "must include at least one of v1, v1beta1"));
    }
}

/// Names of webhooks have three parts at least.
fn name(field: &str, name: &Value) -> Option<Cause> {
    let text = name.as_str().unwrap_or_default();
    if text.is_empty() {
        return Some(Cause::required(field, ""));
    }
    if let Some(problem) = metadata::subdomain_problem(text) {
        return Some(Cause::invalid(field, name, &problem));
    }
    let detail = "should be a domain with at least three segments separated by dots";
    (text.split('.').count() < 3).then(|| Cause::invalid(field, name, detail))
}

fn rule_with_operations(place: &str, rule: &Value, causes: &mut Vec<Cause>) {
    let list = |field: &str| rule[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = words(&["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]);
    for (field, what) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        if list(field).is_empty() {
            causes.push(Cause::required(at(place, field), ""));
        } else if list(field).len() > 1 && list(field).iter().any(|one| one == "*") {
            let detail = format!("if '*' is present, must not specify other {what}");
            causes.push(Cause::invalid(at(place, field), &rule[field], &detail));
        }
    }
    for (index, operation) in list("operations").iter().enumerate() {
        if !known.iter().any(|known| *operation == known.as_str()) {
            causes.push(Cause::unsupported(format!("{place}.operations[{index}]"), operation, &known));
        }
    }
    if list("resources").is_empty() {
        causes.push(Cause::required(at(place, "resources"), ""));
    } else if list("resources").len() > 1 && list("resources").iter().any(|one| one == "*/*") {
        let detail = "if '*/*' is present, must not specify other resources";
        causes.push(Cause::invalid(at(place, "resources"), &rule["resources"], detail));
    }
    let scopes = words(&["*", "Cluster", "Namespaced"]);
    if !rule["scope"].is_null() && !scopes.iter().any(|known| rule["scope"] == known.as_str()) {
        causes.push(Cause::unsupported(at(place, "scope"), &rule["scope"], &scopes));
    }
}

fn client_config(place: &str, config: &Value, causes: &mut Vec<Cause>) {
    let (url, service) = (config.get("url"), config.get("service"));
    if url.is_some() == service.is_some() {
        causes.push(Cause::required(place, "exactly one of url or service is required"));
        return;
    }
    if let Some(url) = url {
        let field = at(place, "url");
        let text = url.as_str().unwrap_or_default();
        match text.split_once("://") {
            Some(("https", rest)) if !rest.is_empty() && !rest.starts_with('/') => {}
            Some(("https", _)) => {
                let detail = "host must be specified; desired format: https://host[/path]";
                causes.push(Cause::invalid(field, url, detail));
            }
            other => {
                let scheme = other.map_or("", |(scheme, _)| scheme);
                let detail = "'https' is the only allowed URL scheme; desired format: https://host[/path]";
                causes.push(Cause::invalid(field, &json!(scheme), detail));
            }
        }
    }
    if let Some(service) = service {
        for field in ["name", "namespace"] {
            if service[field].as_str().unwrap_or_default().is_empty() {
                causes
                    .push(Cause::required(format!("{place}.service.{field}"), &format!("service {field} is required")));
            }
        }
        if service["port"].as_i64().is_some_and(|port| !(1..=65535).contains(&port)) {
            let detail = "port is not valid: must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{place}.service.port"), &service["port"], detail));
        }
    }
}
