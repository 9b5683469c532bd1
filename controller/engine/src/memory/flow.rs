//! What was seen of one model's load.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Looks at replicas that complete requests after which the most they completed is taken for what they can.
const ENOUGH: u32 = 3;
/// Share by which that most is doubted from one look to the next: what servers can take changes.
const DOUBT: f64 = 0.01;

/// What was seen of the load of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Flow {
    /// Requests that waited, oldest first.
    waiting: VecDeque<(Timestamp, f64)>,
    /// What replicas completed, by variant.
    completed: BTreeMap<String, Completed>,
}

/// What replicas of one variant completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Completed {
    /// Requests per second of one replica, at most.
    most: f64,
    /// How often it was looked at.
    looks: u32,
}

impl Flow {
    /// Requests per second by which those that wait became more since about a cycle ago; `None` when nobody looked then. Two
    /// looks in short succession would take what one scrape brings for a rate.
    pub(crate) fn growth(&mut self, waiting: f64, interval: SignedDuration, now: Timestamp) -> Option<f64> {
        let age = |at: Timestamp| now.duration_since(at);
        self.waiting.retain(|(at, _)| age(*at) <= interval.saturating_mul(3));
        let least = interval.saturating_mul(9) / 10;
        let before =
            self.waiting.iter().rev().find(|(at, _)| age(*at) >= least && age(*at) > SignedDuration::ZERO).copied();
        self.waiting.push_back((now, waiting));
        before.map(|(at, before)| ((waiting - before) / age(at).as_secs_f64()).max(0.0))
    }

    /// Notes what replicas of a variant complete per second, on average.
    pub(crate) fn observe(&mut self, variant: &str, rate: f64) {
        if rate > 0.0 {
            let completed = self.completed.entry(variant.to_owned()).or_default();
            completed.most = rate.max(completed.most * (1.0 - DOUBT));
            completed.looks = completed.looks.saturating_add(1);
        }
    }

    /// Requests per second that a replica of a variant can take, as far as that was seen.
    pub(crate) fn taken_by(&self, variant: &str) -> Option<f64> {
        self.completed.get(variant).filter(|it| it.looks >= ENOUGH).map(|it| it.most)
    }
}
