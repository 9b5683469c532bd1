//! What one decision leaves for the next.

mod burst;
mod flow;
mod history;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::burst::Present;
pub(crate) use self::flow::{Flow, Look, Queue, SIZED_FOR, Taken};
pub(crate) use self::history::History;
use crate::plan::Target;
use crate::proactive::Learnt;
use crate::queueing::ServiceTime;
use crate::saturation::Capacities;
use crate::serde_pairs;
use crate::snapshot::{ModelKey, VariantKey};

/// Memory of the decision core. Empty after a restart: what must survive one comes back through the snapshot
/// ([`Variant::desired`](crate::snapshot::Variant::desired)), and only the clocks of time-outs start again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Variants of the last snapshot; others are forgotten.
    #[serde(with = "serde_pairs")]
    variants: BTreeMap<VariantKey, VariantMemory>,
    /// Models of the last snapshot that do not sleep.
    #[serde(with = "serde_pairs")]
    models: BTreeMap<ModelKey, ModelMemory>,
    /// What the `saturation` analyzer learnt, of models of the last snapshot.
    #[serde(with = "serde_pairs", default)]
    capacities: BTreeMap<ModelKey, Capacities>,
    /// What the proactive mode learnt of how fast models of the last snapshot are.
    #[serde(with = "serde_pairs", default)]
    learnt: BTreeMap<ModelKey, Learnt>,
    /// What was seen of the load of models that are sized by it.
    #[serde(with = "serde_pairs", default, skip_serializing_if = "BTreeMap::is_empty")]
    flows: BTreeMap<ModelKey, Flow>,
    /// What was wanted and published of variants whose numbers are stabilised here.
    #[serde(with = "serde_pairs", default, skip_serializing_if = "BTreeMap::is_empty")]
    histories: BTreeMap<VariantKey, History>,
}

/// What is remembered of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VariantMemory {
    /// Replicas published last.
    target: u32,
    /// Replicas it had then.
    current: u32,
    /// Since when both have been what they are.
    since: Timestamp,
}

/// What is remembered of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelMemory {
    /// Since when nothing has been seen to be asked of it.
    quiet_since: Timestamp,
}

impl Memory {
    /// For how long nothing has been asked of a model that is awake. Its clock starts when it wakes, or is seen for the first
    /// time, and whenever told to.
    pub(crate) fn quiet_for(
        &mut self,
        model: &ModelKey,
        awake: bool,
        restart: bool,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        if !awake || restart {
            self.models.remove(model);
        }
        if !awake {
            return None;
        }
        let memory = self.models.entry(model.clone()).or_insert(ModelMemory { quiet_since: now });
        Some(now.duration_since(memory.quiet_since))
    }

    /// How long `target` has been published without the `current` replicas moving.
    pub(crate) fn unchanged_for(
        &self,
        variant: &VariantKey,
        target: u32,
        current: u32,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let memory = self.variants.get(variant).filter(|it| it.target == target && it.current == current)?;
        Some(now.duration_since(memory.since))
    }

    /// What was learnt of a model's capacities.
    pub(crate) fn capacities(&mut self, model: &ModelKey) -> &mut Capacities {
        self.capacities.entry(model.clone()).or_default()
    }

    /// Of models whose capacities were learnt, the least [share of its KV cache](Capacities::least_room) that a replica has
    /// room for.
    pub(crate) fn least_rooms(&self) -> impl Iterator<Item = (&ModelKey, f64)> {
        self.capacities.iter().filter_map(|(model, capacities)| Some((model, capacities.least_room()?)))
    }

    /// What was seen of a model's load, and what was learnt of how fast it is.
    pub(crate) fn flow_and_learnt(&mut self, model: &ModelKey) -> (&mut Flow, &mut Learnt) {
        (self.flows.entry(model.clone()).or_default(), self.learnt.entry(model.clone()).or_default())
    }

    /// Requests per second that one replica of a variant completed while it was full; `None` until one was seen to be.
    pub fn rate_of_full_replica(&self, model: &ModelKey, variant: &str) -> Option<f64> {
        self.flows.get(model)?.full_rate(variant)
    }

    /// How long the servers of a model compute on an accelerator, as far as that was learnt and can be trusted.
    pub fn service_time(&self, model: &ModelKey, accelerator: &str) -> Option<ServiceTime> {
        self.learnt.get(model)?.of(accelerator)
    }

    /// What was wanted and published of a variant.
    pub(crate) fn history(&mut self, variant: &VariantKey) -> &mut History {
        self.histories.entry(variant.clone()).or_default()
    }

    /// Starts the variant's clock again.
    pub(crate) fn forget(&mut self, variant: &VariantKey) {
        self.variants.remove(variant);
    }

    /// Remembers the targets, which are in order of their variants, and forgets every variant that has none, and every model that is not listed.
    pub(crate) fn remember<'a>(
        &mut self,
        targets: &[Target],
        models: impl Iterator<Item = &'a ModelKey>,
        now: Timestamp,
    ) {
        // Both are in order, and mostly of the same variants.
        let mut before = std::mem::take(&mut self.variants).into_iter().peekable();
        let remember = |target: &Target| {
            let Target { variant, current, replicas, model_id: _, accelerator: _, reason: _, notes: _, evidence: _ } =
                target;
            while before.next_if(|(key, _)| key < variant).is_some() {}
            let (key, known) = before
                .next_if(|(key, _)| key == variant)
                .map_or_else(|| (variant.clone(), None), |(k, v)| (k, Some(v)));
            let unchanged = known.filter(|it| it.target == *replicas && it.current == *current);
            (key, VariantMemory { target: *replicas, current: *current, since: unchanged.map_or(now, |it| it.since) })
        };
        let variants = targets.iter().map(remember).collect();
        self.variants = variants;
        let models: BTreeSet<_> = models.collect();
        self.models.retain(|model, _| models.contains(model));
        self.learnt.retain(|model, learnt| models.contains(model) && !learnt.is_empty());
        let Self { variants, capacities, flows, histories, .. } = self;
        histories.retain(|variant, _| variants.contains_key(variant));
        let of =
            |model: &ModelKey, name: &str| VariantKey { namespace: model.namespace.clone(), name: name.to_owned() };
        flows.retain(|model, flow| {
            flow.retain(|variant| variants.contains_key(&of(model, variant)));
            models.contains(model) && !flow.is_empty()
        });
        capacities.retain(|model, learnt| {
            let key = |name: &str| of(model, name);
            learnt.evict(|variant| variants.contains_key(&key(variant)), now);
            models.contains(model) && !learnt.is_empty()
        });
    }
}
