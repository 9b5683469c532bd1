//! Whether KEDA follows the published number: its `ScaledObject` says by which query, and KEDA makes an HPA of it whose
//! own metric has names of KEDA's making.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use wva_api::{Instance, metrics};

use super::follower::inactive;
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, fixes};

pub(super) use crate::readers::followers::KEDA as LABEL;
/// Annotations with which KEDA lets go of a target.
const PAUSED: [&str; 2] = ["autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas"];

/// Checks the `ScaledObject` behind an HPA that KEDA made.
pub(super) fn check(
    examination: &mut Examination<'_>,
    one: &Managed<'_>,
    hpa: &HorizontalPodAutoscaler,
) -> Option<Finding> {
    let facts = examination.facts;
    let name = hpa.labels().get(LABEL)?;
    let objects = match &facts.scaled_objects {
        Ok(objects) => objects,
        Err(why) => {
            examination.unknown(&[Cause::HpaSelectorMismatch, Cause::MetricNotServed], why);
            return None;
        }
    };
    let is_it =
        |object: &&DynamicObject| object.name_any() == *name && object.namespace().as_deref() == Some(one.namespace());
    let Some(object) = objects.iter().find(is_it) else {
        return Some(
            unserved(one, "hpa", &hpa.name_any(), format!("the ScaledObject {name} of HPA {} is gone", hpa.name_any()))
                .shown_by(format!("label {LABEL} is {name}"))
                .fixed_by(format!("kubectl delete hpa {} -n {}", hpa.name_any(), one.namespace()))
                .fixed_by(fixes::install_again(facts, one)),
        );
    };
    paused(object, one)
        .or_else(|| wrong_query(facts, object, one))
        .or_else(|| misread(object, one))
        .or_else(|| unwell(object, one, hpa))
}

/// The `ScaledObject` of a target for which there is no HPA, and why there is none.
pub(super) fn without_hpa(facts: &Facts, one: &Managed<'_>) -> Option<Finding> {
    let target = &one.variant.spec.scale_target_ref;
    let names_it = |object: &&DynamicObject| {
        let reference = &object.data["spec"]["scaleTargetRef"];
        object.namespace().as_deref() == Some(one.namespace())
            && reference["name"] == target.name.as_str()
            && reference["kind"].as_str().unwrap_or("Deployment") == target.kind
    };
    let object = facts.scaled_objects.iter().flatten().find(names_it)?;
    Some(paused(object, one).unwrap_or_else(|| {
        let (namespace, name) = (one.namespace(), object.name_any());
        let says =
            format!("KEDA has made no HPA of ScaledObject {name}: nothing scales {} {}", target.kind, target.name);
        let finding = Finding::new(Cause::HpaMissing, Subject::new("scaledobject", namespace, &name), says);
        match condition(object, "Ready", "False") {
            Some(why) => {
                finding.shown_by(why).looked_at(format!("kubectl describe scaledobject {name} -n {namespace}"))
            }
            None => finding
                .shown_by("it has no status: KEDA has not looked at it")
                .fixed_by("helm upgrade -i keda kedacore/keda -n keda --create-namespace")
                .looked_at("kubectl get pods -n keda"),
        }
    }))
}

fn paused(object: &DynamicObject, one: &Managed<'_>) -> Option<Finding> {
    let set = |key: &&&str| object.annotations().get(**key).is_some_and(|value| value != "false");
    let annotations: Vec<&&str> = PAUSED.iter().filter(set).collect();
    let first = annotations.first()?;
    let (namespace, name) = (one.namespace(), object.name_any());
    let says = format!("ScaledObject {name} is paused: nothing follows the number published for {}", one.name());
    let take_away = annotations.iter().map(|key| format!("{key}-")).collect::<Vec<_>>().join(" ");
    Some(
        Finding::new(Cause::HpaMissing, Subject::new("scaledobject", namespace, &name), says)
            .shown_by(format!("it is annotated {first}={}", object.annotations()[**first]))
            .fixed_by(format!("kubectl annotate scaledobject {name} -n {namespace} {take_away}")),
    )
}

/// The query that finds the variant's series and no other. KEDA asks Prometheus itself, which knows all namespaces.
fn right_query(one: &Managed<'_>, metric: &str) -> String {
    let labels: Vec<String> = wanted(one).iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("sum({metric}{{{}}})", labels.join(","))
}

fn wanted(one: &Managed<'_>) -> Vec<(&'static str, String)> {
    let mut wanted = vec![
        (metrics::LABEL_VARIANT_NAME, one.name().to_owned()),
        (metrics::LABEL_EXPORTED_NAMESPACE, one.namespace().to_owned()),
    ];
    wanted.extend(Instance::of_labels(one.variant.labels()).metric_label().map(|(label, id)| (label, id.to_owned())));
    wanted
}

fn wrong_query(facts: &Facts, object: &DynamicObject, one: &Managed<'_>) -> Option<Finding> {
    let (namespace, name) = (one.namespace(), object.name_any());
    let triggers = object.data["spec"]["triggers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let queries =
        triggers.iter().enumerate().filter_map(|(at, trigger)| Some((at, trigger["metadata"]["query"].as_str()?)));
    let ours = [metrics::DESIRED_REPLICAS, metrics::DESIRED_RATIO];
    let followed = queries.into_iter().find_map(|(at, query)| {
        let metric = ours.iter().find(|metric| query.contains(**metric))?;
        Some((at, query, *metric))
    });
    let finding =
        |says: String| Finding::new(Cause::HpaSelectorMismatch, Subject::new("scaledobject", namespace, &name), says);
    let Some((at, query, metric)) = followed else {
        let address = triggers.iter().find_map(|trigger| trigger["metadata"]["serverAddress"].as_str());
        let trigger = json!({"type": "prometheus", "metricType": "AverageValue", "metadata": {
            "serverAddress": address.map(str::to_owned).or_else(|| super::metrics::addresses(facts).into_iter().next()),
            "query": right_query(one, metrics::DESIRED_REPLICAS), "threshold": "1", "ignoreNullValues": "false",
        }});
        return Some(
            finding(format!("ScaledObject {name} does not follow {}", metrics::DESIRED_REPLICAS))
                .shown_by("none of its triggers asks Prometheus for a wva_ metric")
                .fixed_by(fixes::merge("scaledobject", namespace, &name, &json!({"spec": {"triggers": [trigger]}}))),
        );
    };
    let selected = matchers(query);
    let mut wrong = Vec::new();
    for (label, value) in wanted(one) {
        match selected.get(label) {
            Some(found) if *found == Some(value.as_str()) || found.is_none() => {}
            Some(found) => wrong.push(format!("by {:?}; the series has {value:?}: {label}", found.unwrap_or_default())),
            None => wrong.push(format!("not at all; the series has {value:?}: {label}")),
        }
    }
    let id = metrics::LABEL_CONTROLLER_INSTANCE;
    if selected.contains_key(id) && !wanted(one).iter().any(|(label, _)| *label == id) {
        wrong.push(format!("though the series has no such label: {id}"));
    }
    if wrong.is_empty() {
        return None;
    }
    let place = format!("/spec/triggers/{at}/metadata/query");
    let patch = json!([{"op": "replace", "path": place, "value": right_query(one, metric)}]);
    let says = format!("ScaledObject {name} asks for another series than the one of variant {}", one.name());
    let finding = wrong.into_iter().fold(finding(says), |finding, what| {
        let (how, label) = what.rsplit_once(": ").unwrap_or(("", &what));
        finding.shown_by(format!("it selects {label} {how}"))
    });
    Some(finding.fixed_by(fixes::json("scaledobject", namespace, &name, &patch)))
}

/// A trigger that makes another number of replicas of the one published.
fn misread(object: &DynamicObject, one: &Managed<'_>) -> Option<Finding> {
    let (namespace, name) = (one.namespace(), object.name_any());
    let triggers = object.data["spec"]["triggers"].as_array()?;
    let ours = |trigger: &&Value| {
        trigger["metadata"]["query"].as_str().is_some_and(|query| query.contains(metrics::DESIRED_REPLICAS))
    };
    let (at, trigger) = triggers.iter().enumerate().find(|(_, trigger)| ours(trigger))?;
    let kind = trigger["metricType"].as_str().unwrap_or("AverageValue");
    let threshold = &trigger["metadata"]["threshold"];
    let one_each = threshold.as_str().and_then(|text| text.parse::<f64>().ok()).or(threshold.as_f64()) == Some(1.0);
    let mut patch = Vec::new();
    let mut shown = Vec::new();
    if kind != "AverageValue" {
        patch.push(json!({"op": "add", "path": format!("/spec/triggers/{at}/metricType"), "value": "AverageValue"}));
        shown.push(format!("metricType is {kind}: the number is multiplied by the replicas there are"));
    }
    if !one_each {
        patch.push(json!({"op": "add", "path": format!("/spec/triggers/{at}/metadata/threshold"), "value": "1"}));
        shown.push(format!("threshold is {threshold}: the number is divided by it"));
    }
    if patch.is_empty() {
        return None;
    }
    let says = format!("ScaledObject {name} makes another number of the one published for variant {}", one.name());
    let subject = Subject::new("scaledobject", namespace, &name);
    let finding = shown.into_iter().fold(Finding::new(Cause::HpaTargetMisread, subject, says), Finding::shown_by);
    Some(finding.fixed_by(fixes::json("scaledobject", namespace, &name, &json!(patch))))
}

/// The label matchers of a query's first selector; `None` for one that is no plain equality, which is not judged.
fn matchers(query: &str) -> BTreeMap<&str, Option<&str>> {
    let Some(inner) = query.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inner, _)| inner) else {
        return BTreeMap::new();
    };
    inner.split(',').filter_map(matcher).collect()
}

fn matcher(text: &str) -> Option<(&str, Option<&str>)> {
    let at = text.find(['=', '!'])?;
    let (label, rest) = (text[..at].trim(), &text[at..]);
    let value = rest.strip_prefix('=').filter(|value| !value.starts_with('~'));
    Some((label, value.map(|value| value.trim().trim_matches(['"', '\'']))))
}

/// The query is right; whether KEDA gets an answer, and its HPA a number.
fn unwell(object: &DynamicObject, one: &Managed<'_>, hpa: &HorizontalPodAutoscaler) -> Option<Finding> {
    let (namespace, name) = (one.namespace(), object.name_any());
    let why = condition(object, "Ready", "False").or_else(|| condition(object, "Fallback", "True"));
    let why = why.or_else(|| inactive(hpa))?;
    Some(
        unserved(
            one,
            "scaledobject",
            &name,
            format!("the number published for variant {} does not reach KEDA", one.name()),
        )
        .shown_by(why)
        .looked_at(format!("kubectl describe scaledobject {name} -n {namespace}"))
        .advised("serverAddress of its trigger must be where Prometheus answers KEDA's operator"),
    )
}

fn unserved(one: &Managed<'_>, kind: &'static str, name: &str, says: String) -> Finding {
    Finding::new(Cause::MetricNotServed, Subject::new(kind, one.namespace(), name), says)
}

fn condition(object: &DynamicObject, type_: &str, status: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let conditions = object.data["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|one| one["type"] == type_ && one["status"] == status)?;
    Some(format!("{type_} is {status}, {}: {}", text(&found["reason"]), text(&found["message"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matchers_of_a_query_are_read_and_patterns_are_not_judged() {
        let found = matchers(
            r#"sum(wva_desired_replicas{variant_name="llama-va", controller_instance=~"a|b",namespace!="x"})"#,
        );
        assert_eq!(found["variant_name"], Some("llama-va"));
        assert_eq!((found["controller_instance"], found["namespace"]), (None, None));
        assert!(matchers("sum(wva_desired_replicas)").is_empty());
    }
}
