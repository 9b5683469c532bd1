//! The chain as data, link by link. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use serde::Serialize;
use wva_api::conditions;
use wva_engine::plan::Evidence;
use wva_engine::proactive::Forecast;
use wva_engine::snapshot::{Readiness, Variant};
use wva_engine::{ModelKey, Target, Thresholds, VariantKey};

use super::{Found, WhatIf, idle, what_if};
use crate::Verdict;
use crate::duration;
use crate::output::console::counted;
use crate::readers::debug_state::{self, LastCycle};
use crate::readers::{hpas, variants};

/// The links, in the order in which load becomes replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Link {
    /// The vLLM servers.
    Servers,
    /// Their readings in Prometheus, as the controller got them.
    Prometheus,
    /// The decision.
    Decision,
    /// The number published.
    Metric,
    /// Whoever follows it.
    Hpa,
    /// The workload.
    Replicas,
}

/// How a link fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It works.
    Fine,
    /// It does not, and what comes after it waits.
    Broken,
    /// It could not be read.
    Unknown,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// Which.
    pub link: Link,
    /// How it fares.
    pub state: State,
    /// One sentence.
    pub says: String,
}

/// Readings of one pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    /// Name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Used share of the KV cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f64>,
    /// Requests waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_length: Option<f64>,
    /// Age of the older of both, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<i64>,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainView {
    /// Namespace.
    pub namespace: String,
    /// Name of the variant.
    pub name: String,
    /// The name given to add-model or helm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Replicas the workload has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// Replicas decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// When that was decided, or looked at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// What keeps the number from being decided and carried out; absent when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The chain.
    pub chain: Vec<LinkView>,
    /// Whether the model is idle, and when that puts it to sleep; absent where it never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// Readings the decision was made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodView>,
    /// Thresholds it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
    /// The rate of requests that it was compared with, in hybrid mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
    /// Why the controller's own numbers are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

impl ExplainView {
    /// Builds the answer.
    pub fn build(found: &Found, now: Timestamp) -> Self {
        let (namespace, name) = (found.variant.namespace().unwrap_or_default(), found.variant.name_any());
        let model = found.variant.spec.model().map(str::to_owned);
        let key = VariantKey { namespace: namespace.clone(), name: name.clone() };
        let parsed = found.state.clone().and_then(|text| {
            debug_state::parse("the controller", &text)
                .map_err(|error| error.to_string())?
                .last_cycle
                .ok_or_else(|| "the controller has not decided anything yet".to_owned())
        });
        let decided = parsed.as_ref().ok().and_then(|cycle| Decided::of(cycle, &key));
        let unread = match (&parsed, &decided) {
            (Err(why), _) => Some(why.clone()),
            (Ok(_), None) => Some("the controller's last decision does not mention the variant".to_owned()),
            (Ok(_), Some(_)) => None,
        };
        let status = found.variant.status.clone().unwrap_or_default();
        let stored = status.desired_optimized_alloc.clone().unwrap_or_default();
        let stored_number = stored.num_replicas.and_then(|number| u32::try_from(number).ok());
        let desired = decided.as_ref().map(|decided| decided.target.replicas).or(stored_number);
        let current = deployment_replicas(found).or(decided.as_ref().map(|decided| decided.target.current));
        let chain = vec![
            servers(found),
            prometheus(found, decided.as_ref()),
            decision(found, decided.as_ref(), now),
            metric(found, desired),
            hpa(found, desired, now),
            replicas(found, current, desired),
        ];
        let broken = chain.iter().find(|link| link.state == State::Broken);
        let cause = found.orphaned.clone().or_else(|| broken.map(|link| link.says.clone()));
        Self {
            cause,
            idle: decided.as_ref().and_then(|decided| idle::told(decided.cycle, decided.model, now)),
            current,
            desired,
            decided_at: decided.as_ref().map(|decided| decided.at).or(stored.last_run_time.map(|time| time.0)),
            chain,
            pods: decided.as_ref().map(Decided::pods).unwrap_or_default(),
            thresholds: decided.as_ref().map(|decided| decided.thresholds),
            forecast: decided.as_ref().and_then(Decided::forecast),
            what_if: decided.as_ref().map(|decided| what_if(decided.cycle, decided.model, &key)),
            unread,
            namespace,
            name,
            release: variants::release(&found.variant.metadata).map(str::to_owned),
            model,
        }
    }

    /// The name by which people know it.
    pub(super) fn shown(&self) -> &str {
        self.release.as_deref().unwrap_or(&self.name)
    }

    /// A broken link is something found; numbers that could not be read are not.
    pub fn verdict(&self) -> Verdict {
        let broken = self.chain.iter().any(|link| link.state == State::Broken);
        if broken { Verdict::Found } else { Verdict::Fine }
    }
}

/// The last decision about one variant.
struct Decided<'a> {
    at: Timestamp,
    cycle: &'a LastCycle,
    model: &'a ModelKey,
    variant: &'a Variant,
    target: &'a Target,
    thresholds: Thresholds,
}

impl<'a> Decided<'a> {
    fn of(cycle: &'a LastCycle, key: &VariantKey) -> Option<Self> {
        let target = cycle.plan.targets.iter().find(|target| target.variant == *key)?;
        let of_model = |model: &&wva_engine::snapshot::Model| {
            model.key.namespace == key.namespace && model.variants.iter().any(|variant| variant.name == key.name)
        };
        let model = cycle.snapshot.models.iter().find(of_model)?;
        let variant = model.variants.iter().find(|variant| variant.name == key.name)?;
        let thresholds = *cycle.settings.thresholds_of(&model.key);
        Some(Self { at: cycle.at, cycle, model: &model.key, variant, target, thresholds })
    }

    fn forecast(&self) -> Option<Forecast> {
        self.cycle.plan.models.iter().find(|outcome| outcome.key == *self.model)?.forecast.clone()
    }

    fn pods(&self) -> Vec<PodView> {
        let view = |pod: &wva_engine::snapshot::Pod| {
            let sample = pod.sample.as_ref();
            let (kv, queue) =
                (sample.and_then(|sample| sample.kv_usage), sample.and_then(|sample| sample.queue_length));
            PodView {
                name: pod.name.clone(),
                ready: matches!(pod.ready, Readiness::Ready { .. }),
                kv_usage: kv.map(|reading| reading.value),
                queue_length: queue.map(|reading| reading.value),
                age_seconds: kv.into_iter().chain(queue).map(|reading| reading.age.as_secs()).max(),
            }
        };
        self.variant.pods.iter().map(view).collect()
    }
}

fn link(link: Link, state: State, says: impl Into<String>) -> LinkView {
    LinkView { link, state, says: says.into() }
}

fn deployment_replicas(found: &Found) -> Option<u32> {
    let deployment = found.deployment.as_ref().ok()?.first()?;
    let status = deployment.status.clone().unwrap_or_default();
    u32::try_from(status.replicas.unwrap_or(0)).ok()
}

fn servers(found: &Found) -> LinkView {
    let target = &found.variant.spec.scale_target_ref;
    match &found.deployment {
        Err(why) => link(Link::Servers, State::Unknown, why.clone()),
        Ok(_) if target.kind != "Deployment" => {
            link(Link::Servers, State::Fine, format!("the pods of {} {}", target.kind, target.name))
        }
        Ok(found) => match found.first() {
            None => link(Link::Servers, State::Broken, format!("{} {} does not exist", target.kind, target.name)),
            Some(deployment) => {
                let status = deployment.status.clone().unwrap_or_default();
                let (ready, all) = (status.ready_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
                let state = if all > 0 && ready == 0 { State::Broken } else { State::Fine };
                link(Link::Servers, state, format!("{ready} of {all} pods of Deployment {} are ready", target.name))
            }
        },
    }
}

fn prometheus(found: &Found, decided: Option<&Decided<'_>>) -> LinkView {
    if found.orphaned.is_some() {
        return link(Link::Prometheus, State::Unknown, "nobody asks Prometheus for it");
    }
    if let Some(decided) = decided {
        let oldest = decided.pods().iter().filter_map(|pod| pod.age_seconds).max();
        let age = oldest.map_or(String::new(), |age| format!(", the oldest is {age}s old"));
        return match &decided.target.evidence {
            Evidence::Complete if decided.variant.pods.is_empty() => {
                link(Link::Prometheus, State::Fine, "no pod is there to be measured")
            }
            Evidence::Complete => link(Link::Prometheus, State::Fine, format!("readings of every ready pod{age}")),
            // A variant at zero has no metrics, and rightly so.
            Evidence::Missing if decided.variant.spec_replicas == 0 => {
                link(Link::Prometheus, State::Fine, "no pod is there to be measured")
            }
            evidence => link(Link::Prometheus, State::Broken, evidence.to_string()),
        };
    }
    let status = found.variant.status.clone().unwrap_or_default();
    match conditions::find(&status.conditions, conditions::METRICS_AVAILABLE) {
        None => link(Link::Prometheus, State::Unknown, "the controller has said nothing about metrics yet"),
        Some(known) if known.status == "True" => link(Link::Prometheus, State::Fine, known.message.clone()),
        Some(known) => link(Link::Prometheus, State::Broken, format!("{}: {}", known.reason, known.message)),
    }
}

fn decision(found: &Found, decided: Option<&Decided<'_>>, now: Timestamp) -> LinkView {
    if let Some(why) = &found.orphaned {
        return link(Link::Decision, State::Broken, format!("nobody decides: {why}"));
    }
    if let Some(decided) = decided {
        let age = duration::age(decided.at, now);
        let says = format!("{}: {} ({age} ago)", replicas_of(decided.target.replicas), decided.target.explanation());
        let overdue =
            now.duration_since(decided.at) > decided.cycle.settings.interval * 3 + SignedDuration::from_secs(10);
        let state = if overdue { State::Broken } else { State::Fine };
        return link(Link::Decision, state, says);
    }
    let status = found.variant.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, conditions::READY).filter(|ready| ready.status != "True");
    match (ready, conditions::find(&status.conditions, conditions::OPTIMIZATION_READY)) {
        (Some(ready), _) => link(Link::Decision, State::Broken, format!("{}: {}", ready.reason, ready.message)),
        (None, Some(known)) => link(Link::Decision, State::Fine, known.message.clone()),
        (None, None) => link(Link::Decision, State::Broken, "nothing has been decided yet"),
    }
}

fn metric(found: &Found, desired: Option<u32>) -> LinkView {
    match (&found.published, desired) {
        (Err(why), _) => link(Link::Metric, State::Unknown, why.clone()),
        (Ok(values), None) if values.is_empty() => link(Link::Metric, State::Fine, "nothing is published yet"),
        (Ok(values), _) => match values.as_slice() {
            [] => link(
                Link::Metric,
                State::Broken,
                "the external metrics API has no series of wva_desired_replicas for it",
            ),
            [one] if desired.is_some_and(|desired| (one - f64::from(desired)).abs() > 0.5) => {
                let says =
                    format!("wva_desired_replicas is still {one} in the external metrics API: a scrape is under way");
                link(Link::Metric, State::Fine, says)
            }
            [one] => {
                link(Link::Metric, State::Fine, format!("wva_desired_replicas is {one} in the external metrics API"))
            }
            several => {
                let says =
                    format!("{} of wva_desired_replicas match, which HPAs add up", counted(several.len(), "serie"));
                link(Link::Metric, State::Broken, says)
            }
        },
    }
}

fn hpa(found: &Found, desired: Option<u32>, now: Timestamp) -> LinkView {
    let hpa = match &found.hpa {
        Err(why) => return link(Link::Hpa, State::Unknown, why.clone()),
        Ok(hpas) => match hpas.first() {
            None => return link(Link::Hpa, State::Broken, "no HPA scales the target"),
            Some(hpa) => hpa,
        },
    };
    let spec = hpa.spec.clone().unwrap_or_default();
    let status = hpa.status.clone().unwrap_or_default();
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let name = hpa.name_any();
    if let Some(scaling) = hpas::inactive(hpa) {
        let says = format!("{name} ({min}-{max}) is inactive: {}", hpas::message(scaling));
        return link(Link::Hpa, State::Broken, says);
    }
    if desired == Some(0) && min > 0 && condition(hpa, "ScalingActive", "False").is_some() {
        let says = format!("{name} ({min}-{max}) leaves a workload without replicas alone; the controller wakes it");
        return link(Link::Hpa, State::Fine, says);
    }
    let mut says = format!(
        "{name} ({min}-{max}) has {} and wants {}",
        status.current_replicas.unwrap_or(0),
        status.desired_replicas
    );
    let above = desired.is_some_and(|desired| i64::from(desired) > i64::from(max));
    if let Some(why) = condition(hpa, "ScalingLimited", "True").filter(|_| above) {
        says = format!("{says}; limited: {why}");
    }
    if desired == Some(0) && min == 1 {
        says = format!("{says}; its minimum holds while the model is awake, the controller takes an idle one to zero");
        return link(Link::Hpa, State::Fine, says);
    }
    let since = found.variant.status.as_ref().and_then(|status| status.desired_optimized_alloc.as_ref());
    let since = since.and_then(|decided| decided.last_run_time.as_ref()).map(|time| time.0);
    let wanted = desired.and_then(|desired| i32::try_from(desired).ok());
    if let Some(wait) = wanted.and_then(|wanted| hpas::waits(hpa, wanted, since, now)) {
        let word = if wait.limit.is_some() { "it is" } else { "it waits" };
        says = format!("{says}; {word} {}", wait.text(now));
    }
    link(Link::Hpa, State::Fine, says)
}

fn condition(hpa: &HorizontalPodAutoscaler, type_: &str, status: &str) -> Option<String> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == type_ && condition.status == status)?;
    Some(format!("{}: {}", found.reason.as_deref().unwrap_or("?"), found.message.as_deref().unwrap_or("?")))
}

fn replicas_of(number: u32) -> String {
    format!("{number} replica{}", if number == 1 { "" } else { "s" })
}

fn replicas(found: &Found, current: Option<u32>, desired: Option<u32>) -> LinkView {
    let kind = &found.variant.spec.scale_target_ref.kind;
    let number = |count: Option<u32>| count.map_or("an unknown number of".to_owned(), |count| count.to_string());
    let says = match (current, desired) {
        (Some(current), Some(desired)) if current == desired => format!("{kind} has {current}, as decided"),
        (Some(current), Some(desired)) => format!("{kind} has {}, {desired} wanted", replicas_of(current)),
        (current, desired) => format!("{kind} has {} replicas, {} wanted", number(current), number(desired)),
    };
    let state = if current.is_none() { State::Unknown } else { State::Fine };
    link(Link::Replicas, state, says)
}
