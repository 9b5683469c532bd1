//! What was decided of each variant lately: its changes with their reasons, in a bounded ring.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::Target;
use crate::snapshot::{Snapshot, Variant, VariantKey};

/// Decisions that are kept of a variant. A full ring takes about 14 kB, so 1,000 variants 14 MB at most, and only when each
/// changed that often.
pub const DEPTH: usize = 48;

/// Longest reason that is kept, in bytes: what is longer names many pods, and its beginning says it.
const LONGEST: usize = 400;

/// The changes of every variant, in one term of leadership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(#[serde(with = "crate::serde_pairs")] BTreeMap<VariantKey, VariantHistory>);

/// The changes of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantHistory {
    /// When it was decided for the first time in this term; nothing is known of the time before.
    pub since: Timestamp,
    /// The changes, oldest first; the last is in force.
    pub decisions: VecDeque<Decision>,
}

/// A decision that differed from the one before: by the number, the replicas there, the kind of its reason or the cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When it was taken for the first time.
    pub at: Timestamp,
    /// When it was taken for the last time: every cycle in between came to the same.
    pub until: Timestamp,
    /// Replicas decided before; `None` when there was no decision.
    pub from: Option<u32>,
    /// Replicas decided.
    pub to: u32,
    /// Replicas there.
    pub current: u32,
    /// Cost of one replica per hour, in the currency of `variantCost`.
    pub cost: f64,
    /// Mean used share of the KV cache of its pods, 0 to 1, when it was first taken; `None` when not known.
    pub kv_usage: Option<f32>,
    /// Mean number of requests that wait in a pod, at the same time.
    pub queue_length: Option<f32>,
    /// Class of the reason.
    pub class: Cow<'static, str>,
    /// The reason, in words.
    pub why: Box<str>,
}

impl Decision {
    fn of(target: &Target, variant: Option<&Variant>, from: Option<u32>, now: Timestamp) -> Self {
        let load = variant.and_then(Variant::load);
        #[expect(clippy::cast_possible_truncation, reason = "six digits are enough for people")]
        let (kv_usage, queue_length) = load.map(|load| (load.kv_usage as f32, load.queue_length as f32)).unzip();
        let mut why = target.explanation();
        if why.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| why.is_char_boundary(*at)).unwrap_or(0);
            why.truncate(end);
            why.push('…');
        }
        Self {
            at: now,
            until: now,
            from,
            to: target.replicas,
            current: target.current,
            cost: variant.map_or(0.0, |variant| variant.cost),
            kv_usage,
            queue_length,
            class: Cow::Borrowed(target.reason.class()),
            why: why.into_boxed_str(),
        }
    }

    fn is_same(&self, target: &Target, variant: Option<&Variant>) -> bool {
        self.to == target.replicas
            && self.current == target.current
            && self.class == target.reason.class()
            && variant.is_none_or(|variant| variant.cost.to_bits() == self.cost.to_bits())
    }
}

impl VariantHistory {
    /// Whether decisions of this term are no longer kept.
    pub fn is_cut(&self) -> bool {
        self.decisions.front().is_some_and(|first| first.at > self.since)
    }

    fn note(&mut self, target: &Target, variant: Option<&Variant>, now: Timestamp) {
        if let Some(last) = self.decisions.back_mut()
            && last.is_same(target, variant)
        {
            last.until = now;
            return;
        }
        let from = self.decisions.back().map(|last| last.to).or_else(|| variant.and_then(|variant| variant.desired));
        if self.decisions.len() >= DEPTH {
            self.decisions.pop_front();
        }
        self.decisions.push_back(Decision::of(target, variant, from, now));
    }
}

impl History {
    /// Notes what was decided on a snapshot at `now`.
    pub fn note(&mut self, targets: &[Target], snapshot: &Snapshot, now: Timestamp) {
        let observed = snapshot.models.iter().flat_map(|model| {
            model.variants.iter().map(|variant| ((model.key.namespace.as_str(), variant.name.as_str()), variant))
        });
        let observed: HashMap<_, _> = observed.collect();
        for target in targets {
            let variant = observed.get(&(target.variant.namespace.as_str(), target.variant.name.as_str())).copied();
            if let Some(history) = self.0.get_mut(&target.variant) {
                history.note(target, variant, now);
            } else {
                let mut history = VariantHistory { since: now, decisions: VecDeque::new() };
                history.note(target, variant, now);
                self.0.insert(target.variant.clone(), history);
            }
        }
    }

    /// Forgets the variants that are not `kept`.
    pub fn keep_only(&mut self, kept: impl Fn(&VariantKey) -> bool) {
        self.0.retain(|variant, _| kept(variant));
    }

    /// The history of one variant.
    pub fn of(&self, variant: &VariantKey) -> Option<&VariantHistory> {
        self.0.get(variant)
    }

    /// The histories of all variants, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&VariantKey, &VariantHistory)> {
        self.0.iter()
    }

    /// Only what is `wanted`.
    #[must_use]
    pub fn filtered(&self, wanted: impl Fn(&VariantKey) -> bool) -> Self {
        Self(self.0.iter().filter(|(variant, _)| wanted(variant)).map(|(key, it)| (key.clone(), it.clone())).collect())
    }
}
