//! Whether anything tells Prometheus to scrape a set of pods.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::{Selector, SelectorExt as _};
use serde_json::json;

use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::{Facts, fixes};
use crate::readers::variants;

type Labels = BTreeMap<String, String>;

/// How pods come to be scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scraping {
    /// By this monitor, `kind namespace/name`.
    By(String),
    /// Nothing selects these Services, which select the pods.
    NoMonitor(Vec<String>),
    /// No Service selects the pods, and no `PodMonitor`.
    NoService,
    /// It could not be read.
    Unread(String),
}

/// How pods with these labels in this namespace come to be scraped.
pub(super) fn scraping(facts: &Facts, namespace: &str, pods: &Labels) -> Scraping {
    let monitors = match &facts.monitors {
        Ok(monitors) => monitors,
        Err(why) => return Scraping::Unread(why.clone()),
    };
    let named = |monitor: &DynamicObject| {
        let kind = monitor.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        format!("{kind} {}/{}", monitor.namespace().unwrap_or_default(), monitor.name_any())
    };
    let of_pods = |monitor: &&DynamicObject| {
        is_a(monitor, "PodMonitor") && looks_at(monitor, namespace) && selects(monitor, pods)
    };
    if let Some(monitor) = monitors.iter().find(of_pods) {
        return Scraping::By(named(monitor));
    }
    let services = match &facts.services {
        Ok(services) => services,
        Err(why) => return Scraping::Unread(why.clone()),
    };
    let selecting: Vec<&Service> = services.iter().filter(|service| selects_pods(service, namespace, pods)).collect();
    if selecting.is_empty() {
        return Scraping::NoService;
    }
    let of_service = |monitor: &&DynamicObject| {
        is_a(monitor, "ServiceMonitor")
            && looks_at(monitor, namespace)
            && selecting.iter().any(|service| selects(monitor, service.labels()) && shares_port(monitor, service))
    };
    match monitors.iter().find(of_service) {
        Some(monitor) => Scraping::By(named(monitor)),
        None => Scraping::NoMonitor(selecting.iter().map(|service| service.name_any()).collect()),
    }
}

/// Every monitor by which pods with these labels are scraped.
pub(super) fn all<'a>(facts: &'a Facts, namespace: &str, pods: &Labels) -> Vec<&'a DynamicObject> {
    let services: Vec<&Service> =
        facts.services.iter().flatten().filter(|service| selects_pods(service, namespace, pods)).collect();
    let scrapes = |monitor: &&DynamicObject| {
        let of_pods = is_a(monitor, "PodMonitor") && selects(monitor, pods);
        let of_service = is_a(monitor, "ServiceMonitor")
            && services.iter().any(|service| selects(monitor, service.labels()) && shares_port(monitor, service));
        looks_at(monitor, namespace) && (of_pods || of_service)
    };
    facts.monitors.iter().flatten().filter(scrapes).collect()
}

/// The monitor that the chart made for the servers of a variant's release.
pub(super) fn of_release<'a>(facts: &'a Facts, variant: &ObjectMeta) -> Option<&'a DynamicObject> {
    let release = variants::release(variant)?;
    facts.monitors.iter().flatten().find(|monitor| {
        monitor.namespace() == variant.namespace && variants::release(&monitor.metadata) == Some(release)
    })
}

/// How a monitor is named to kubectl: kind, namespace, name.
pub(super) fn reference(monitor: &DynamicObject) -> (&'static str, String, String) {
    let kind = if is_a(monitor, "PodMonitor") { "podmonitor" } else { "servicemonitor" };
    (kind, monitor.namespace().unwrap_or_default(), monitor.name_any())
}

/// How often a monitor scrapes; what Prometheus does when it does not say.
pub(super) fn interval(monitor: &DynamicObject) -> SignedDuration {
    let endpoints = ["endpoints", "podMetricsEndpoints"].map(|key| monitor.data["spec"][key][0]["interval"].as_str());
    let said = endpoints.into_iter().flatten().find_map(|text| text.parse().ok());
    said.unwrap_or(SignedDuration::from_secs(30))
}

/// The path that a monitor asks for, where it is not the usual one.
pub(super) fn odd_path(monitor: &DynamicObject) -> Option<(String, &str)> {
    let found = ["endpoints", "podMetricsEndpoints"].into_iter().find_map(|key| {
        let path = monitor.data["spec"][key][0]["path"].as_str()?;
        Some((format!("/spec/{key}/0/path"), path))
    });
    found.filter(|(_, path)| *path != "/metrics")
}

/// Says that a monitor asks for an odd path, and puts the usual one.
pub(super) fn path_fixed(finding: Finding, monitor: &DynamicObject) -> Finding {
    let Some((place, path)) = odd_path(monitor) else { return finding };
    let (kind, namespace, name) = reference(monitor);
    let change = json!([{"op": "replace", "path": place, "value": "/metrics"}]);
    finding
        .shown_by(format!("{kind} {namespace}/{name} asks for {path}"))
        .fixed_by(fixes::json(kind, &namespace, &name, &change))
}

fn is_a(monitor: &DynamicObject, kind: &str) -> bool {
    monitor.types.as_ref().is_some_and(|types| types.kind == kind)
}

fn selects_pods(service: &Service, namespace: &str, pods: &Labels) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    service.namespace().as_deref() == Some(namespace)
        && selector.is_some_and(|selector| {
            !selector.is_empty() && selector.iter().all(|(key, value)| pods.get(key) == Some(value))
        })
}

fn looks_at(monitor: &DynamicObject, namespace: &str) -> bool {
    let selector = &monitor.data["spec"]["namespaceSelector"];
    if selector["any"] == true {
        return true;
    }
    match selector["matchNames"].as_array() {
        Some(names) => names.iter().any(|name| name == namespace),
        None => monitor.namespace().as_deref() == Some(namespace),
    }
}

fn selects(monitor: &DynamicObject, labels: &Labels) -> bool {
    let selector = serde_json::from_value::<LabelSelector>(monitor.data["spec"]["selector"].clone());
    selector.is_ok_and(|selector| Selector::try_from(selector).is_ok_and(|selector| selector.matches(labels)))
}

/// Whether the monitor names a port that the Service has; one that goes by number or target port counts as right.
fn shares_port(monitor: &DynamicObject, service: &Service) -> bool {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let names: Vec<&str> = ports.into_iter().flatten().filter_map(|port| port.name.as_deref()).collect();
    let endpoints = monitor.data["spec"]["endpoints"].as_array();
    endpoints.into_iter().flatten().any(|endpoint| endpoint["port"].as_str().is_none_or(|port| names.contains(&port)))
}
