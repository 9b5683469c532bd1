//! The `threshold` analyzer: is a model saturated, or can it spare a replica?
//!
//! [`analyze`] looks at the replicas of one model: a replica is saturated when its KV cache or its queue reaches a
//! threshold, and what the others have left below the thresholds is the model's spare capacity. [`targets`] turns
//! that into a number for each variant: one replica more of the cheapest variant, one fewer of the most expensive, or none,
//! and nothing at all while an earlier change is still under way.
//!
//! All arithmetic is in `f64` and sums run over variants by name and replicas by pod name, so that the same replicas
//! give the same bits in any order.

mod analyze;
mod targets;
mod uneven;

use serde::{Deserialize, Serialize};

pub use self::analyze::analyze;
pub use self::targets::targets;
pub(crate) use self::targets::{hold, reason_to_grow};
pub use self::uneven::uneven;
use crate::reason::{Reason, Trigger, Unsettled};
use crate::settings::Thresholds;
use crate::snapshot::Bounds;

/// Readings of one serving replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica<'a> {
    /// Its pod.
    pub pod: &'a str,
    /// Its variant.
    pub variant: &'a str,
    /// Its variant's accelerator.
    pub accelerator: &'a str,
    /// Its variant's cost per replica.
    pub cost: f64,
    /// Used share of the KV cache, 0 to 1.
    pub kv_usage: f64,
    /// Waiting requests; a whole number (the caller truncates).
    pub queue_length: f64,
}

/// Where one variant stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VariantState<'a> {
    /// Its name.
    pub variant: &'a str,
    /// Replicas it has: what a target adds to or takes from.
    pub current: u32,
    /// Replicas that are to report; `current`, except when some of these are not waited for any longer.
    pub expected: u32,
    /// Replicas published and still to be reached; `None` when there is no such number.
    pub desired: Option<u32>,
    /// Replicas that are not ready yet.
    pub pending: u32,
    /// What it can reach.
    pub bounds: Bounds,
    /// The model's other variants come first: nobody followed when it was to grow last, pods of it do not become ready, or
    /// there is no GPU for one more.
    pub refused: bool,
    /// It has pods that cannot run, so that one more could not either.
    pub barred: bool,
}

impl<'a> VariantState<'a> {
    /// A settled variant: it has `current` replicas, all are to report, nothing is published or pending.
    pub fn new(variant: &'a str, current: u32) -> Self {
        Self { variant, current, expected: current, ..Self::default() }
    }

    /// What an earlier change still waits for, when this many replicas have readings.
    pub(crate) fn unsettled(&self, reporting: u32) -> Option<Unsettled> {
        let Self { variant: _, current, expected, desired, pending: _, bounds: _, refused: _, barred: _ } = *self;
        match desired {
            Some(desired) if desired != current => Some(Unsettled::Replicas { desired, current }),
            _ if reporting != expected => Some(Unsettled::Metrics { reporting, current: expected }),
            _ => None,
        }
    }
}

/// Replicas for one variant, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Replicas it is to have.
    pub replicas: u32,
    /// Why.
    pub reason: Reason,
}

/// What the analyzer found for one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Replicas with readings.
    pub total: u32,
    /// Of these, replicas that are not saturated.
    pub non_saturated: u32,
    /// Average spare KV-cache share over the replicas that are not saturated; 0 when there are none.
    pub avg_spare_kv: f64,
    /// Average spare queue length over the replicas that are not saturated; 0 when there are none.
    pub avg_spare_queue: f64,
    /// Whether the model needs more capacity.
    pub should_scale_up: bool,
    /// Whether the model would keep its spare capacity with one replica fewer.
    pub scale_down_safe: bool,
    /// What fell below its trigger; `None` unless the model needs more capacity.
    pub trigger: Option<Trigger>,
    /// What would be spare with one replica fewer; `None` with fewer than two replicas that are not saturated.
    pub remaining: Option<Spare>,
    /// What the readings were compared with.
    pub thresholds: Thresholds,
    /// The variants that have readings, by name.
    pub variants: Vec<VariantAnalysis>,
}

/// Capacity below the saturation thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spare {
    /// KV-cache share.
    pub kv: f64,
    /// Queue length.
    pub queue: f64,
}

/// What the analyzer found for one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantAnalysis {
    /// Its name.
    pub variant: String,
    /// Its accelerator.
    pub accelerator: String,
    /// Its cost per replica.
    pub cost: f64,
    /// Replicas with readings.
    pub replicas: u32,
    /// Of these, replicas that are not saturated.
    pub non_saturated: u32,
    /// Pods that are saturated, by name.
    pub saturated_pods: Vec<String>,
    /// Highest KV-cache use of a replica.
    pub max_kv_usage: f64,
    /// Longest queue of a replica.
    pub max_queue_length: f64,
    /// Average spare KV-cache share of the replicas that are not saturated; 0 when there are none.
    pub avg_spare_kv: f64,
    /// Average spare queue length of the replicas that are not saturated; 0 when there are none.
    pub avg_spare_queue: f64,
}
