//! Which models sleep, and which pools are in front of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use wva_engine::snapshot::Zero;
use wva_engine::{ModelKey, Reason, Snapshot, VariantKey};

use crate::cluster::index::target::Target;
use crate::cluster::index::{Index, ObjectKey};
use crate::cluster::pools::{PoolKey, Pools};
use crate::observe::gateway::pool_of;
use crate::ownership::variants::Ownership;

/// A model all of whose variants ask for no replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sleeper {
    /// Its variants.
    pub variants: BTreeSet<ObjectKey>,
    /// Pools in front of them.
    pub fronts: BTreeSet<PoolKey>,
}

/// A variant whose pods more than one pool selects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ambiguity {
    /// The variant.
    pub variant: ObjectKey,
    /// The pool that counts.
    pub pool: PoolKey,
    /// Those that do not.
    pub others: Vec<PoolKey>,
}

/// The models that sleep, of those that can be decided.
pub fn sleepers(index: &Index, ownership: &Ownership, pools: &Pools) -> BTreeMap<ModelKey, Sleeper> {
    let mut models: BTreeMap<ModelKey, Option<Sleeper>> = BTreeMap::new();
    for key in ownership.ready() {
        let variant = &index.variants[key];
        let target = index.target(&key.namespace, &variant.target);
        let (Some(model), Target::Found(target)) = (&variant.model, target) else { continue };
        let model = ModelKey { namespace: key.namespace.clone(), model_id: model.clone() };
        let sleeper = models.entry(model).or_insert_with(|| Some(Sleeper::default()));
        if target.spec_replicas > 0 {
            *sleeper = None;
        }
        if let Some(sleeper) = sleeper {
            sleeper.variants.insert(key.clone());
            sleeper.fronts.extend(pool_of(index, pools, key).map(|found| found.pool));
        }
    }
    models.into_iter().filter_map(|(model, sleeper)| Some((model, sleeper?))).collect()
}

/// The variants that go to sleep, or are paused at zero, and whose autoscaler would keep them awake, with the replicas they
/// have: the controller takes them to zero itself.
pub fn ours_to_scale(targets: &[wva_engine::Target], snapshot: &Snapshot) -> Vec<(ObjectKey, u32)> {
    let wanted = |reason: &Reason| matches!(reason, Reason::ScaledToZero { .. } | Reason::VariantPaused { .. });
    let sleeps = |target: &&wva_engine::Target| target.replicas == 0 && wanted(&target.reason);
    let asleep: BTreeSet<&VariantKey> = targets.iter().filter(sleeps).map(|target| &target.variant).collect();
    if asleep.is_empty() {
        return Vec::new();
    }
    let variants = snapshot.models.iter().flat_map(|model| model.variants.iter().map(|variant| (&model.key, variant)));
    let ours = variants.filter(|(_, variant)| {
        variant.spec_replicas > 0 && variant.autoscaler.as_ref().is_some_and(|it| it.zero == Zero::Controller)
    });
    ours.filter_map(|(model, variant)| {
        let key = VariantKey { namespace: model.namespace.clone(), name: variant.name.clone() };
        asleep.contains(&key).then(|| (ObjectKey::new(key.namespace, key.name), variant.spec_replicas))
    })
    .collect()
}

/// The variants, of those that can be decided, that several pools select.
pub fn ambiguities(index: &Index, ownership: &Ownership, pools: &Pools) -> BTreeSet<Ambiguity> {
    let of = |key: &ObjectKey| {
        let found = pool_of(index, pools, key).filter(|found| !found.others.is_empty())?;
        Some(Ambiguity { variant: key.clone(), pool: found.pool, others: found.others })
    };
    ownership.ready().filter_map(of).collect()
}
