//! Deployments and their like.

use serde_json::Value;

use super::pods::pod_spec;
use super::policies::count_or_percent;
use super::{at, immutable, not_negative, words};
use crate::apiserver::failure::Cause;

pub(super) fn workload(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    not_negative(object, "/spec/replicas", &mut causes);
    let template = &object["spec"]["template"];
    let selector = &object["spec"]["selector"];
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    }
    if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        causes.push(Cause::invalid("spec.selector", selector, "empty selector is invalid for deployment"));
    }
    if !selector.is_object() || !selects(selector, &template["metadata"]["labels"]) {
        let labels = template["metadata"].get("labels").unwrap_or(&Value::Null);
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    if template.is_object() {
        causes.extend(pod_spec(&template["spec"], "spec.template.spec"));
        let policy = &template["spec"]["restartPolicy"];
        if policy == "OnFailure" || policy == "Never" {
            let supported = ["Always".to_owned()];
            causes.push(Cause::unsupported("spec.template.spec.restartPolicy", policy, &supported));
        }
    }
    if object["kind"] == "Deployment" {
        causes.extend(strategy(&object["spec"]["strategy"]));
    }
    immutable(old, object, "/spec/selector", &mut causes);
    causes
}

/// What is wrong with how a Deployment replaces its pods.
fn strategy(strategy: &Value) -> Vec<Cause> {
    let place = "spec.strategy";
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if rolling.is_object() => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            vec![Cause::forbidden(at(place, "rollingUpdate"), detail)]
        }
        "Recreate" => Vec::new(),
        "RollingUpdate" => {
            let field = |name: &str| format!("{place}.rollingUpdate.{name}");
            let mut causes: Vec<Cause> = ["maxUnavailable", "maxSurge"]
                .iter()
                .filter_map(|name| count_or_percent(&field(name), &rolling[*name]))
                .collect();
            let zero = |value: &Value| *value == 0 || *value == "0%";
            if zero(&rolling["maxUnavailable"]) && zero(&rolling["maxSurge"]) {
                let shown =
                    if rolling["maxUnavailable"].is_string() { &rolling["maxUnavailable"] } else { &Value::from(0) };
                causes.push(Cause::invalid(field("maxUnavailable"), shown, "may not be 0 when `maxSurge` is 0"));
            }
            causes
        }
        _ => vec![Cause::unsupported(at(place, "type"), &strategy["type"], &words(&["Recreate", "RollingUpdate"]))],
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|expression| {
            let value = expression["key"].as_str().and_then(|key| labels.get(key));
            let listed =
                value.is_some_and(|value| expression["values"].as_array().is_some_and(|values| values.contains(value)));
            match expression["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

pub(super) fn job(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = pod_spec(&object["spec"]["template"]["spec"], "spec.template.spec");
    immutable(old, object, "/spec/selector", &mut causes);
    immutable(old, object, "/spec/template", &mut causes);
    immutable(old, object, "/spec/completions", &mut causes);
    let policy = &object["spec"]["template"]["spec"]["restartPolicy"];
    if policy != "OnFailure" && policy != "Never" {
        let supported = ["OnFailure", "Never"].map(ToOwned::to_owned);
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", policy, &supported));
    }
    causes
}
