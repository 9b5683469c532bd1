//! One variant's pods, sorted by what they say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::Settings;
use crate::plan::Evidence;
use crate::snapshot::{Obstacle, Pace, Pod, Readiness, Reading, Sample, Tokens, Variant};
use crate::threshold::Replica;

/// Pods of one variant, or of all variants of a model, sorted by what they say.
#[derive(Debug, Default)]
pub(super) struct Readings<'a> {
    /// Pods with a fresh KV and a fresh queue reading, ready or not.
    pub(super) replicas: Vec<Replica<'a>>,
    /// Token counts of the same pods, in the same order.
    pub(super) tokens: Vec<Tokens>,
    /// What requests of the same pods see, in the same order.
    pub(super) paces: Vec<Pace>,
    /// Age of the queue readings of the same pods and since when these are ready, in the same order.
    moments: Vec<(SignedDuration, Option<Timestamp>)>,
    /// Pods that are ready.
    pub(super) ready: u32,
    /// Pods that are not ready and still waited for.
    pub(super) pending: u32,
    /// Pods that are not waited for any longer: they have not been ready for too long, or cannot run.
    pub(super) stuck: u32,
    /// Those of them that cannot run, by name, and why.
    pub(super) stopped: BTreeMap<&'a str, &'a Obstacle>,
    /// Pods that became ready so recently that their readings may still be to come.
    pub(super) settling: u32,
    /// Ready pods whose readings ought to be there and are not.
    pub(super) silent: BTreeSet<&'a str>,
    /// Age of the oldest reading of a silent pod, if one is too old.
    stale: Option<SignedDuration>,
    /// Models that silent pods report instead.
    foreign: BTreeSet<&'a str>,
    /// Whether a silent pod has one of its two readings.
    partly: bool,
}

/// One pod with readings.
pub(super) struct Each<'r, 'a> {
    /// KV cache and queue.
    pub(super) replica: &'r Replica<'a>,
    /// What its requests see.
    pub(super) pace: &'r Pace,
    /// Age of its queue reading.
    pub(super) age: SignedDuration,
    /// Since when it is ready, if it is.
    pub(super) ready_since: Option<Timestamp>,
}

impl<'a> Readings<'a> {
    /// Sorts the pods of one variant.
    pub(super) fn of(variant: &'a Variant, model_id: &str, settings: &Settings, now: Timestamp) -> Self {
        let mut readings = Self::default();
        if variant.spec_replicas == 0 {
            return readings;
        }
        for pod in &variant.pods {
            readings.add(variant, pod, model_id, settings, now);
        }
        readings
    }

    fn add(&mut self, variant: &'a Variant, pod: &'a Pod, model_id: &str, settings: &Settings, now: Timestamp) {
        let Pod { name, ready, obstacle, sample } = pod;
        let own = sample.as_ref().filter(|sample| sample.model_id == model_id);
        let kv = own.and_then(|sample| fresh(sample.kv_usage, settings));
        let queue = own.and_then(|sample| fresh(sample.queue_length, settings));

        match (*ready, obstacle) {
            (Readiness::NotReady { since }, Some(obstacle)) if is_stopped(obstacle, since, settings, now) => {
                self.stopped.insert(name, obstacle);
                self.stuck += 1;
                return;
            }
            (Readiness::NotReady { since }, _) if now.duration_since(since) >= settings.pending_timeout => {
                self.stuck += 1;
                return;
            }
            (Readiness::NotReady { .. }, _) => self.pending += 1,
            (Readiness::Ready { .. }, _) => self.ready += 1,
        }
        if let (Some(kv), Some(queue)) = (kv, queue) {
            self.replicas.push(Replica {
                pod: name,
                variant: &variant.name,
                accelerator: &variant.accelerator,
                cost: variant.cost,
                kv_usage: kv.value,
                // The queue is a number of requests; servers that report a fraction mean an average.
                queue_length: queue.value.trunc(),
            });
            self.tokens.push(own.map(|sample| sample.tokens).unwrap_or_default());
            self.paces.push(own.map(|sample| sample.pace).unwrap_or_default());
            let ready_since = match *ready {
                Readiness::Ready { since } => Some(since),
                Readiness::NotReady { .. } => None,
            };
            self.moments.push((queue.age, ready_since));
            return;
        }
        match *ready {
            Readiness::NotReady { .. } => {}
            Readiness::Ready { since } if now.duration_since(since) < settings.metrics_grace => self.settling += 1,
            Readiness::Ready { .. } => {
                self.silent.insert(name);
                self.partly |= kv.is_some() || queue.is_some();
                match (own, sample) {
                    (Some(own), _) => self.stale = self.stale.max(oldest_stale(own, settings)),
                    (None, Some(Sample { model_id, .. })) => {
                        self.foreign.insert(model_id);
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// Both together: what a model's variants say.
    pub(super) fn merge(mut self, other: &Self) -> Self {
        let Self {
            replicas,
            tokens,
            paces,
            moments,
            ready,
            pending,
            stuck,
            stopped,
            settling,
            silent,
            stale,
            foreign,
            partly,
        } = other;
        self.replicas.extend(replicas);
        self.tokens.extend(tokens);
        self.paces.extend(paces);
        self.moments.extend(moments);
        self.ready += ready;
        self.pending += pending;
        self.stuck += stuck;
        self.stopped.extend(stopped);
        self.settling += settling;
        self.silent.extend(silent);
        self.stale = self.stale.max(*stale);
        self.foreign.extend(foreign);
        self.partly |= partly;
        self
    }

    /// The pods with readings, each with all that it says.
    pub(super) fn each(&self) -> impl Iterator<Item = Each<'_, 'a>> {
        let moments = self.replicas.iter().zip(&self.paces).zip(&self.moments);
        moments.map(|((replica, pace), (age, ready_since))| Each {
            replica,
            pace,
            age: *age,
            ready_since: *ready_since,
        })
    }

    /// What these readings are worth.
    pub(super) fn evidence(&self) -> Evidence {
        match (self.replicas.is_empty(), self.silent.is_empty()) {
            (false, true) => Evidence::Complete,
            (true, true) => Evidence::Missing,
            (true, false) if !self.partly => match self.stale {
                Some(age) => Evidence::Stale { age },
                None if self.foreign.is_empty() => Evidence::Missing,
                None => Evidence::ModelNotServed { reported: owned(&self.foreign) },
            },
            _ => Evidence::Partial { pods: owned(&self.silent) },
        }
    }
}

/// Whether a pod that has not been ready since then is kept from running, and not only for a moment.
fn is_stopped(obstacle: &Obstacle, not_ready: Timestamp, settings: &Settings, now: Timestamp) -> bool {
    let since = match obstacle {
        Obstacle::Unschedulable { since, .. } => *since,
        Obstacle::Failing { .. } => not_ready,
    };
    now.duration_since(since) >= settings.obstacle_grace()
}

/// A reading that can be used.
pub(super) fn fresh(reading: Option<Reading>, settings: &Settings) -> Option<Reading> {
    reading.filter(|it| is_valid(it) && it.age <= settings.stale_after)
}

/// No reading can be negative, and a division by zero in a query yields something that is not finite.
fn is_valid(reading: &Reading) -> bool {
    reading.value.is_finite() && reading.value >= 0.0
}

fn oldest_stale(sample: &Sample, settings: &Settings) -> Option<SignedDuration> {
    let Sample { model_id: _, kv_usage, queue_length, tokens: _, pace: _ } = sample;
    let readings = kv_usage.iter().chain(queue_length).filter(|it| is_valid(it));
    readings.map(|it| it.age).filter(|age| *age > settings.stale_after).max()
}

fn owned(names: &BTreeSet<&str>) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
