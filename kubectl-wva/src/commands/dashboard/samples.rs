//! What was read before, at even distances, so that a page which is opened later has lines to draw.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::commands::status::{StatusView, VariantView};

/// Distance of two samples.
const STEP: SignedDuration = SignedDuration::from_secs(15);
/// Samples that are kept of a variant: an hour.
const KEPT: usize = 240;

/// Samples by namespace and name of the variant.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<(String, String), VecDeque<Sample>>);

/// Load and replicas of a variant at one moment. In JSON a list: milliseconds since 1970, used share of the KV cache,
/// requests waiting in a replica, replicas there, replicas decided; null is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    at: Timestamp,
    kv_usage: Option<f64>,
    queue_length: Option<f64>,
    current: Option<i32>,
    desired: Option<i32>,
}

/// What was read of one variant before, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Namespace.
    pub namespace: String,
    /// Name of the variant.
    pub name: String,
    /// The samples.
    pub points: Vec<Sample>,
}

impl Sample {
    fn of(variant: &VariantView, at: Timestamp) -> Self {
        // More digits than can be drawn would be half of the answer.
        let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
        Self {
            at,
            kv_usage: variant.load.as_ref().map(|load| rounded(load.kv_usage)),
            queue_length: variant.load.as_ref().map(|load| rounded(load.queue_length)),
            current: variant.replicas.current,
            desired: variant.replicas.desired,
        }
    }
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.at.as_millisecond(), self.kv_usage, self.queue_length, self.current, self.desired).serialize(serializer)
    }
}

impl Samples {
    /// Adds what was read; variants that are gone are forgotten.
    pub fn note(&mut self, status: &StatusView) {
        let key = |variant: &VariantView| (variant.namespace.clone(), variant.name.clone());
        let there: BTreeMap<_, _> = status.variants.iter().map(|variant| (key(variant), variant)).collect();
        self.0.retain(|key, _| there.contains_key(key));
        for (key, variant) in there {
            let samples = self.0.entry(key).or_default();
            // The newest one moves on until it is a step away from the one before.
            let before = samples.len().checked_sub(2).and_then(|at| samples.get(at));
            if before.is_some_and(|before| status.as_of.duration_since(before.at) <= STEP) {
                samples.pop_back();
            }
            samples.push_back(Sample::of(variant, status.as_of));
            if samples.len() > KEPT {
                samples.pop_front();
            }
        }
    }

    /// The samples of each variant.
    pub fn series(&self) -> Vec<Series> {
        let series = |((namespace, name), points): (&(String, String), &VecDeque<Sample>)| Series {
            namespace: namespace.clone(),
            name: name.clone(),
            points: points.iter().cloned().collect(),
        };
        self.0.iter().map(series).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(second: i64, names: &[&str]) -> StatusView {
        let variant = |name: &&str| VariantView { name: (*name).to_owned(), ..VariantView::default() };
        StatusView {
            as_of: Timestamp::from_second(second).unwrap(),
            instances: Vec::new(),
            variants: names.iter().map(variant).collect(),
            unread: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn seconds(samples: &Samples) -> Vec<i64> {
        samples.series()[0].points.iter().map(|point| point.at.as_second()).collect()
    }

    #[test]
    fn samples_lie_a_step_apart_and_the_newest_is_always_there() {
        let mut samples = Samples::default();
        for second in (0..=40).step_by(4) {
            samples.note(&status(second, &["a"]));
        }
        let seen = seconds(&samples);
        assert_eq!((seen[0], *seen.last().unwrap()), (0, 40));
        let apart = seen.windows(2).rev().skip(1).all(|pair| pair[1] - pair[0] >= 12);
        assert!(apart && seen.len() <= 5, "{seen:?}");
    }

    #[test]
    fn an_hour_is_kept_and_nothing_of_what_is_gone() {
        let mut samples = Samples::default();
        for step in 0..1_000 {
            samples.note(&status(step * 15, &["a", "b"]));
        }
        samples.note(&status(15_000, &["a"]));
        assert_eq!((samples.series().len(), seconds(&samples).len()), (1, KEPT));
    }
}
