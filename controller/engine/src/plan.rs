//! What to do, and why, as data: gauges, status, events, logs and the plugin all print from here.

mod evidence;

use std::cmp::Ordering;
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use self::evidence::Evidence;
pub use crate::note::Note;
use crate::proactive::Forecast;
pub use crate::reason::{Outcome, Reason, Trigger, Unsettled};
use crate::saturation;
use crate::snapshot::{ModelKey, VariantKey};
use crate::threshold::Analysis;

/// Answer of [`decide`](crate::decide()).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// One target per variant of the snapshot, ordered by variant.
    pub targets: Vec<Target>,
    /// One outcome per model of the snapshot, ordered by model.
    pub models: Vec<ModelOutcome>,
}

/// How one model fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelOutcome {
    /// Which model.
    pub key: ModelKey,
    /// Whether its metrics allowed a decision.
    pub evidence: Evidence,
    /// Numbers of the `threshold` analyzer; `None` when the metrics allowed none.
    pub analysis: Option<Analysis>,
    /// Numbers of the `saturation` analyzer; `None` unless it decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<saturation::Analysis>,
    /// What the rate of requests asks for; `None` unless the proactive mode is on and knows enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// When to decide again, where that is before the interval ends: a load has just jumped, and what is counted in the meantime
    /// says better how high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_after: Option<SignedDuration>,
}

impl Plan {
    /// When to decide again at the latest, where that is before the interval ends.
    pub fn again_after(&self) -> Option<SignedDuration> {
        self.models.iter().filter_map(|it| it.again_after).min()
    }
}

/// Replicas for one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Which variant.
    pub variant: VariantKey,
    /// Its model's name.
    pub model_id: String,
    /// Its accelerator.
    pub accelerator: String,
    /// Replicas it has.
    pub current: u32,
    /// Replicas it is to have.
    pub replicas: u32,
    /// Why.
    pub reason: Reason,
    /// What is worth knowing besides, mostly nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Whether this variant's own metrics were there.
    pub evidence: Evidence,
}

/// Direction of a target, seen from the current replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// More replicas than now.
    ScaleUp,
    /// Fewer replicas than now.
    ScaleDown,
    /// As many as now.
    NoChange,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ScaleUp => "scale-up",
            Self::ScaleDown => "scale-down",
            Self::NoChange => "no-change",
        })
    }
}

impl Target {
    /// The reason, and what is worth knowing besides, as one sentence.
    pub fn explanation(&self) -> String {
        let words = std::iter::once(self.reason.to_string()).chain(self.notes.iter().map(Note::to_string));
        words.collect::<Vec<_>>().join("; ")
    }

    /// Whether the workload sleeps and is to be woken.
    pub fn wakes(&self) -> bool {
        self.current == 0 && self.replicas > 0 && self.reason.wakes()
    }

    /// Direction of this target.
    pub fn action(&self) -> Action {
        match self.replicas.cmp(&self.current) {
            Ordering::Greater => Action::ScaleUp,
            Ordering::Less => Action::ScaleDown,
            Ordering::Equal => Action::NoChange,
        }
    }
}
