//! Limiting growth to the GPUs there are.
//!
//! What a variant has counts as used, and so does what whoever follows its number keeps in any case. GPUs of replicas that
//! are to go are not free yet: their pods run until they are gone, and only then does a snapshot show their GPUs free.
//! So a scale-down makes room for a scale-up in a later cycle, never in the same one.

use std::collections::BTreeMap;

use super::Decided;
use crate::accelerator::{pool_of, type_of};
use crate::limiter::{Grant, Request, allocate};
use crate::plan::{Note, Reason};
use crate::settings::{FailMode, Limiter, Settings};
use crate::snapshot::{Gpus, Snapshot, Variant};

/// GPUs that no pod uses, by pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    /// What holds where GPUs are not known; `None` when nothing is limited.
    on_unknown: Option<FailMode>,
    /// `None` when there is no inventory.
    free: Option<BTreeMap<String, u32>>,
    /// Of the free ones, those for replicas that were published and are not there yet.
    promised: BTreeMap<String, u32>,
}

impl Pools {
    /// Counts what is free.
    pub(super) fn of(snapshot: &Snapshot, settings: &Settings) -> Self {
        let Limiter::On { on_unknown } = settings.limiter else { return Self::default() };
        let free = snapshot.inventory.as_ref().map(|inventory| {
            let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
            for (name, Gpus { total, used_by_others }) in &inventory.gpus {
                let (all, used) = counts.entry(pool_of(name)).or_default();
                (*all, *used) = (all.saturating_add(*total), used.saturating_add(*used_by_others));
            }
            for variant in snapshot.models.iter().flat_map(|model| &model.variants) {
                if let Some((_, used)) = counts.get_mut(&pool_of(&variant.accelerator)) {
                    *used = used.saturating_add(in_use(variant).saturating_mul(gpus(variant)));
                }
            }
            counts.into_iter().map(|(pool, (all, used))| (pool, all.saturating_sub(used))).collect()
        });
        let mut promised: BTreeMap<String, u32> = BTreeMap::new();
        for variant in snapshot.models.iter().flat_map(|model| &model.variants).filter(|it| promised_to(it) > 0) {
            let promised = promised.entry(pool_of(&variant.accelerator)).or_default();
            *promised = promised.saturating_add(promised_to(variant));
        }
        Self { on_unknown: Some(on_unknown), free, promised }
    }

    /// Most replicas of the variant that could run, beside what was promised to others.
    pub(super) fn room(&self, variant: &Variant) -> u32 {
        let Some(on_unknown) = self.on_unknown else { return u32::MAX };
        let pool = pool_of(&variant.accelerator);
        match self.free.as_ref().and_then(|free| free.get(&pool)) {
            Some(free) => {
                let to_others = self.promised.get(&pool).map_or(0, |all| all.saturating_sub(promised_to(variant)));
                in_use(variant).saturating_add(free.saturating_sub(to_others) / gpus(variant))
            }
            None if on_unknown == FailMode::Unlimited => u32::MAX,
            None => in_use(variant),
        }
    }

    /// Whether one more replica of the variant could run.
    pub(super) fn fit(&self, variant: &Variant) -> bool {
        self.room(variant) > in_use(variant)
    }
}

/// Limits every target that grows, over all models together.
pub(super) fn limit(decided: &mut [Decided<'_>], pools: Pools) {
    let Pools { on_unknown: Some(on_unknown), free, promised: _ } = pools else { return };
    let inventory = free.is_some();
    let mut free = free.unwrap_or_default();
    for it in decided.iter() {
        if let Some(free) = free.get_mut(&pool_of(&it.variant.accelerator)) {
            *free = free.saturating_sub(taken_anyway(it).saturating_mul(gpus(it.variant)));
        }
    }
    let growths: Vec<_> = decided.iter().map(Growth::of).collect();
    let asked: Vec<_> = growths.iter().enumerate().flat_map(|(at, growth)| growth.parts(at)).collect();
    let requests: Vec<_> = asked
        .iter()
        .filter_map(|(at, promised, replicas)| Some(request(decided.get(*at)?, *promised, *replicas)))
        .collect();
    let grants = allocate(&requests, &mut free);

    let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
    for ((at, promised, replicas), grant) in asked.iter().zip(grants) {
        answers.entry(*at).or_default().add(*promised, *replicas, grant);
    }
    for (at, answer) in answers {
        if let (Some(it), Some(growth)) = (decided.get_mut(at), growths.get(at)) {
            answer.apply(it, growth, on_unknown, inventory);
        }
    }
}

/// How far a target goes beyond what is there.
struct Growth {
    /// Replicas that are not limited: those there are, and those that whoever follows the number keeps in any case.
    floor: u32,
    /// Replicas above the floor that an earlier decision granted: whoever follows may be about to use them.
    promised: u32,
    /// Replicas above both.
    new: u32,
}

impl Growth {
    fn of(decided: &Decided<'_>) -> Self {
        let wanted = if is_kept(decided) { 0 } else { decided.target.replicas };
        let floor = in_use(decided.variant).max(decided.variant.bounds.min.unwrap_or(0)).min(wanted);
        let promised = decided.variant.desired.unwrap_or(0).clamp(floor, wanted) - floor;
        Self { floor, promised, new: wanted - floor - promised }
    }

    fn parts(&self, at: usize) -> impl Iterator<Item = (usize, bool, u32)> + use<> {
        [(at, true, self.promised), (at, false, self.new)].into_iter().filter(|(_, _, replicas)| *replicas > 0)
    }
}

/// What came of the requests of one variant.
#[derive(Default)]
struct Answer {
    granted: u32,
    /// GPUs that were free where they were too few.
    short_at: Option<u32>,
    unknown: bool,
}

impl Answer {
    fn add(&mut self, promised: bool, asked: u32, grant: Grant) {
        match grant {
            Grant::Replicas { granted, free } => {
                self.granted += granted;
                if granted < asked {
                    self.short_at = self.short_at.or(Some(free));
                }
            }
            Grant::UnknownPool if promised => self.granted += asked,
            Grant::UnknownPool => self.unknown = true,
        }
    }

    fn apply(&self, decided: &mut Decided<'_>, growth: &Growth, on_unknown: FailMode, inventory: bool) {
        let accelerator = type_of(&decided.variant.accelerator);
        let target = &mut decided.target;
        let wanted = target.replicas;
        match (self.short_at, self.unknown, on_unknown) {
            (Some(free), _, _) => {
                target.replicas = growth.floor + self.granted;
                let gpus_per_replica = gpus(decided.variant);
                target.reason = Reason::LimitedByGpus { accelerator, wanted, gpus_per_replica, free };
            }
            (None, true, FailMode::Hold) => {
                target.replicas = growth.floor + self.granted;
                target.reason = Reason::GpusUnknown { accelerator, wanted, inventory };
            }
            (None, true, FailMode::Unlimited) => target.notes.push(Note::GpusNotCounted { accelerator }),
            (None, false, _) => {}
        }
    }
}

fn request<'a>(decided: &'a Decided<'_>, promised: bool, replicas: u32) -> Request<'a> {
    let Decided { target, variant, spare, short: _ } = decided;
    Request {
        variant: (&target.variant.namespace, &target.variant.name),
        pool: pool_of(&variant.accelerator),
        replicas,
        gpus_per_replica: gpus(variant),
        promised,
        spare: *spare,
        cost: variant.cost,
    }
}

/// Numbers that are held are not limited: nothing is decided on them.
fn is_kept(decided: &Decided<'_>) -> bool {
    matches!(decided.target.reason, Reason::Held | Reason::Paused | Reason::VariantPaused { .. } | Reason::AtZero)
}

/// Replicas that will take GPUs whatever is granted, besides those that do already.
fn taken_anyway(decided: &Decided<'_>) -> u32 {
    let Decided { target, variant, .. } = decided;
    let kept = match target.reason {
        Reason::AtZero => 0,
        Reason::Held | Reason::Paused | Reason::VariantPaused { .. } => target.replicas,
        _ => variant.bounds.min.unwrap_or(0).min(target.replicas),
    };
    kept.saturating_sub(in_use(variant))
}

/// GPUs of replicas that were published and are not there yet.
fn promised_to(variant: &Variant) -> u32 {
    variant.desired.unwrap_or(0).saturating_sub(in_use(variant)).saturating_mul(gpus(variant))
}

/// Replicas of a variant that use GPUs, or will when their pods are created.
fn in_use(variant: &Variant) -> u32 {
    let pods = u32::try_from(variant.pods.len()).unwrap_or(u32::MAX);
    variant.current.max(variant.spec_replicas).max(pods)
}

fn gpus(variant: &Variant) -> u32 {
    variant.gpus_per_replica.max(1)
}
