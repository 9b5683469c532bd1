//! To zero and back: what tells an idle model from one that is only silent, and who wakes one that sleeps.
//!
//! [`demand`] completes a snapshot with what is asked of each model, at its servers and at its gateway. The decision
//! itself is the engine's, both ways. Requests for a model without servers wait at the gateway only, so [`listen`]
//! asks endpoint pickers often while a model sleeps, and calls the cycle as soon as something waits. The cycle then
//! decides for the sleeping models alone ([`asleep`]), which takes no metrics, publishes the woken number, and hands the
//! target to [`wake`], which scales it.

pub mod asleep;
pub mod demand;
pub mod listen;
pub mod wake;

use std::collections::BTreeSet;

use jiff::Timestamp;
use wva_engine::ModelKey;
use wva_engine::snapshot::{Gateway, Reading};

use crate::index::target::Target;
use crate::index::{Index, ObjectKey};
use crate::pools::{Match, PoolKey, Pools, Readings};

/// The pool in front of a variant's pods.
pub(crate) fn pool_of(index: &Index, pools: &Pools, variant: &ObjectKey) -> Option<Match> {
    let found = index.variants.get(variant)?;
    let Target::Found(workload) = index.target(&variant.namespace, &found.target) else { return None };
    pools.of_pods(&variant.namespace, workload.pod_labels)
}

/// What waits at the pools in front of a model's variants.
///
/// A pool that could not be read completely may hold more than it said, so it counts only if that is something:
/// requests that are known to wait are enough to wake a model, and not knowing of any is not enough to put it to sleep.
pub(crate) fn gateway(
    model: &ModelKey,
    fronts: &BTreeSet<PoolKey>,
    pools: &Pools,
    readings: &Readings,
    now: Timestamp,
) -> Gateway {
    let waiting = |pool| readings.waiting(pool, &model.model_id, now);
    let all: Option<Vec<Reading>> = fronts.iter().map(waiting).collect();
    match all {
        Some(all) if !all.is_empty() => Gateway::Queued(Reading {
            value: all.iter().map(|reading| reading.value).sum(),
            age: all.iter().map(|reading| reading.age).max().unwrap_or_default(),
        }),
        Some(_) if pools.are_known(&model.namespace) => Gateway::None,
        Some(_) => Gateway::Unknown,
        None => {
            let known = fronts.iter().filter_map(|pool| readings.known_waiting(pool, &model.model_id, now));
            known.max_by(|a, b| a.value.total_cmp(&b.value)).map_or(Gateway::Unknown, Gateway::Queued)
        }
    }
}

#[cfg(test)]
mod tests;
