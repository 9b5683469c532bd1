//! Which models sleep, and which pools are in front of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use wva_engine::ModelKey;

use super::pool_of;
use crate::index::target::Target;
use crate::index::{Index, ObjectKey};
use crate::observe::Census;
use crate::pools::{PoolKey, Pools};

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
pub fn sleepers(index: &Index, census: &Census, pools: &Pools) -> BTreeMap<ModelKey, Sleeper> {
    let mut models: BTreeMap<ModelKey, Option<Sleeper>> = BTreeMap::new();
    for key in census.ready() {
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

/// The variants, of those that can be decided, that several pools select.
pub fn ambiguities(index: &Index, census: &Census, pools: &Pools) -> BTreeSet<Ambiguity> {
    let of = |key: &ObjectKey| {
        let found = pool_of(index, pools, key).filter(|found| !found.others.is_empty())?;
        Some(Ambiguity { variant: key.clone(), pool: found.pool, others: found.others })
    };
    census.ready().filter_map(of).collect()
}
