//! What this process said last of each variant. Gauges, events, the safety net and the next snapshot follow from it; metrics
//! and status are views that nothing reads back.

use std::collections::BTreeMap;
use std::sync::Mutex;

use wva_api::VariantAutoscalingStatus;
use wva_api::conditions::{self, reasons};

use crate::cluster::index::ObjectKey;
use crate::lock::lock;

/// What was said last of each variant, in one term of leadership.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<ObjectKey, Entry>>);

/// What was said of one variant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// Replicas published for whoever scales by them; `None` while nothing is.
    published: Option<u32>,
    /// What its status was given as; `None` before.
    reported: Option<Reported>,
}

/// What of a variant's status is worth an event when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Status and reason of `Ready`; `None` before the first look at the variant.
    pub ready: Option<(bool, String)>,
    /// Whether the last decision was held for lack of metrics; `None` before the first decision.
    pub held: Option<bool>,
    /// Status and message of `Paused`; `None` while there is no such condition.
    pub paused: Option<(bool, String)>,
    /// The target.
    pub replicas: Option<i32>,
}

impl Reported {
    /// What this status tells.
    pub fn of(status: &VariantAutoscalingStatus) -> Self {
        let find = |type_| conditions::find(&status.conditions, type_);
        Self {
            ready: find(conditions::READY).map(|ready| (ready.status == "True", ready.reason.clone())),
            held: find(conditions::OPTIMIZATION_READY)
                .filter(|it| {
                    find(conditions::READY).is_none_or(|ready| ready.status == "True" || ready.reason != it.reason)
                })
                .map(|it| it.reason == reasons::METRICS_UNAVAILABLE),
            paused: find(conditions::PAUSED).map(|paused| (paused.status == "True", paused.message.clone())),
            replicas: status.desired_optimized_alloc.as_ref().and_then(|allocation| allocation.num_replicas),
        }
    }
}

impl Ledger {
    /// Replicas published last for a variant; `None` while nothing is.
    pub fn published(&self, variant: &ObjectKey) -> Option<u32> {
        lock(&self.0).get(variant)?.published
    }

    /// Enters a number that is published. Returns the one before.
    pub fn publish(&self, variant: &ObjectKey, replicas: u32) -> Option<u32> {
        lock(&self.0).entry(variant.clone()).or_default().published.replace(replicas)
    }

    /// Enters what a status was given as. Returns what it was before, if this process gave it any.
    pub fn report(&self, variant: &ObjectKey, reported: Reported) -> Option<Reported> {
        lock(&self.0).entry(variant.clone()).or_default().reported.replace(reported)
    }

    /// Takes back the numbers of all variants but those `kept`. Returns whose were taken back.
    pub fn withdraw(&self, kept: impl Fn(&ObjectKey) -> bool) -> Vec<ObjectKey> {
        let mut entries = lock(&self.0);
        let gone = entries.iter_mut().filter(|(variant, entry)| entry.published.is_some() && !kept(variant));
        gone.map(|(variant, entry)| {
            entry.published = None;
            variant.clone()
        })
        .collect()
    }

    /// Forgets the variants that are not `kept`.
    pub fn keep_only(&self, kept: impl Fn(&ObjectKey) -> bool) {
        lock(&self.0).retain(|variant, _| kept(variant));
    }

    /// How many variants are held for lack of metrics.
    pub fn held(&self) -> usize {
        let is_held = |entry: &&Entry| {
            let reported = entry.reported.as_ref();
            entry.published.is_some() && reported.is_some_and(|reported| reported.held == Some(true))
        };
        lock(&self.0).values().filter(is_held).count()
    }
}
