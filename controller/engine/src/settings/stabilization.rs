//! For how long, and how fast, a published number may change.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What the `behavior` of a `HorizontalPodAutoscaler` says, kept by the engine, so that the autoscaler may follow at once. Off unless
/// it says something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stabilization {
    /// Scaling up.
    pub up: Direction,
    /// Scaling down.
    pub down: Direction,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Direction {
    /// How long a number must have been wanted, or a further one, before it is published (`stabilizationWindowSeconds`).
    pub window: SignedDuration,
    /// By which share of the published number a wanted one may be off and not be published (`tolerance`).
    pub tolerance: f64,
    /// Replicas by which the number may change in a period; with the other policy, the one that allows more counts.
    pub replicas: Option<Policy>,
    /// Percent by which the number may change in a period.
    pub percent: Option<Policy>,
}

/// How much may change in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Replicas, or percent.
    pub value: u32,
    /// The period.
    pub period: SignedDuration,
}

impl Stabilization {
    /// Whether anything is kept back.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }

    /// How far back what was wanted and published counts.
    pub fn look_back(&self) -> SignedDuration {
        let of = |it: &Direction| {
            let periods = [it.replicas, it.percent].into_iter().flatten().map(|policy| policy.period);
            periods.fold(it.window, Ord::max)
        };
        of(&self.up).max(of(&self.down))
    }
}
