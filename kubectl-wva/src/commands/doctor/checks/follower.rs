//! Whether the published number reaches whoever is to follow it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricIdentifier};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::json;
use wva_api::{Instance, ScaleTargetRef, VariantAutoscaling, metrics};

use super::monitors::{Scraping, scraping};
use super::{instance_label, keda, monitors, reading};
use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{External, Facts, Installed, Labels, fixes};
use crate::duration;
use crate::readers::{external, hpas, variants};

/// How long an HPA may take to look again.
const SETTLING: SignedDuration = SignedDuration::from_secs(20);
/// How long series of a pod that is gone may be seen beside those of the next.
const SUCCESSION: SignedDuration = SignedDuration::from_secs(60);

/// Checks what follows each variant's number.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>, managed: &[Managed<'_>]) {
    let facts = examination.facts;
    if let Err(why) = &facts.hpas {
        examination.unknown(&[Cause::HpaMissing, Cause::HpaSelectorMismatch, Cause::MetricNotServed], why);
    }
    if managed.is_empty() {
        return;
    }
    match &facts.external {
        External::Absent(why) => {
            let mut finding = absent(facts, why);
            finding.affects = managed.iter().map(Managed::key).collect();
            examination.found(finding);
        }
        External::Unread(why) => {
            examination.unknown(&[Cause::ExternalMetricsAbsent, Cause::MetricNotServed], why);
        }
        External::Answers(_) => {}
    }
    if facts.hpas.is_err() {
        return;
    }
    for one in managed {
        let watched = facts.monitors.as_ref().is_ok_and(|monitors| !monitors.is_empty());
        if let Some(owner) = one.owner.filter(|_| watched)
            && !owner.controller.announced
            && let Some(finding) = unscraped(facts, &owner.controller)
        {
            examination.found(finding.affecting(one.key()));
            continue;
        }
        if let Some(finding) = follower(examination, one) {
            examination.found(finding.affecting(one.key()));
        }
    }
}

fn absent(facts: &Facts, why: &str) -> Finding {
    let service = "v1beta1.external.metrics.k8s.io";
    let prometheus = super::metrics::addresses(facts);
    let finding = Finding::new(
        Cause::ExternalMetricsAbsent,
        Subject::cluster("apiservice", service),
        "the external metrics API is not there: HPAs cannot read what the controller publishes",
    )
    .shown_by(why)
    .looked_at(format!("kubectl describe apiservice {service}"))
    .advised(
        "with KEDA each model has a ScaledObject instead of an HPA: kubectl wva add-model … --set \
         keda.enabled=true,hpa.enabled=false",
    );
    external::remedies(prometheus.first().map(String::as_str)).into_iter().fold(finding, Finding::fixed_by)
}

fn follower(examination: &mut Examination<'_>, one: &Managed<'_>) -> Option<Finding> {
    let facts = examination.facts;
    let (namespace, variant) = (one.namespace(), one.variant);
    let target = &variant.spec.scale_target_ref;
    let hpa = facts.hpas.iter().flatten().find(|hpa| scales(hpa, namespace, target));
    let Some(hpa) = hpa else {
        return Some(keda::without_hpa(facts, one).unwrap_or_else(|| missing(facts, one)));
    };
    if hpa.labels().contains_key(keda::LABEL) {
        return keda::check(examination, one, hpa);
    }
    let Some(metric) = metric(hpa) else {
        return Some(
            mismatch(hpa, namespace, format!("HPA {} does not follow {}", hpa.name_any(), metrics::DESIRED_REPLICAS))
                .shown_by("none of its metrics is a wva_ metric")
                .fixed_by(add_metric(hpa, one)),
        );
    };
    if let Some(finding) = wrong_selector(hpa, &metric, one).or_else(|| instance_label::check(hpa, one)) {
        return Some(finding);
    }
    if let Some(finding) = reading::misread(hpa, one) {
        return Some(finding);
    }
    if let Some(advice) = reading::slow(hpa, one) {
        examination.found(advice.affecting(one.key()));
    }
    match &facts.external {
        External::Answers(series) => match series.get(namespace) {
            Some(Ok(series)) => unserved(examination, hpa, &metric, series, one),
            Some(Err(why)) => {
                examination.unknown(&[Cause::MetricNotServed], why);
                None
            }
            None => None,
        },
        // Found already, or unknown.
        External::Absent(_) | External::Unread(_) => None,
    }
}

/// Whether an HPA has this target.
pub(super) fn scales(hpa: &HorizontalPodAutoscaler, namespace: &str, target: &ScaleTargetRef) -> bool {
    hpa.namespace().as_deref() == Some(namespace)
        && hpa
            .spec
            .as_ref()
            .is_some_and(|spec| spec.scale_target_ref.kind == target.kind && spec.scale_target_ref.name == target.name)
}

fn missing(facts: &Facts, one: &Managed<'_>) -> Finding {
    let (namespace, name) = (one.namespace(), one.name());
    let target = &one.variant.spec.scale_target_ref;
    Finding::new(
        Cause::HpaMissing,
        Subject::new("variantautoscaling", namespace, name),
        format!(
            "nothing scales {} {}: no HPA follows the number published for variant {name}",
            target.kind, target.name
        ),
    )
    .shown_by(format!("no HPA in namespace {namespace} has {} {} as its target", target.kind, target.name))
    .fixed_by(fixes::install_again(facts, one))
}

/// The metric of ours that an HPA follows, and where in its spec it stands.
struct Followed<'a> {
    path: String,
    metric: &'a MetricIdentifier,
}

fn metric(hpa: &HorizontalPodAutoscaler) -> Option<Followed<'_>> {
    let specs = hpa.spec.as_ref()?.metrics.as_ref()?;
    specs.iter().enumerate().find_map(|(at, spec)| {
        let (kind, metric) = match (&spec.external, &spec.pods) {
            (Some(external), _) => ("external", &external.metric),
            (None, Some(pods)) => ("pods", &pods.metric),
            (None, None) => return None,
        };
        let ours = metric.name == metrics::DESIRED_REPLICAS || metric.name == metrics::DESIRED_RATIO;
        ours.then(|| Followed { path: format!("/spec/metrics/{at}/{kind}/metric/selector"), metric })
    })
}

/// The labels by which an HPA finds the series of a variant, and no other.
fn wanted(variant: &VariantAutoscaling) -> BTreeMap<&'static str, String> {
    let mut wanted = BTreeMap::from([(metrics::LABEL_VARIANT_NAME, variant.name_any())]);
    if let Some((label, id)) = Instance::of_labels(variant.labels()).metric_label() {
        wanted.insert(label, id.to_owned());
    }
    wanted
}

fn wrong_selector(hpa: &HorizontalPodAutoscaler, followed: &Followed<'_>, one: &Managed<'_>) -> Option<Finding> {
    let namespace = one.namespace();
    let selected = followed.metric.selector.as_ref().and_then(|s| s.match_labels.clone()).unwrap_or_default();
    let mut wanted = wanted(one.variant);
    for label in [metrics::LABEL_EXPORTED_NAMESPACE, metrics::LABEL_NAMESPACE] {
        if selected.get(label).is_some_and(|value| value != namespace) {
            wanted.insert(label, namespace.to_owned());
        }
    }
    // A selector for an instance, of a variant that has none, finds nothing.
    let surplus = selected.contains_key(metrics::LABEL_CONTROLLER_INSTANCE)
        && !wanted.contains_key(metrics::LABEL_CONTROLLER_INSTANCE);
    let wrong: Vec<_> = wanted.iter().filter(|(label, value)| selected.get(**label) != Some(*value)).collect();
    if wrong.is_empty() && !surplus {
        return None;
    }
    let mut finding = mismatch(
        hpa,
        namespace,
        format!("HPA {} asks for another series than the one of variant {}", hpa.name_any(), one.name()),
    );
    for (label, value) in &wrong {
        let has = selected.get(**label).map_or("not at all".to_owned(), |value| format!("by {value:?}"));
        finding = finding.shown_by(format!("it selects {label} {has}; the series has {value:?}"));
    }
    let mut labels = selected;
    labels.extend(wrong.iter().map(|(label, value)| ((**label).to_owned(), (*value).clone())));
    if surplus {
        let label = metrics::LABEL_CONTROLLER_INSTANCE;
        let has = labels.remove(label).unwrap_or_default();
        finding = finding.shown_by(format!("it selects {label} by {has:?}; the series has no such label"));
    }
    if let Some(inactive) = inactive(hpa) {
        finding = finding.shown_by(inactive);
    }
    let patch = json!([{"op": "add", "path": followed.path, "value": {"matchLabels": labels}}]);
    let patch = fixes::json("hpa", namespace, &hpa.name_any(), &patch);
    let left = instance_label::left_behind(hpa, one.variant);
    Some(finding.fixed_by(match left {
        Some(_) => format!("{patch} && {}", instance_label::relabelled(hpa, one)),
        None => patch,
    }))
}

fn mismatch(hpa: &HorizontalPodAutoscaler, namespace: &str, finding: String) -> Finding {
    Finding::new(Cause::HpaSelectorMismatch, Subject::new("hpa", namespace, hpa.name_any()), finding)
}

fn add_metric(hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> String {
    let namespace = one.namespace();
    let mut labels = wanted(one.variant);
    labels.insert(metrics::LABEL_EXPORTED_NAMESPACE, namespace.to_owned());
    let metric = json!({"type": "External", "external": {
        "metric": {"name": metrics::DESIRED_REPLICAS, "selector": {"matchLabels": labels}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }});
    fixes::merge("hpa", namespace, &hpa.name_any(), &json!({"spec": {"metrics": [metric]}}))
}

/// Why an HPA does not scale.
pub(super) fn inactive(hpa: &HorizontalPodAutoscaler) -> Option<String> {
    let scaling = hpas::inactive(hpa)?;
    let reason = scaling.reason.as_deref().unwrap_or("?");
    Some(format!("ScalingActive is False, {reason}: {}", hpas::message(scaling)))
}

/// The HPA asks for the right series; whether it gets exactly one.
fn unserved(
    examination: &mut Examination<'_>,
    hpa: &HorizontalPodAutoscaler,
    followed: &Followed<'_>,
    series: &[Labels],
    one: &Managed<'_>,
) -> Option<Finding> {
    if followed.metric.name != metrics::DESIRED_REPLICAS {
        return None;
    }
    let (namespace, name) = (one.namespace(), one.name());
    let selector = followed.metric.selector.as_ref().and_then(|s| s.match_labels.clone()).unwrap_or_default();
    let matching: Vec<&Labels> =
        series.iter().filter(|labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value))).collect();
    match matching.as_slice() {
        // Nothing has been published yet; what keeps the controller from deciding is found elsewhere.
        [] if !published(one.variant) => None,
        [] => match early(examination.facts, hpa, one) {
            Some(what) => {
                examination.starting(what);
                None
            }
            None => Some(silent(examination, hpa, series, one)),
        },
        [_] if settling(hpa, examination.facts.now) => None,
        [_] => inactive(hpa).map(|why| {
            Finding::new(
                Cause::MetricNotServed,
                Subject::new("hpa", namespace, hpa.name_any()),
                format!("HPA {} gets no number, though the external metrics API has it", hpa.name_any()),
            )
            .shown_by(why)
            .looked_at(format!("kubectl describe hpa {} -n {namespace}", hpa.name_any()))
        }),
        several => {
            if let Some(finding) = twice_scraped(examination.facts, one, several) {
                return Some(finding);
            }
            if let Some(age) = one.owner.and_then(|owner| succession(owner, examination.facts.now)) {
                let name = one.name();
                examination.starting(format!(
                    "controller of {name}: a pod was replaced {age} ago; the series of the old one end within a minute"
                ));
                return None;
            }
            let sources: Vec<String> = several.iter().map(|labels| source(labels)).collect();
            let mut finding = Finding::new(
                Cause::DuplicateSeries,
                Subject::new("variantautoscaling", namespace, name),
                format!(
                    "{} series of {} match, which HPA {} adds up",
                    several.len(),
                    followed.metric.name,
                    hpa.name_any()
                ),
            );
            for source in sources {
                finding = finding.shown_by(source);
            }
            Some(finding.looked_at("kubectl wva instances").advised(
                "only one controller may publish for a variant: give each an instance id of its own; series of an old \
                 leader end within five minutes",
            ))
        }
    }
}

/// Series that differ only in who scraped them: names the monitor that is not the chart's, which may keep labels of the
/// pod that the chart's takes away.
fn twice_scraped(facts: &Facts, one: &Managed<'_>, series: &[&Labels]) -> Option<Finding> {
    let pods: BTreeSet<&String> =
        series.iter().filter_map(|labels| labels.get("pod").or_else(|| labels.get("instance"))).collect();
    if pods.len() > 1 {
        return None;
    }
    let owner = &one.owner?.controller;
    let all = monitors::all(facts, &owner.namespace, &owner.pod_labels);
    let own = |monitor: &&&DynamicObject| {
        variants::release(&monitor.metadata) == owner.release.as_deref() && owner.release.is_some()
    };
    let mut others: Vec<&DynamicObject> = all.iter().filter(|monitor| !own(monitor)).copied().collect();
    if others.len() == all.len() && others.len() > 1 {
        // None is the chart's: the one that was there first stays.
        others.sort_by_key(|monitor| monitor.creation_timestamp().map(|time| time.0));
        others.remove(0);
    }
    if pods.is_empty() && others.is_empty() {
        return None;
    }
    let (namespace, name) = (one.namespace(), one.name());
    let pod = pods.first().map_or_else(|| owner.key(), |pod| (*pod).clone());
    let mut finding = Finding::new(
        Cause::DuplicateSeries,
        Subject::new("deployment", &owner.namespace, &owner.name),
        format!(
            "the metrics of controller {} are scraped {} times, and HPAs add up what they find",
            owner.key(),
            series.len()
        ),
    )
    .shown_by(format!(
        "{} series of {} for variant {name} come from {pod}",
        series.len(),
        metrics::DESIRED_REPLICAS
    ));
    for labels in series {
        finding = finding.shown_by(self::source(labels));
    }
    for monitor in &others {
        let (kind, home, name) = monitors::reference(monitor);
        finding = finding
            .shown_by(format!("{kind} {home}/{name} scrapes it beside the chart's own"))
            .fixed_by(format!("kubectl delete {kind} {name} -n {home}"));
    }
    Some(finding.looked_at(format!(
        "kubectl get --raw '/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{}'",
        metrics::DESIRED_REPLICAS
    )))
}

/// The age of the youngest pod of a controller, while series of its predecessor may still be there.
fn succession(owner: &Installed, now: Timestamp) -> Option<String> {
    let born = owner.pods.iter().flatten().filter_map(|pod| Some(pod.creation_timestamp()?.0)).max()?;
    (now.duration_since(born) < SUCCESSION).then(|| duration::age(born, now))
}

fn published(variant: &VariantAutoscaling) -> bool {
    let decided = variant.status.as_ref().and_then(|status| status.desired_optimized_alloc.as_ref());
    decided.is_some_and(|decided| decided.num_replicas.is_some())
}

/// Where a series comes from, in words.
fn source(labels: &Labels) -> String {
    let known = ["controller_instance", "namespace", "pod", "instance", "job", "accelerator_type"];
    let told = known.iter().filter_map(|key| Some(format!("{key}={}", labels.get(*key)?)));
    format!("a series with {}", told.collect::<Vec<_>>().join(", "))
}

/// Whether an HPA has said only a moment ago that it gets no number: it looks every 15 s.
fn settling(hpa: &HorizontalPodAutoscaler, now: Timestamp) -> bool {
    let since = hpas::inactive(hpa).and_then(|one| one.last_transition_time.as_ref()).map(|time| time.0);
    let made = hpa.creation_timestamp().map(|time| time.0);
    since.into_iter().chain(made).max().is_some_and(|since| now.duration_since(since) < SETTLING)
}

/// What is too young for its number to have arrived; `None` when there has been time enough, or it never can.
fn early(facts: &Facts, hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> Option<String> {
    let owner = one.owner?;
    let monitors = monitors::all(facts, &owner.controller.namespace, &owner.controller.pod_labels);
    let monitor = monitors.first()?;
    if monitors::odd_path(monitor).is_some() {
        return None;
    }
    let expected = monitors::interval(monitor) * 2 + SETTLING;
    let pods = owner.pods.iter().flatten().filter_map(|pod| Some(pod.creation_timestamp()?.0));
    let objects = [hpa.creation_timestamp(), one.variant.creation_timestamp(), monitor.creation_timestamp()];
    let youngest = pods.chain(objects.into_iter().flatten().map(|time| time.0)).max()?;
    (facts.now.duration_since(youngest) < expected).then(|| {
        format!(
            "variant {}: its number is not with HPA {} yet ({}; expected within {}s)",
            one.name(),
            hpa.name_any(),
            duration::age(youngest, facts.now),
            expected.as_secs()
        )
    })
}

/// The series that ought to be there is not.
fn silent(
    examination: &mut Examination<'_>,
    hpa: &HorizontalPodAutoscaler,
    series: &[Labels],
    one: &Managed<'_>,
) -> Finding {
    if let Some(owner) = one.owner
        && let Some(finding) = unscraped(examination.facts, &owner.controller)
    {
        return finding;
    }
    let (namespace, name) = (one.namespace(), one.name());
    let own = series.iter().filter(|labels| labels.get(metrics::LABEL_VARIANT_NAME).is_some_and(|value| value == name));
    let mut finding = Finding::new(
        Cause::MetricNotServed,
        Subject::new("hpa", namespace, hpa.name_any()),
        format!("the number published for variant {name} does not reach HPA {}", hpa.name_any()),
    )
    .shown_by(format!("the external metrics API has no matching series of {}", metrics::DESIRED_REPLICAS));
    for labels in own {
        finding = finding.shown_by(format!("it has {}", source(labels)));
    }
    let controller = one.owner.map(|owner| &owner.controller);
    let monitors = controller.map(|owner| monitors::all(examination.facts, &owner.namespace, &owner.pod_labels));
    for monitor in monitors.into_iter().flatten() {
        finding = monitors::path_fixed(finding, monitor);
    }
    finding
        .looked_at(format!(
            "kubectl get --raw '/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{}?labelSelector={}%3D{name}'",
            metrics::DESIRED_REPLICAS,
            metrics::LABEL_VARIANT_NAME
        ))
        .advised("look in Prometheus whether it scrapes the controller, and in the adapter whether it has a rule for the metric")
}

/// A controller that nothing tells Prometheus to scrape.
fn unscraped(facts: &Facts, controller: &crate::readers::controllers::Controller) -> Option<Finding> {
    let pods = controller.pod_labels.clone();
    let services = match scraping(facts, &controller.namespace, &pods) {
        Scraping::NoMonitor(services) => format!("no ServiceMonitor selects the Service {}", services.join(", ")),
        Scraping::NoService => "no Service selects its pods, and no PodMonitor".to_owned(),
        Scraping::By(_) | Scraping::Unread(_) => return None,
    };
    let (namespace, name) = (&controller.namespace, &controller.name);
    let again = fixes::monitor_again(controller);
    Some(
        Finding::new(
            Cause::ServiceMonitorMissing,
            Subject::new("deployment", namespace, name),
            format!("nothing tells Prometheus to scrape controller {}: HPAs get no number", controller.key()),
        )
        .shown_by(services)
        .fixed_by(again),
    )
}
