//! Selectors must stay within their release.

use super::objects::{Labels, Object, labels, picks, show};
use super::{Finding, Rule};

pub(super) fn findings(objects: &[Object<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in objects {
        let others = || objects.iter().filter(|other| other.release != object.release);
        match object.kind() {
            "Service" => {
                let selector = labels(&object.json["spec"]["selector"]);
                let here = |other: &&Object<'_>| other.namespace() == object.namespace();
                for other in others().filter(here) {
                    findings.extend(service(object, &selector, other));
                }
            }
            "ServiceMonitor" => {
                let selector = labels(&object.json["spec"]["selector"]["matchLabels"]);
                let watched = |other: &&Object<'_>| other.kind() == "Service" && watches(object, other.namespace());
                let met = others().filter(watched).filter(|service| picks(&selector, &service.labels()));
                findings.extend(met.map(|service| {
                    let message = format!(
                        "the ServiceMonitor's selector {} also picks another release's Service, so Prometheus scrapes \
                         it twice: select by app.kubernetes.io/instance, or narrow namespaceSelector",
                        show(&selector)
                    );
                    finding(message, &[object, service])
                }));
            }
            _ => {
                let selector = pod_selector(object);
                let met = others().filter(|other| {
                    other.is_workload()
                        && other.namespace() == object.namespace()
                        && picks(&selector, &other.pod_labels())
                });
                findings.extend(met.map(|other| {
                    let message = format!(
                        "the selector {} also picks the pods of another release: give the releases different names",
                        show(&selector)
                    );
                    finding(message, &[object, other])
                }));
            }
        }
    }
    findings
}

/// The labels by which a workload, a disruption budget or a network policy picks pods; empty for other kinds.
fn pod_selector(object: &Object<'_>) -> Labels {
    match object.kind() {
        "NetworkPolicy" => labels(&object.json["spec"]["podSelector"]["matchLabels"]),
        "PodDisruptionBudget" => labels(&object.json["spec"]["selector"]["matchLabels"]),
        _ if object.is_workload() => labels(&object.json["spec"]["selector"]["matchLabels"]),
        _ => Labels::new(),
    }
}

/// A Service and something of another release in its namespace.
fn service(service: &Object<'_>, selector: &Labels, other: &Object<'_>) -> Option<Finding> {
    if other.is_workload() && picks(selector, &other.pod_labels()) && !is_model_server(service, other) {
        let message = format!("the Service's selector {} also picks the pods of another release", show(selector));
        return Some(finding(message, &[service, other]));
    }
    if other.kind() != "Service" || service.release > other.release {
        return None;
    }
    let theirs = labels(&other.json["spec"]["selector"]);
    // Who selects by fewer labels selects what the other one does, and more.
    if !picks(selector, &theirs) && !picks(&theirs, selector) {
        return None;
    }
    let message = format!(
        "two Services select the same pods ({}), so Prometheus counts their requests twice: give the models different \
         names, or set vllmService.selector",
        show(selector)
    );
    Some(finding(message, &[service, other]))
}

/// Model servers come from a release of their own; the Service of a variant is there to reach them.
fn is_model_server(service: &Object<'_>, workload: &Object<'_>) -> bool {
    service.label("app.kubernetes.io/component") == Some("vllm")
        && workload.label("app.kubernetes.io/name") != service.label("app.kubernetes.io/name")
}

/// Whether a `ServiceMonitor` looks into a namespace.
fn watches(monitor: &Object<'_>, namespace: &str) -> bool {
    let selector = &monitor.json["spec"]["namespaceSelector"];
    if selector["any"].as_bool() == Some(true) {
        return true;
    }
    match selector["matchNames"].as_array() {
        Some(names) => names.iter().any(|name| name.as_str() == Some(namespace)),
        None => monitor.namespace() == namespace,
    }
}

fn finding(message: String, objects: &[&Object<'_>]) -> Finding {
    Finding { rule: Rule::Selector, objects: objects.iter().map(|object| object.reference()).collect(), message }
}
