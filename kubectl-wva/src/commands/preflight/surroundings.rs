//! What must be in the cluster around a controller, and what is good to know of it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::{Map, Value};
use wva_api::Instance;

use super::{Check, State};
use crate::commands::release::Served;
use crate::output::console::counted;
use crate::readers::controllers::Controller;
use crate::readers::external::{self, remedies};
use crate::readers::{controllers, definition, prometheus};
use crate::session::{self, Session};
use crate::writers::install;

/// The first Kubernetes whose HPAs can follow exactly.
const TOLERANCE: u32 = 35;

/// The install that is looked for, as far as it is the same whatever is missing.
fn installing(session: &Session) -> String {
    format!("kubectl wva install -n {} --create-namespace", session.namespace)
}

/// The version of Kubernetes. Whether the chart takes it, the chart says.
pub(super) fn version(served: &Served) -> Check {
    let version = &served.version;
    let minor = version.split('.').nth(1).and_then(|minor| minor.trim_end_matches('+').parse::<u32>().ok());
    let name = "Kubernetes";
    match minor {
        Some(minor) if minor < TOLERANCE => Check::new(
            name,
            State::Advice,
            format!(
                "{version}; before 1.{TOLERANCE} an HPA leaves steps of one in ten and less undone, so above ten replicas \
                 it follows roughly"
            ),
        ),
        _ => Check::new(name, State::Ok, version.clone()),
    }
}

/// The namespace of the install.
pub(super) async fn namespace(session: &Session) -> Check {
    let (name, place) = ("namespace", &session.namespace);
    match session.require_namespace(place).await {
        Ok(()) => Check::new(name, State::Ok, format!("{place} exists")),
        Err(_) => {
            Check::new(name, State::Advice, format!("{place} does not exist; `install --create-namespace` makes it"))
        }
    }
}

/// Kinds of other software, and our own.
pub(super) async fn kinds(session: &Session, served: &Served) -> Vec<Check> {
    let own = if served.has("llmd.ai/v1alpha1", "VariantAutoscaling") {
        match definition::missing(session).await {
            fields if fields.is_empty() => Check::new("VariantAutoscaling", State::Ok, "defined"),
            fields => Check::new(
                "VariantAutoscaling",
                State::Missing,
                format!("its definition is that of an early release, without {}", fields.join(" and ")),
            )
            .fixed_by(["kubectl wva migrate plan".to_owned()]),
        }
    } else {
        Check::new("VariantAutoscaling", State::Ok, "not defined yet; the install brings its definition")
    };
    let operator = if served.has("monitoring.coreos.com/v1", "ServiceMonitor") {
        Check::new("ServiceMonitor", State::Ok, "the Prometheus operator's kinds are there")
    } else {
        Check::new("ServiceMonitor", State::Missing, "the Prometheus operator's kinds are not there").fixed_by([
            "helm repo add prometheus-community https://prometheus-community.github.io/helm-charts && helm upgrade -i \
             kube-prometheus-stack prometheus-community/kube-prometheus-stack -n monitoring --create-namespace"
                .to_owned(),
            format!("{} --set wva.metrics.serviceMonitor.enabled=false", installing(session)),
        ])
    };
    vec![own, operator]
}

/// Whether another controller takes the variants that this one would take.
pub(super) async fn instance(session: &Session, values: &Map<String, Value>) -> Check {
    let name = "instance";
    let id = values.get("wva").and_then(|wva| wva["controllerInstance"].as_str()).unwrap_or_default();
    let found = controllers::list(session).await;
    let instance = match Instance::parse(id) {
        Ok(instance) => instance,
        Err(error) => return Check::new(name, State::Missing, error.to_string()),
    };
    Check::of(name, found, |controllers| {
        let watched = values.get("wva").and_then(|wva| wva["watchNamespaces"].as_array());
        let watched: BTreeSet<&str> = watched.into_iter().flatten().filter_map(Value::as_str).collect();
        let same = |one: &&Controller| {
            let theirs = &one.scope.namespaces;
            let meets = watched.is_empty() || theirs.is_empty() || theirs.iter().any(|name| watched.contains(&**name));
            (one.scope.instance == instance || one.scope.manage_all) && meets
        };
        let Some(other) = controllers.iter().find(same) else {
            return Check::new(name, State::Ok, "no other controller takes the variants of this one");
        };
        let says = format!("controller {} takes the same variants: HPAs would add the numbers of both up", other.key());
        Check::new(name, State::Missing, says).fixed_by([format!(
            "{} --instance {}",
            installing(session),
            session.namespace
        )])
    })
}

/// Whether there is a Prometheus where the controller will ask; also where there is one.
pub(super) async fn prometheus(session: &Session, values: &Map<String, Value>) -> (Check, Vec<String>) {
    let name = "Prometheus";
    let services: Api<Service> = Api::all(session.client.clone());
    let services = session.ask("list services", services.list(&ListParams::default())).await;
    let known = services.as_ref().map(|list| prometheus::addresses(list.items.iter())).unwrap_or_default();
    let Some(url) = address(values) else {
        return (Check::new(name, State::Unknown, "the values name no Prometheus"), known);
    };
    let shown = url.split_once('@').map_or(url.as_str(), |(_, rest)| rest).to_owned();
    let check = match prometheus::service(&url) {
        None => {
            Check::new(name, State::Ok, format!("{shown} is no Service of this cluster; the controller will ask it"))
        }
        Some((namespace, service, port)) => Check::of(name, services, |list| {
            let is_it = |one: &&Service| one.namespace().as_deref() == Some(&namespace) && one.name_any() == service;
            let Some(found) = list.items.iter().find(is_it) else {
                let fixes = known.iter().map(|url| format!("{} --prometheus {url}", installing(session)));
                let says =
                    format!("there is no Service {namespace}/{service}, where the controller would ask ({shown})");
                return Check::new(name, State::Missing, says).fixed_by(fixes);
            };
            let ports = found.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
            match port.filter(|port| !ports.clone().any(|one| one.port == i32::from(*port))) {
                None => Check::new(name, State::Ok, format!("Service {namespace}/{service} is there ({shown})")),
                Some(port) => {
                    let says = format!("Service {namespace}/{service} has no port {port} ({shown})");
                    Check::new(name, State::Missing, says)
                }
            }
        }),
    };
    (check, known)
}

/// The address that the controller would ask: as given, else the chart's default.
fn address(values: &Map<String, Value>) -> Option<String> {
    let given = |values: &Map<String, Value>| {
        values.get("wva").and_then(|wva| wva["prometheus"]["baseURL"].as_str()).map(str::to_owned)
    };
    given(values).or_else(|| given(install::chart().ok()?.values()))
}

/// Whether anybody serves the numbers to HPAs.
pub(super) async fn external_metrics(session: &Session, prometheus: Option<&str>) -> Check {
    let name = "external metrics";
    match external::discover(session).await {
        Ok(()) => Check::new(name, State::Ok, format!("{} is served", external::GROUP_VERSION)),
        Err(session::Error::NotFound { .. } | session::Error::Unavailable { .. }) => Check::new(
            name,
            State::Missing,
            format!("nobody serves {}: HPAs cannot read what a controller publishes", external::GROUP_VERSION),
        )
        .fixed_by(remedies(prometheus)),
        Err(error) => Check::new(name, State::Unknown, error.to_string()),
    }
}

/// The GPUs that nodes offer.
pub(super) async fn gpus(session: &Session) -> Check {
    let name = "GPU nodes";
    let nodes: Api<Node> = Api::all(session.client.clone());
    let nodes = session.ask("list nodes", nodes.list(&ListParams::default())).await;
    Check::of(name, nodes, |nodes| {
        let offered: Vec<BTreeMap<String, u64>> =
            nodes.items.iter().map(offered).filter(|gpus| !gpus.is_empty()).collect();
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (resource, count) in offered.iter().flatten() {
            *sums.entry(resource.clone()).or_default() += count;
        }
        let sums: Vec<String> = sums.into_iter().map(|(resource, count)| format!("{count} {resource}")).collect();
        match offered.len() {
            0 => Check::new(
                name,
                State::Advice,
                format!("none of {} offers GPUs: is the device plugin installed?", counted(nodes.items.len(), "node")),
            ),
            count => Check::new(name, State::Ok, format!("{} with {}", counted(count, "node"), sums.join(", "))),
        }
    })
}

fn offered(node: &Node) -> BTreeMap<String, u64> {
    let is_gpu = |resource: &str| {
        resource.ends_with("/gpu") || resource.starts_with("gpu.intel.com/") || resource == "habana.ai/gaudi"
    };
    let allocatable = node.status.iter().flat_map(|status| status.allocatable.iter().flatten());
    let gpus = allocatable.filter(|(resource, _)| is_gpu(resource));
    gpus.filter_map(|(resource, count)| Some((resource.clone(), count.0.parse().ok()?)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
