//! Budgets, limits, quotas, classes and the network's rules.

use serde_json::{Value, json};

use super::pods::pod_spec;
use super::{amount, at, immutable, words};
use crate::apiserver::failure::Cause;

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
    used for validation is '[0-9]+%')";

/// What is wrong with a count or a percentage.
pub(super) fn count_or_percent(field: &str, value: &Value) -> Option<Cause> {
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            Some(Cause::invalid(field, value, "must be greater than or equal to 0"))
        }
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or_default();
            let percent = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            (!percent).then(|| Cause::invalid(field, value, PERCENT))
        }
        _ => None,
    }
}

pub(super) fn budget(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        causes.push(Cause::invalid("spec", &json!(null), detail));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        causes.extend(spec.get(field).and_then(|value| count_or_percent(&format!("spec.{field}"), value)));
    }
    causes
}

pub(super) fn lease(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        let value = &spec["leaseDurationSeconds"];
        causes.push(Cause::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"));
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|transitions| transitions < 0) {
        let value = &spec["leaseTransitions"];
        causes.push(Cause::invalid("spec.leaseTransitions", value, "must be greater than or equal to 0"));
    }
    causes
}

pub(super) fn quota(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let hard = object["spec"]["hard"].as_object().into_iter().flatten();
    hard.filter(|(_, value)| amount(value).is_some_and(|amount| amount < 0))
        .map(|(name, value)| Cause::invalid(format!("spec.hard[{name}]"), value, "must be greater than or equal to 0"))
        .collect()
}

pub(super) fn limit_range(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, item) in object["spec"]["limits"].as_array().into_iter().flatten().enumerate() {
        let names: std::collections::BTreeSet<&String> = ["max", "min", "default", "defaultRequest"]
            .iter()
            .flat_map(|part| item[*part].as_object().into_iter().flatten().map(|(name, _)| name))
            .collect();
        for name in names {
            let shown = |part: &str| item[part][name.as_str()].as_str().unwrap_or_default().to_owned();
            let value = |part: &str| item[part].get(name.as_str()).and_then(amount);
            let mut above = |low: &str, high: &str, field: &str, shown_as: &str, low_word: &str, high_word: &str| {
                if let (Some(least), Some(most)) = (value(low), value(high))
                    && least > most
                {
                    let detail =
                        format!("{low_word} value {} is greater than {high_word} value {}", shown(low), shown(high));
                    let place = format!("spec.limits[{index}].{field}[{name}]");
                    causes.push(Cause::invalid(place, &json!(shown(shown_as)), &detail));
                }
            };
            above("min", "max", "min", "min", "min", "max");
            above("min", "defaultRequest", "defaultRequest", "defaultRequest", "min", "default request");
            above("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request", "max");
            above("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request", "default");
            above("min", "default", "default", "min", "min", "default");
            above("default", "max", "default", "default", "default", "max");
        }
    }
    causes
}

pub(super) fn priority_class(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.starts_with("system-") {
        let detail = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known \
             system priority class"
        );
        causes.push(Cause::forbidden("metadata.name", &detail));
    } else if object["value"].as_i64().is_some_and(|value| value > 1_000_000_000) {
        let detail = "maximum allowed value of a user defined priority is 1000000000";
        causes.push(Cause::forbidden("value", detail));
    }
    if let Some(old) = old {
        for field in ["value", "preemptionPolicy"] {
            if old[field] != object[field] {
                causes.push(Cause::forbidden(field, "may not be changed in an update."));
            }
        }
    }
    causes
}

pub(super) fn network_policy(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let known = words(&["Ingress", "Egress"]);
    let types = object["spec"]["policyTypes"].as_array().into_iter().flatten().enumerate();
    types
        .filter(|(_, kind)| !known.iter().any(|known| *kind == known.as_str()))
        .map(|(index, kind)| Cause::unsupported(format!("spec.policyTypes[{index}]"), kind, &known))
        .collect()
}

pub(super) fn ingress(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (index, rule) in object["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (number, path) in rule["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let place = format!("spec.rules[{index}].http.paths[{number}]");
            match path["pathType"].as_str() {
                None => causes.push(Cause::required(at(&place, "pathType"), "pathType must be specified")),
                Some("Exact" | "Prefix") if !path["path"].as_str().unwrap_or_default().starts_with('/') => {
                    causes.push(Cause::invalid(at(&place, "path"), &path["path"], "must be an absolute path"));
                }
                Some("Exact" | "Prefix" | "ImplementationSpecific") => {}
                Some(_) => {
                    let known = words(&["Exact", "ImplementationSpecific", "Prefix"]);
                    causes.push(Cause::unsupported(at(&place, "pathType"), &path["pathType"], &known));
                }
            }
        }
    }
    causes
}

pub(super) fn endpoint_slice(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let known = words(&["FQDN", "IPv4", "IPv6"]);
    let kind = &object["addressType"];
    if kind.as_str().unwrap_or_default().is_empty() {
        causes.push(Cause::required("addressType", ""));
    } else if !known.iter().any(|known| *kind == known.as_str()) {
        causes.push(Cause::unsupported("addressType", kind, &known));
    }
    for (index, endpoint) in object["endpoints"].as_array().into_iter().flatten().enumerate() {
        if endpoint["addresses"].as_array().is_none_or(Vec::is_empty) {
            let field = format!("endpoints[{index}].addresses");
            causes.push(Cause::required(field, "must contain at least 1 address"));
        }
    }
    immutable(old, object, "/addressType", &mut causes);
    causes
}

pub(super) fn api_service(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let wanted = format!("{}.{}", text(&object["spec"]["version"]), text(&object["spec"]["group"]));
    let name = &object["metadata"]["name"];
    if *name == wanted.as_str() {
        return Vec::new();
    }
    let detail = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
    vec![Cause::invalid("metadata.name", name, &detail)]
}

pub(super) fn event(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let about = &object["involvedObject"]["namespace"];
    let namespace = &object["metadata"]["namespace"];
    let about = about.as_str().unwrap_or_default();
    if about.is_empty() && *namespace != "default" || !about.is_empty() && *namespace != about {
        causes.push(Cause::invalid("involvedObject.namespace", &json!(about), "does not match event.namespace"));
    }
    causes
}

/// Events of the newer group say when they happened.
pub(super) fn new_event(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    if old.is_none() && object.get("eventTime").is_none_or(Value::is_null) {
        return vec![Cause::required("eventTime", "")];
    }
    Vec::new()
}

pub(super) fn cron_job(_: Option<&Value>, object: &Value) -> Vec<Cause> {
    let template = "spec.jobTemplate.spec.template.spec";
    let mut causes = pod_spec(&object["spec"]["jobTemplate"]["spec"]["template"]["spec"], template);
    causes.extend(cron_schedule(object));
    causes
}

fn cron_schedule(object: &Value) -> Vec<Cause> {
    let schedule = &object["spec"]["schedule"];
    let text = schedule.as_str().unwrap_or_default();
    if text.is_empty() {
        return vec![Cause::required("spec.schedule", "")];
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if text.starts_with('@') || fields.len() == 5 || text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        return Vec::new();
    }
    let detail = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
    vec![Cause::invalid("spec.schedule", schedule, &detail)]
}
