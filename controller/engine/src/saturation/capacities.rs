//! What was learnt of capacities, for one model.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::VariantLoad;
use crate::number::{float, truncate};
use crate::vllm::ServerArguments;

/// Observations that are kept of one kind of replica.
const KEPT: usize = 10;
/// Observations are forgotten when none has been added for this long.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What was learnt of the capacities of one model's replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capacities {
    /// What the replicas of a variant had room for when some reported last, by variant.
    live: BTreeMap<String, LiveCapacity>,
    /// What saturated replicas had in use.
    observed: Vec<Observed>,
}

/// What the replicas of a variant had room for when some reported last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveCapacity {
    /// What kind of replica it was: others of this kind have the same capacity.
    pub kind: ReplicaKind,
    /// Tokens the KV cache holds.
    pub kv_tokens: i64,
    /// Tokens a replica has room for.
    pub capacity: i64,
}

/// What decides the capacity of a replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaKind {
    /// Accelerator.
    pub accelerator: String,
    /// GPUs of a replica.
    pub gpus_per_replica: u32,
    /// How its servers are started, if that is known.
    pub server: Option<ServerArguments>,
}

impl ReplicaKind {
    /// The kind of a variant's replicas.
    pub fn of(variant: &VariantLoad<'_>) -> Self {
        Self {
            accelerator: variant.accelerator.to_owned(),
            gpus_per_replica: variant.gpus_per_replica,
            server: variant.server.cloned(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        let Self { accelerator, gpus_per_replica, server } = self;
        let same_server = match (server, &other.server) {
            (Some(a), Some(b)) => a.same_capacity(b),
            (None, None) => true,
            _ => false,
        };
        *accelerator == other.accelerator && *gpus_per_replica == other.gpus_per_replica && same_server
    }
}

/// What saturated replicas of one kind had in use, for answers of one length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Observed {
    kind: ReplicaKind,
    answers: AnswerLength,
    tokens: Ring,
    /// When the last one was added.
    at: Timestamp,
}

/// The last observations, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ring(VecDeque<i64>);

impl Ring {
    /// Adds one and keeps the last `kept`.
    pub fn push(&mut self, value: i64, kept: usize) {
        self.0.push_back(value);
        while self.0.len() > kept {
            self.0.pop_front();
        }
    }

    /// Their mean; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        let count = u32::try_from(self.0.len()).ok().filter(|count| *count > 0)?;
        Some(self.0.iter().map(|value| float(*value)).sum::<f64>() / f64::from(count))
    }
}

/// Length of answers: the share of a replica's work that is not prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerLength {
    /// Below 100 tokens.
    Short,
    /// Below 500 tokens.
    Medium,
    /// 500 tokens and more.
    Long,
}

impl AnswerLength {
    /// Length class of an average.
    pub fn of(avg_output: f64) -> Self {
        if avg_output < 100.0 {
            Self::Short
        } else if avg_output < 500.0 {
            Self::Medium
        } else {
            Self::Long
        }
    }
}

impl Capacities {
    /// Adds an observation.
    pub fn observe(&mut self, kind: &ReplicaKind, answers: AnswerLength, tokens: i64, now: Timestamp) {
        let found = self.observed.iter().position(|it| it.answers == answers && it.kind.same(kind));
        let at = found.unwrap_or_else(|| {
            let kind = kind.clone();
            self.observed.push(Observed { kind, answers, tokens: Ring::default(), at: now });
            self.observed.len() - 1
        });
        if let Some(observed) = self.observed.get_mut(at) {
            observed.at = now;
            observed.tokens.push(tokens, KEPT);
        }
    }

    /// Mean of the observations; `None` without any.
    pub fn mean(&self, kind: &ReplicaKind, answers: AnswerLength) -> Option<f64> {
        self.observed.iter().find(|it| it.answers == answers && it.kind.same(kind))?.tokens.mean()
    }

    /// Mean of the observations, in whole tokens.
    pub(super) fn historical(&self, kind: &ReplicaKind, answers: AnswerLength) -> Option<i64> {
        self.mean(kind, answers).map(truncate).filter(|tokens| *tokens > 0)
    }

    /// The least share of its KV cache that a replica of any variant has room for, by what was learnt of its kind, whatever
    /// the length of answers; `None` before anything was. One token less, for what is lost to rounding.
    pub(crate) fn least_room(&self) -> Option<f64> {
        let share = |live: &LiveCapacity| {
            let of_kind = self.observed.iter().filter(|it| it.kind.same(&live.kind));
            let least = of_kind.filter_map(|it| it.tokens.mean().map(truncate)).fold(live.capacity, i64::min);
            (live.kv_tokens > 0).then(|| float((least - 1).max(0)) / float(live.kv_tokens))
        };
        self.live.values().filter_map(share).reduce(f64::min)
    }

    /// Remembers what the replicas of a variant have room for.
    pub fn learn(&mut self, variant: &str, capacity: LiveCapacity) {
        self.live.insert(variant.to_owned(), capacity);
    }

    /// What a variant's replicas had room for, if they are still of the same kind.
    pub fn of_variant(&self, variant: &str, kind: &ReplicaKind) -> Option<&LiveCapacity> {
        self.live.get(variant).filter(|it| it.kind.same(kind))
    }

    /// The same, of a variant as the analyzer sees it.
    pub(crate) fn of_variant_load(&self, load: &VariantLoad<'_>) -> Option<&LiveCapacity> {
        self.of_variant(load.variant, &ReplicaKind::of(load))
    }

    /// What the replicas of another variant of the same kind had room for: the first by name that has room for any. Only
    /// servers whose arguments are known can be compared.
    pub fn of_kind(&self, kind: &ReplicaKind) -> Option<&LiveCapacity> {
        kind.server.as_ref()?;
        self.live.values().find(|it| it.capacity > 0 && it.kind.same(kind))
    }

    /// Forgets variants that are gone, and observations that nobody has added to for a day.
    pub(crate) fn evict(&mut self, is_there: impl Fn(&str) -> bool, now: Timestamp) {
        self.live.retain(|variant, _| is_there(variant));
        self.observed.retain(|it| now.duration_since(it.at) < KEPT_FOR);
    }

    /// Whether nothing was learnt.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.observed.is_empty()
    }
}
