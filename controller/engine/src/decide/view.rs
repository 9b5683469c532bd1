//! One variant with everything a decision needs to know of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::limit::Pools;
use super::readings::Readings;
use super::standing::Standing;
use crate::plan::{Reason, Target, Unsettled};
use crate::snapshot::{Model, ModelKey, Source, Variant, VariantKey};
use crate::threshold::Choice;
use crate::{Memory, Settings};

/// What variants are to have, by name.
pub(super) type Choices<'a> = BTreeMap<&'a str, Choice>;

/// One variant with everything a decision needs to know of it.
pub(super) struct View<'a> {
    pub(super) variant: &'a Variant,
    pub(super) key: VariantKey,
    pub(super) readings: Readings<'a>,
    pub(super) standing: Standing<'a>,
    /// Whether whoever follows has had time to carry out a published growth.
    patience_over: bool,
    /// Most replicas for which there are GPUs.
    room: u32,
    /// Whether there are GPUs for one more.
    fits: bool,
}

impl<'a> View<'a> {
    /// Looks at every variant of a model, by name: whoever is named in a reason does not depend on how they are listed.
    pub(super) fn all(
        model: &'a Model,
        memory: &Memory,
        settings: &Settings,
        pools: &Pools,
        now: Timestamp,
    ) -> Vec<Self> {
        let mut variants: Vec<_> = model.variants.iter().collect();
        variants.sort_by_key(|variant| &variant.name);
        variants.into_iter().map(|variant| Self::of(&model.key, variant, memory, settings, pools, now)).collect()
    }

    fn of(
        model: &ModelKey,
        variant: &'a Variant,
        memory: &Memory,
        settings: &Settings,
        pools: &Pools,
        now: Timestamp,
    ) -> Self {
        let key = VariantKey { namespace: model.namespace.clone(), name: variant.name.clone() };
        let readings = Readings::of(variant, &model.model_id, settings, now);
        let unchanged_for = |target| memory.unchanged_for(&key, target, variant.current, now);
        let timed_out = |target| unchanged_for(target).is_some_and(|time| time >= settings.transition_timeout);
        let mut standing = Standing::of(variant, &readings, timed_out);
        let (room, fits) = (pools.room(variant), pools.fit(variant));
        standing.state.refused |= !fits;
        let waited = standing.state.desired.and_then(unchanged_for);
        // While pods start, the growth is being carried out.
        let patience_over = readings.pending == 0 && waited.is_some_and(|time| time >= settings.growth_patience());
        Self { variant, key, readings, standing, patience_over, room, fits }
    }

    /// The variant's name.
    pub(super) fn name(&self) -> &'a str {
        &self.variant.name
    }

    /// A choice for this variant.
    pub(super) fn choice(&self, replicas: u32, reason: Reason) -> (&'a str, Choice) {
        (self.name(), Choice { replicas, reason })
    }

    /// A workload that asks for no replicas takes no part in its model's load.
    pub(super) fn is_active(&self) -> bool {
        self.variant.spec_replicas > 0
    }

    /// Whether whoever follows its number allows no replica more.
    pub(super) fn is_at_its_maximum(&self) -> bool {
        self.variant.bounds.max.is_some_and(|max| self.variant.current >= max)
    }

    /// Of a model that is short, only growth is worth waiting for, and not for ever.
    pub(super) fn while_short(&mut self) {
        self.standing.while_short(self.patience_over);
    }

    /// Whether it cannot have a replica more at present, whoever decides.
    pub(super) fn is_exhausted(&self) -> bool {
        let Standing { state, unfollowed, .. } = &self.standing;
        self.is_at_its_maximum() || state.barred || unfollowed.is_some() || !self.fits
    }

    /// Most replicas for which there are GPUs.
    pub(super) fn room(&self) -> u32 {
        self.room
    }

    /// What an earlier change of this variant still waits for.
    pub(super) fn unsettled(&self) -> Option<Unsettled> {
        let reporting = u32::try_from(self.readings.replicas.len()).unwrap_or(u32::MAX);
        self.standing.state.unsettled(reporting)
    }

    /// From cheap to dear, then by name. A cost that is not a number comes after all others.
    pub(super) fn by_cost(&self, other: &Self) -> Ordering {
        let (a, b) = (self.variant.cost, other.variant.cost);
        let by_number = a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal));
        by_number.then_with(|| self.variant.name.cmp(&other.variant.name))
    }

    /// The target that a choice makes.
    pub(super) fn target(&self, model: &ModelKey, choice: Choice, source: &Source) -> Target {
        let Choice { replicas, reason } = choice;
        Target {
            variant: self.key.clone(),
            model_id: model.model_id.clone(),
            accelerator: self.variant.accelerator.clone(),
            current: self.variant.current,
            replicas,
            reason,
            notes: Vec::new(),
            evidence: self.readings.evidence().with(source),
        }
    }
}
