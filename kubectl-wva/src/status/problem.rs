//! What can be wrong with a variant, judged from its view.

use serde::Serialize;

use super::view::{HpaView, VariantView};

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
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The problems that show in the variant itself and in its HPA; those of its controllers are found elsewhere.
/// `hpas_known` is false when HPAs could not be listed, so that a missing one means nothing.
pub(super) fn of_variant(variant: &VariantView, hpas_known: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    match &variant.ready {
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
        problems.push(Problem::new(ProblemKind::NoMetrics, format!("{}: {}", metrics.reason, metrics.message)));
    }
    match &variant.hpa {
        None if hpas_known => {
            let message = format!("no HPA scales {} {}", variant.target.kind, variant.target.name);
            problems.push(Problem::new(ProblemKind::NoHpa, message));
        }
        Some(HpaView { name, inactive: Some(why), .. }) => {
            problems.push(Problem::new(ProblemKind::HpaInactive, format!("HPA {name} is inactive: {why}")));
        }
        _ => {}
    }
    problems
}
