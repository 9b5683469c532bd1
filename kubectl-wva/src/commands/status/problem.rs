//! What can be wrong with a variant, judged from its view.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use wva_api::ScaleTargetRef;
use wva_api::conditions::reasons;

use super::view::{HpaView, Level, VariantView};
use crate::duration;
use crate::readers::pods::Health;
use crate::readers::servers::Servers;

/// How long metrics, and then the number, may take on their way.
const FIRST: SignedDuration = SignedDuration::from_secs(45);

/// Something that wants attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort.
    pub kind: ProblemKind,
    /// One sentence for people.
    pub message: String,
}

/// Sorts of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ProblemKind {
    /// The object does not fit the CRD this program knows.
    Unreadable,
    /// No controller takes the variant.
    NoController,
    /// Controllers take it, but none has a replica that is ready.
    ControllerDown,
    /// The controller has not looked at it yet.
    NotSeen,
    /// The condition `Ready` is not True.
    NotReady,
    /// Replicas run, but there are no metrics of them.
    NoMetrics,
    /// No HPA scales the target.
    NoHpa,
    /// The HPA gets no metric.
    HpaInactive,
    /// The scheduler finds no place for pods of the target.
    PodsPending,
    /// Pods of the target do not run.
    PodsFailing,
    /// The replicas have no room left.
    Saturated,
    /// Some pods of a controller do not run, beside others that do.
    RolloutStuck,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The problems that show in the variant itself and in its HPA; those of its controllers are found elsewhere.
/// `hpas_known` is false when HPAs could not be listed, so that a missing one means nothing.
pub(super) fn of_variant(variant: &mut VariantView, hpas_known: bool, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    let young = |since: Option<Timestamp>| since.filter(|since| now.duration_since(*since) < FIRST);
    match &variant.ready {
        None if young(variant.created_at).is_some() => {
            variant.starting.push(started("the controller has not looked at it yet", variant.created_at, now));
            return problems;
        }
        None => problems.push(Problem::new(ProblemKind::NotSeen, "the controller has not looked at it yet")),
        Some(ready) if ready.status != "True" => {
            problems.push(Problem::new(ProblemKind::NotReady, format!("{}: {}", ready.reason, ready.message)));
            // Whatever else is wrong follows from this.
            return problems;
        }
        Some(_) => {}
    }
    // A variant at zero has no metrics, and rightly so.
    let runs = variant.replicas.ready.is_some_and(|ready| ready > 0);
    if let Some(metrics) = variant.metrics.as_ref().filter(|metrics| runs && metrics.status != "True") {
        let early = young(Some(metrics.since)).filter(|_| metrics.reason == reasons::METRICS_MISSING);
        if let Some(since) = early {
            let age = duration::age(since, now);
            variant.starting.push(format!("starting ({age}; metrics expected within {}s)", FIRST.as_secs()));
            return problems;
        }
        problems.push(Problem::new(ProblemKind::NoMetrics, format!("{}: {}", metrics.reason, metrics.message)));
    }
    match &variant.hpa {
        None if hpas_known => {
            let message = format!("no HPA scales {} {}", variant.target.kind, variant.target.name);
            problems.push(Problem::new(ProblemKind::NoHpa, message));
        }
        Some(HpaView { name, inactive: Some(_), inactive_since, .. })
            if young((*inactive_since).max(variant.created_at)).is_some() =>
        {
            let since = (*inactive_since).max(variant.created_at);
            variant.starting.push(started(&format!("HPA {name} has no number yet"), since, now));
        }
        Some(HpaView { name, inactive: Some(why), .. }) => {
            problems.push(Problem::new(ProblemKind::HpaInactive, format!("HPA {name} is inactive: {why}")));
        }
        _ => {}
    }
    problems
}

fn started(what: &str, since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or(what.to_owned(), |since| format!("{what} ({})", duration::age(since, now)))
}

/// Adds what the load says: replicas without room are no good state, whatever is being waited for.
pub(super) fn of_load(variant: &mut VariantView, now: Timestamp) {
    let Some(load) = variant.load.as_ref().filter(|load| load.level == Level::Saturated) else { return };
    let count = |replicas: Option<_>| replicas.unwrap_or_default();
    let coming = count(variant.replicas.desired).saturating_sub(count(variant.replicas.current));
    let waits = variant.hpa.as_ref().and_then(|hpa| hpa.waits.as_ref());
    let next = match (waits, &variant.decision) {
        (Some(wait), _) => format!("held by the HPA {}", wait.text(now)),
        (None, _) if coming == 1 => "one more replica is coming".to_owned(),
        (None, _) if coming > 1 => format!("{coming} more replicas are coming"),
        (None, Some(decision)) => decision.message.clone(),
        (None, None) => "nothing has been decided".to_owned(),
    };
    let message = format!("saturated ({:.0}% kv, {:.0} queued): {next}", load.kv_usage * 100.0, load.queue_length);
    variant.problems.push(Problem::new(ProblemKind::Saturated, message));
}

/// Adds what ails the pods of the target.
pub(super) fn of_servers(variant: &mut VariantView, servers: &Servers, now: Timestamp) {
    let target = ScaleTargetRef {
        kind: variant.target.kind.clone(),
        name: variant.target.name.clone(),
        ..ScaleTargetRef::default()
    };
    let mut found = Vec::new();
    for ailment in servers.ailments(&variant.namespace, &target, now) {
        match ailment.health {
            Health::Pending(_) => found.push(Problem::new(ProblemKind::PodsPending, ailment.sentence())),
            Health::Failing(_) | Health::Lost(_) => {
                found.push(Problem::new(ProblemKind::PodsFailing, ailment.sentence()));
            }
            Health::Starting(_) | Health::Ready | Health::Over => variant.starting.push(ailment.sentence()),
        }
    }
    // What follows from it stands behind it.
    found.append(&mut variant.problems);
    variant.problems = found;
}
