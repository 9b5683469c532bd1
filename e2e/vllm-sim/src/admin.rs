//! Run-time control: pin what `/metrics` says, break it, refuse requests.
//!
//! `POST /admin/config` takes a JSON object. Keys given change, `null` puts a key back to its default, keys left out
//! stay as they are. A body with any fault changes nothing.

mod patch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use self::patch::InvalidPatch;
use crate::duration;
use crate::stats::Histogram;

/// The overrides in force; the default is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overrides {
    /// Pins `vllm:kv_cache_usage_perc`, 0 to 1.
    pub kv_cache_usage: Option<f64>,
    /// Pins `vllm:num_requests_running`.
    pub num_requests_running: Option<u32>,
    /// Pins `vllm:num_requests_waiting`.
    pub num_requests_waiting: Option<u32>,
    /// Pins counters, by their full name.
    pub counters: BTreeMap<String, f64>,
    /// Pins histograms, by name.
    pub histograms: BTreeMap<String, HistogramPin>,
    /// `/metrics` answers this much later.
    #[serde(serialize_with = "serialize_duration")]
    pub metrics_delay: Duration,
    /// `/metrics` keeps giving what it gave when this was switched on.
    pub metrics_stale: bool,
    /// `/metrics` answers with this HTTP status and no series.
    pub metrics_status: Option<u16>,
    /// `/metrics` does not exist.
    pub metrics_absent: bool,
    /// Families left out of `/metrics`.
    pub metrics_missing: BTreeSet<String>,
    /// Fraction of requests to `/v1` completions that fail, 0 to 1.
    pub request_failure_rate: f64,
    /// HTTP status of those.
    pub request_failure_status: u16,
    /// What `/health` and `/ready` say whatever the server's state.
    pub ready: Option<bool>,
}

/// A histogram of `count` values that sum up to `sum`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HistogramPin {
    /// Sum of the values.
    pub sum: f64,
    /// Number of values.
    pub count: u32,
}

// === impl Overrides ===

impl Default for Overrides {
    fn default() -> Self {
        Self {
            kv_cache_usage: None,
            num_requests_running: None,
            num_requests_waiting: None,
            counters: BTreeMap::new(),
            histograms: BTreeMap::new(),
            metrics_delay: Duration::ZERO,
            metrics_stale: false,
            metrics_status: None,
            metrics_absent: false,
            metrics_missing: BTreeSet::new(),
            request_failure_rate: 0.0,
            request_failure_status: 500,
            ready: None,
        }
    }
}

// === impl HistogramPin ===

impl HistogramPin {
    /// The histogram that this pin stands for, with the bounds of `other`: all values are equal.
    pub fn like(self, other: &Histogram) -> Histogram {
        let mut histogram = other.emptied();
        if self.count > 0 {
            histogram.observe_many(self.sum / f64::from(self.count), self.count);
        }
        histogram
    }
}

fn serialize_duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration::format(*value))
}
