//! Whether the number of a variant is one series whichever pod of its controller leads, as the chart's monitor makes it.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Value, json};
use wva_api::metrics;

use super::monitors;
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{External, Facts, fixes};
use crate::readers::controllers::Controller;

/// Labels by which Prometheus tells pods apart.
const OF_PODS: [&str; 2] = ["pod", "instance"];
/// What others scale by.
const PUBLISHED: [&str; 3] = [metrics::DESIRED_REPLICAS, metrics::CURRENT_REPLICAS, metrics::DESIRED_RATIO];

/// Notes controllers each pod of which has a series of its own.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>, managed: &[Managed<'_>]) {
    if let (Err(why), External::Unread(_)) = (&examination.facts.monitors, &examination.facts.external) {
        examination.unknown(&[Cause::SeriesPerPod], why);
        return;
    }
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for one in managed {
        let Some(owner) = one.owner.map(|owner| &owner.controller) else { continue };
        let shown = found.remove(&owner.key()).unwrap_or_else(|| told_apart(examination.facts, one, owner));
        if !shown.evidence.is_empty() {
            found.insert(owner.key(), shown.affecting(one.key()));
        }
    }
    for finding in found.into_values() {
        examination.found(finding.advised(
            "HPAs add up what they find, so a new leader keeps silent until the series of the old one have ended; a scrape \
             configuration of your own blanks both labels in metric_relabel_configs, as the chart's monitor does",
        ));
    }
}

/// What keeps the labels of a controller's pods; without evidence where nothing does.
fn told_apart(facts: &Facts, one: &Managed<'_>, owner: &Controller) -> Finding {
    let all = monitors::all(facts, &owner.namespace, &owner.pod_labels);
    let finding = Finding::new(
        Cause::SeriesPerPod,
        Subject::new("deployment", &owner.namespace, &owner.name),
        format!("each pod of controller {} has series of its own", owner.key()),
    );
    // Where no monitor is, only the series tells.
    let series = all.is_empty().then(|| labels_of_pods(facts, one)).flatten();
    let finding = series.into_iter().fold(finding, Finding::shown_by);
    all.iter().filter_map(|monitor| Some((*monitor, patch(monitor)?))).fold(finding, |finding, (monitor, patch)| {
        let (kind, home, name) = monitors::reference(monitor);
        finding
            .shown_by(format!("{kind} {home}/{name} keeps the label pod or instance of {}", PUBLISHED[0]))
            .fixed_by(fixes::json(kind, &home, &name, &patch))
    })
}

/// What the external metrics API shows of the variant's series, where that carries the labels of a pod.
fn labels_of_pods(facts: &Facts, one: &Managed<'_>) -> Option<String> {
    let External::Answers(series) = &facts.external else { return None };
    let is = |labels: &BTreeMap<String, String>, key: &str, value: &str| labels.get(key).is_some_and(|it| it == value);
    let own = series.get(one.namespace())?.as_ref().ok()?.iter().find(|labels| {
        is(labels, metrics::LABEL_VARIANT_NAME, one.name())
            && is(labels, metrics::LABEL_EXPORTED_NAMESPACE, one.namespace())
    })?;
    let told: Vec<String> = OF_PODS.iter().filter_map(|key| Some(format!("{key}={}", own.get(*key)?))).collect();
    (!told.is_empty()).then(|| format!("the series of variant {} has {}", one.name(), told.join(", ")))
}

/// The change by which every endpoint of a monitor takes the labels away; none when they all do.
fn patch(monitor: &DynamicObject) -> Option<Value> {
    let mut changes = Vec::new();
    for key in ["endpoints", "podMetricsEndpoints"] {
        for (at, endpoint) in monitor.data["spec"][key].as_array().into_iter().flatten().enumerate() {
            let rules = endpoint["metricRelabelings"].as_array();
            let kept = OF_PODS.iter().filter(|label| !rules.into_iter().flatten().any(|rule| takes(rule, label)));
            let missing: Vec<Value> = kept
                .map(|label| {
                    json!({"sourceLabels": ["__name__"], "regex": PUBLISHED.join("|"), "targetLabel": label, "replacement": ""})
                })
                .collect();
            let place = format!("/spec/{key}/{at}/metricRelabelings");
            if missing.is_empty() {
                continue;
            }
            match rules {
                Some(_) => changes.extend(
                    missing.into_iter().map(|rule| json!({"op": "add", "path": format!("{place}/-"), "value": rule})),
                ),
                None => changes.push(json!({"op": "add", "path": place, "value": missing})),
            }
        }
    }
    (!changes.is_empty()).then_some(Value::Array(changes))
}

/// Whether a rule of relabelling takes a label away from the published number, or the number itself.
fn takes(rule: &Value, label: &str) -> bool {
    let pattern = rule["regex"].as_str().unwrap_or("(.*)");
    let fits = |text: &str| regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text));
    let sources: Vec<&str> = rule["sourceLabels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let about_it = sources.is_empty() || (sources == ["__name__"] && fits(PUBLISHED[0]));
    let replacement = rule["replacement"].as_str().unwrap_or("$1");
    // A group that the pattern has not got is empty, and so is one of no source.
    let empty = replacement.is_empty() || (replacement == "$1" && (!pattern.contains('(') || sources.is_empty()));
    match rule["action"].as_str().unwrap_or("replace").to_ascii_lowercase().as_str() {
        "replace" => rule["targetLabel"] == label && about_it && empty,
        "labeldrop" => fits(label),
        "labelkeep" => !fits(label),
        "drop" => sources == ["__name__"] && fits(PUBLISHED[0]),
        "keep" => sources == ["__name__"] && !fits(PUBLISHED[0]),
        _ => false,
    }
}
