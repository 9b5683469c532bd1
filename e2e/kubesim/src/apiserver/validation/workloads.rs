//! Deployments and their like.

use serde_json::Value;

use super::pods::pod_spec;
use super::{immutable, not_negative};
use crate::apiserver::failure::Cause;

pub(super) fn workload(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    not_negative(object, "/spec/replicas", &mut causes);
    immutable(old, object, "/spec/selector", &mut causes);
    let template = &object["spec"]["template"];
    if template.is_object() {
        causes.extend(pod_spec(&template["spec"], "spec.template.spec"));
        let policy = &template["spec"]["restartPolicy"];
        if policy == "OnFailure" || policy == "Never" {
            let supported = ["Always".to_owned()];
            causes.push(Cause::unsupported("spec.template.spec.restartPolicy", policy, &supported));
        }
    }
    let selector = &object["spec"]["selector"];
    if selector.is_object() && !selects(selector, &template["metadata"]["labels"]) {
        let labels = template["metadata"].get("labels").unwrap_or(&Value::Null);
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        ));
    }
    if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        causes.push(Cause::invalid("spec.selector", selector, "empty selector is invalid for deployment"));
    }
    causes
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
