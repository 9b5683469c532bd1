//! Whether the metrics of the servers reach the controller.

use serde_json::json;
use wva_api::conditions::{self, reasons};
use wva_api::config_keys;

use super::monitors::{Scraping, scraping};
use super::{controller, target};
use crate::controllers::{Controller, Stated};
use crate::doctor::examine::{Examination, Managed};
use crate::doctor::finding::{Cause, Finding, Subject};
use crate::doctor::mend;
use crate::workload;

/// What the controller logs while Prometheus has never answered it.
const UNANSWERED: &str = "Prometheus does not answer";

/// Checks the metrics behind the decisions. All variants go further: a number is published whatever it was made of.
pub(in crate::doctor) fn check<'a>(examination: &mut Examination<'a>, managed: Vec<Managed<'a>>) -> Vec<Managed<'a>> {
    for one in &managed {
        let stored = target::stored(one.variant);
        let Some(metrics) = conditions::find(stored, conditions::METRICS_AVAILABLE) else { continue };
        if metrics.status == "True" {
            continue;
        }
        let evidence = format!("MetricsAvailable is {}, {}: {}", metrics.status, metrics.reason, metrics.message);
        let found = match metrics.reason.as_str() {
            reasons::PROMETHEUS_ERROR => match one.owner {
                Some(owner) => Some(unreachable(&owner.controller, &evidence)),
                None => Some(
                    Finding::new(
                        Cause::PrometheusUnreachable,
                        Subject::new("variantautoscaling", one.namespace(), one.name()),
                        "the controller gets no answer from Prometheus",
                    )
                    .shown_by(evidence),
                ),
            },
            reasons::MODEL_NOT_SERVED => Some(other_model(examination, one, evidence, &metrics.message)),
            _ => unmeasured(examination, one, evidence),
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
pub(super) fn unreachable(controller: &Controller, evidence: &str) -> Finding {
    let Controller { namespace, name, .. } = controller;
    let key = config_keys::PROMETHEUS_BASE_URL;
    let map = match controller.stated(key) {
        Some(Stated::Value(_)) => None,
        Some(Stated::ConfigMap { name, .. }) => Some(name),
        None => Some(controller.main_config_map()),
    };
    let command = match map {
        None => format!("kubectl set env deployment/{name} -n {namespace} {key}=URL"),
        Some(map) => format!(
            "{} && kubectl rollout restart deployment/{name} -n {namespace}",
            mend::merge("configmap", namespace, &map, &json!({"data": {key: "URL"}}))
        ),
    };
    Finding::new(
        Cause::PrometheusUnreachable,
        Subject::new("deployment", namespace, name),
        format!("controller {} gets no answer from Prometheus: it holds what it decided last", controller.key()),
    )
    .shown_by(controller::shortened(evidence))
    .mended_by(command)
    .mended_by(format!("kubectl logs -n {namespace} deployment/{name} | grep -i prometheus"))
    .advised(format!("URL stands for where Prometheus answers; if it is right, Prometheus itself is down or refuses: {key} and the PROMETHEUS_* settings are in docs/configuration.md"))
}

fn other_model(examination: &Examination<'_>, one: &Managed<'_>, evidence: String, message: &str) -> Finding {
    let (namespace, name) = (one.namespace(), one.name());
    let deployment = target::deployment(examination.facts, namespace, &one.variant.spec.scale_target_ref);
    let served = reported(message).or_else(|| deployment.and_then(workload::served_model));
    let model = one.variant.spec.model().unwrap_or_default();
    Finding::new(
        Cause::ModelNameMismatch,
        Subject::new("variantautoscaling", namespace, name),
        match &served {
            Some(served) => format!("variant {name} names the model {model}, but its pods report {served}"),
            None => format!("variant {name} names the model {model}, but its pods report another"),
        },
    )
    .shown_by(evidence)
    .mended_by(mend::merge(
        "va",
        namespace,
        name,
        &json!({"spec": {"modelID": served.unwrap_or_else(|| "MODEL-ID".to_owned()), "modelId": null}}),
    ))
    .advised("for a variant that was added with add-model or helm, change llmd.modelID of its release")
}

/// The one model that the controller's message says the pods report.
fn reported(message: &str) -> Option<String> {
    let models = message.strip_prefix("The pods report ")?.rsplit_once(", not ")?.0;
    (!models.contains(", ")).then(|| models.to_owned())
}

/// Missing or stale metrics of a workload with pods that are ready.
fn unmeasured(examination: &mut Examination<'_>, one: &Managed<'_>, evidence: String) -> Option<Finding> {
    let facts = examination.facts;
    let (namespace, name) = (one.namespace(), one.name());
    let reference = &one.variant.spec.scale_target_ref;
    if let (Err(why), "Deployment") = (&facts.deployments, reference.kind.as_str()) {
        // Whether pods run that ought to be measured.
        examination.unknown(&[Cause::ServiceMonitorMissing, Cause::MetricsMissing], why);
        return None;
    }
    let deployment = target::deployment(facts, namespace, reference)?;
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    if ready == 0 {
        return None;
    }
    let template = deployment.spec.as_ref()?.template.metadata.clone().unwrap_or_default();
    let pods = template.labels.unwrap_or_default();
    let (cause, finding, proof) = match scraping(facts, namespace, &pods) {
        Scraping::Unread(why) => {
            examination.unknown(&[Cause::ServiceMonitorMissing], &why);
            let finding = format!("Prometheus has no fresh metrics of the pods of variant {name}");
            (Cause::MetricsMissing, finding, None)
        }
        Scraping::By(monitor) => {
            let finding =
                format!("Prometheus has no fresh metrics of the pods of variant {name}, though a monitor selects them");
            (Cause::MetricsMissing, finding, Some(format!("{monitor} selects them")))
        }
        Scraping::NoMonitor(services) => {
            let finding = format!("nothing tells Prometheus to scrape the pods of variant {name}");
            let proof = format!("no ServiceMonitor selects the Service {}", services.join(", "));
            (Cause::ServiceMonitorMissing, finding, Some(proof))
        }
        Scraping::NoService => {
            let finding = format!("nothing tells Prometheus to scrape the pods of variant {name}");
            let proof = "no Service selects the pods, and no PodMonitor";
            (Cause::ServiceMonitorMissing, finding, Some(proof.to_owned()))
        }
    };
    let subject = Subject::new("variantautoscaling", namespace, name);
    let mut found = Finding::new(cause, subject, finding).shown_by(evidence);
    if let Some(proof) = proof {
        found = found.shown_by(proof);
    }
    if cause == Cause::MetricsMissing {
        return Some(
            found
                .mended_by(format!("kubectl get --raw /api/v1/namespaces/{namespace}/pods/POD:PORT/proxy/metrics"))
                .advised("look whether the pods answer /metrics on the monitored port, and whether Prometheus selects monitors by a label (vllmService.serviceMonitor.labels)"),
        );
    }
    Some(found.mended_by(mend::install_again(facts, one)))
}
