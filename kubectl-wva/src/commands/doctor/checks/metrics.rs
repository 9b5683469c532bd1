//! Whether the metrics of the servers reach the controller.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde_json::json;
use wva_api::conditions::{self, reasons};
use wva_api::config_keys;

use super::monitors::{Scraping, scraping};
use super::{controller, monitors, target};
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, fixes};
use crate::duration;
use crate::readers::controllers::{Controller, Stated};
use crate::readers::{prometheus, variants, workload};

/// What comes after the scrape: a decision, and the writing of it.
const FIRST: SignedDuration = SignedDuration::from_secs(15);
/// What the controller logs while Prometheus has never answered it.
const UNANSWERED: &str = "Prometheus does not answer";

/// Checks the metrics behind the decisions. All variants go further: a number is published whatever it was made of.
pub(in crate::commands::doctor) fn check<'a>(
    examination: &mut Examination<'a>,
    managed: Vec<Managed<'a>>,
) -> Vec<Managed<'a>> {
    for one in &managed {
        let metrics = conditions::find(target::stored(one.variant), conditions::METRICS_AVAILABLE);
        let metrics = metrics.filter(|metrics| metrics.status != "True");
        let evidence = metrics
            .map(|metrics| format!("MetricsAvailable is {}, {}: {}", metrics.status, metrics.reason, metrics.message));
        let reason = metrics.map(|metrics| metrics.reason.as_str());
        let found = match (reason, evidence) {
            (Some(reasons::PROMETHEUS_ERROR), Some(evidence)) => match one.owner {
                Some(owner) => Some(unreachable(examination.facts, &owner.controller, &evidence)),
                None => Some(
                    Finding::new(
                        Cause::PrometheusUnreachable,
                        Subject::new("variantautoscaling", one.namespace(), one.name()),
                        "the controller gets no answer from Prometheus",
                    )
                    .shown_by(evidence),
                ),
            },
            (Some(reasons::MODEL_NOT_SERVED), Some(evidence)) => {
                let message = metrics.map(|metrics| metrics.message.clone()).unwrap_or_default();
                Some(other_model(examination, one, evidence, &message))
            }
            (_, evidence) => structure(examination, one, evidence.as_deref())
                .or_else(|| evidence.and_then(|evidence| unmeasured(examination, one, evidence, metrics))),
        };
        if let Some(found) = found {
            examination.found(found.affecting(one.key()));
        }
    }
    managed
}

/// The log line that says so, if there is one and nothing later takes it back.
pub(super) fn unanswered(log: &str) -> Option<&str> {
    let line = log.lines().rev().find(|line| line.contains("Prometheus"))?;
    line.contains(UNANSWERED).then_some(line)
}

/// A controller without an answer from Prometheus.
pub(super) fn unreachable(facts: &Facts, controller: &Controller, evidence: &str) -> Finding {
    let Controller { namespace, name, .. } = controller;
    let key = config_keys::PROMETHEUS_BASE_URL;
    let map = match controller.stated(key) {
        Some(Stated::Value(_)) => None,
        Some(Stated::ConfigMap { name, .. }) => Some(name),
        None => Some(controller.main_config_map()),
    };
    let used = match &map {
        None => controller.literal(key),
        Some(map) => facts.config_map(namespace, map).and_then(|map| map.data.as_ref()?.get(key).cloned()),
    };
    let finding = Finding::new(
        Cause::PrometheusUnreachable,
        Subject::new("deployment", namespace, name),
        format!("controller {} gets no answer from Prometheus: it holds what it decided last", controller.key()),
    )
    .shown_by(controller::shortened(evidence));
    let finding = match &used {
        Some(url) => finding.shown_by(format!("{key} is {}", without_user(url))),
        None => finding,
    };
    let other = |url: &String| used.as_ref().is_none_or(|used| used.trim_end_matches('/') != url);
    let finding = addresses(facts).into_iter().filter(other).fold(finding, |finding, url| {
        finding.fixed_by(match &map {
            None => format!("kubectl set env deployment/{name} -n {namespace} {key}={url}"),
            Some(map) => format!(
                "{} && kubectl rollout restart deployment/{name} -n {namespace}",
                fixes::merge("configmap", namespace, map, &json!({"data": {key: url}}))
            ),
        })
    });
    finding
        .looked_at("kubectl get services -A | grep -i -e prometheus -e thanos")
        .looked_at(format!("kubectl logs -n {namespace} deployment/{name} | grep -i prometheus"))
        .advised(format!(
            "if {key} is right, Prometheus itself is down or refuses: the PROMETHEUS_* settings are in docs/configuration.md"
        ))
}

/// Where Prometheus answers, by the Services of the cluster.
pub(super) fn addresses(facts: &Facts) -> Vec<String> {
    prometheus::addresses(facts.services.iter().flatten())
}

/// An address without the user and password it may hold.
fn without_user(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1))) {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

fn other_model(examination: &Examination<'_>, one: &Managed<'_>, evidence: String, message: &str) -> Finding {
    let (namespace, name) = (one.namespace(), one.name());
    let deployment = examination.facts.deployment(namespace, &one.variant.spec.scale_target_ref);
    let served = reported(message).or_else(|| deployment.and_then(workload::served_model));
    let model = one.variant.spec.model().unwrap_or_default();
    let finding = Finding::new(
        Cause::ModelNameMismatch,
        Subject::new("variantautoscaling", namespace, name),
        match &served {
            Some(served) => format!("variant {name} names the model {model}, but its pods report {served}"),
            None => format!("variant {name} names the model {model}, but its pods report another"),
        },
    )
    .shown_by(evidence)
    .advised("for a variant that was added with add-model or helm, change llmd.modelID of its release too");
    match served {
        Some(served) => finding.fixed_by(fixes::merge(
            "va",
            namespace,
            name,
            &json!({"spec": {"modelID": served, "modelId": null}}),
        )),
        None => finding,
    }
}

/// The one model that the controller's message says the pods report.
fn reported(message: &str) -> Option<String> {
    let models = message.strip_prefix("The pods report ")?.rsplit_once(", not ")?.0;
    (!models.contains(", ")).then(|| models.to_owned())
}

/// What can be seen at once, whether or not metrics still arrive: a model that the servers do not have, and pods that
/// nothing tells Prometheus to scrape.
fn structure(examination: &mut Examination<'_>, one: &Managed<'_>, evidence: Option<&str>) -> Option<Finding> {
    let facts = examination.facts;
    let (namespace, name) = (one.namespace(), one.name());
    let deployment = facts.deployment(namespace, &one.variant.spec.scale_target_ref)?;
    let template = deployment.spec.as_ref()?.template.metadata.clone().unwrap_or_default();
    let pods = template.labels.clone().unwrap_or_default();
    let names = workload::served_models(deployment);
    let model = one.variant.spec.model().unwrap_or_default();
    if let Some(evidence) = evidence
        && let Some(served) = names.first()
        && !names.iter().any(|served| served == model)
    {
        let shown = format!("Deployment {} starts its servers with the model {served}", deployment.name_any());
        return Some(other_model(examination, one, shown, "").shown_by(evidence));
    }
    // Pods at zero are scraped when they come; who has no operator is told only what is missing.
    let told = evidence.is_some() || facts.monitors.as_ref().is_ok_and(|monitors| !monitors.is_empty());
    if !told || workload::announces(&template) {
        return None;
    }
    let own = own_service(facts, one);
    let (proof, fix) = match scraping(facts, namespace, &pods) {
        Scraping::By(_) | Scraping::Unread(_) => return None,
        Scraping::NoMonitor(services) => {
            let odd = monitors::of_release(facts, &one.variant.metadata).zip(own).map(|(monitor, service)| {
                let (kind, home, name) = monitors::reference(monitor);
                let labels: BTreeMap<&String, &String> = service
                    .labels()
                    .iter()
                    .filter(|(key, _)| key.starts_with("app.kubernetes.io/") && !key.ends_with("managed-by"))
                    .collect();
                let patch = json!([{"op": "replace", "path": "/spec/selector", "value": {"matchLabels": labels}}]);
                fixes::json(kind, &home, &name, &patch)
            });
            (format!("no ServiceMonitor selects the Service {}", services.join(", ")), odd)
        }
        Scraping::NoService => match own.and_then(|service| selector_fixed(service, &pods)) {
            Some((says, fix)) => (says, Some(fix)),
            None => ("no Service selects the pods, and no PodMonitor".to_owned(), None),
        },
    };
    // Metrics that arrive in another way than the chart's are nobody's mistake.
    if evidence.is_none() && own.is_none() {
        return None;
    }
    let says = format!("nothing tells Prometheus to scrape the pods of variant {name}");
    let finding = Finding::new(Cause::ServiceMonitorMissing, Subject::new("variantautoscaling", namespace, name), says);
    let finding = evidence.into_iter().fold(finding.shown_by(proof), Finding::shown_by);
    Some(finding.fixed_by(fix.unwrap_or_else(|| fixes::install_again(facts, one))))
}

/// The Service that the chart made for a variant's pods.
fn own_service<'a>(facts: &'a Facts, one: &Managed<'_>) -> Option<&'a Service> {
    let release = variants::release(&one.variant.metadata)?;
    facts.services.iter().flatten().find(|service| {
        service.namespace().as_deref() == Some(one.namespace()) && variants::release(&service.metadata) == Some(release)
    })
}

/// A Service whose selector finds none of the pods, and the patch that makes it find them.
fn selector_fixed(service: &Service, pods: &BTreeMap<String, String>) -> Option<(String, String)> {
    let selector = service.spec.as_ref()?.selector.clone()?;
    let told = |labels: &BTreeMap<String, String>| {
        labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    };
    let mut right: BTreeMap<String, String> =
        selector.keys().filter_map(|key| Some((key.clone(), pods.get(key)?.clone()))).collect();
    if right.is_empty() {
        right.clone_from(pods);
    }
    let (namespace, name) = (service.namespace()?, service.name_any());
    let says = format!("Service {name} selects {}, and the pods carry {}", told(&selector), told(pods));
    let patch = json!([{"op": "replace", "path": "/spec/selector", "value": right}]);
    Some((says, fixes::json("service", &namespace, &name, &patch)))
}

/// Missing or stale metrics of a workload with pods that are ready, and that a monitor selects.
fn unmeasured(
    examination: &mut Examination<'_>,
    one: &Managed<'_>,
    evidence: String,
    condition: Option<&Condition>,
) -> Option<Finding> {
    let facts = examination.facts;
    let (namespace, name) = (one.namespace(), one.name());
    let reference = &one.variant.spec.scale_target_ref;
    if let (Err(why), "Deployment") = (&facts.deployments, reference.kind.as_str()) {
        // Whether pods run that ought to be measured.
        examination.unknown(&[Cause::ServiceMonitorMissing, Cause::MetricsMissing], why);
        return None;
    }
    let deployment = facts.deployment(namespace, reference)?;
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if ready == 0 {
        return None;
    }
    let pods = deployment.spec.as_ref()?.template.metadata.clone().unwrap_or_default().labels.unwrap_or_default();
    if let Scraping::Unread(why) = scraping(facts, namespace, &pods) {
        examination.unknown(&[Cause::ServiceMonitorMissing], &why);
    }
    let monitors = monitors::all(facts, namespace, &pods);
    let odd = monitors.iter().any(|monitor| monitors::odd_path(monitor).is_some());
    let interval = monitors.first().map_or(SignedDuration::from_secs(30), |monitor| monitors::interval(monitor));
    let made = monitors.first().and_then(|monitor| monitor.creation_timestamp());
    let times = [made, one.variant.creation_timestamp(), condition.map(|one| one.last_transition_time.clone())];
    let youngest = times.into_iter().flatten().map(|time| time.0).max();
    if let Some(since) = youngest.filter(|since| !odd && facts.now.duration_since(*since) < interval * 2 + FIRST) {
        examination.starting(format!(
            "variant {name}: starting ({}; first scrape expected within {}s)",
            duration::age(since, facts.now),
            interval.as_secs()
        ));
        return None;
    }
    let says = format!("Prometheus has no fresh metrics of the pods of variant {name}");
    let subject = Subject::new("variantautoscaling", namespace, name);
    let mut found = Finding::new(Cause::MetricsMissing, subject, says).shown_by(evidence);
    for monitor in &monitors {
        let (kind, home, name) = monitors::reference(monitor);
        found = monitors::path_fixed(found.shown_by(format!("{kind} {home}/{name} selects them")), monitor);
    }
    let port = workload::port(deployment).unwrap_or(8000);
    let selector = pods.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    Some(
        found
            .looked_at(format!(
                "kubectl get --raw /api/v1/namespaces/{namespace}/pods/$(kubectl get pods -n {namespace} -l {selector} -o \
                 jsonpath='{{.items[0].metadata.name}}'):{port}/proxy/metrics"
            ))
            .advised(
                "if that answers, look whether Prometheus selects monitors by a label (vllmService.serviceMonitor.labels), \
                 and whether its series carry the labels namespace and pod",
            ),
    )
}
