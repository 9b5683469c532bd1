//! The gateway's side: which requests wait for models that have no server, or whose servers are full.
//!
//! Requests for a model without servers wait at the gateway only, in the queue of the endpoint picker of the pool in front of
//! its pods. [`scrape`] asks a picker, [`queue`] reads its answer, and [`readings`] keeps what was read last, with its age.

pub mod queue;
pub mod readings;
pub mod scrape;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use wva_engine::ModelKey;
use wva_engine::snapshot::{Gateway as Front, Reading};

use self::readings::Readings;
use crate::cluster::index::target::Target;
use crate::cluster::index::{Index, ObjectKey};
use crate::cluster::pools::{Match, PoolKey, Pools};
use crate::lock::lock;

/// Everything about gateways that several tasks look at.
#[derive(Debug, Default)]
pub struct Gateway {
    pools: Mutex<Pools>,
    readings: Mutex<Readings>,
    wanted: Mutex<(BTreeSet<PoolKey>, Duration)>,
    /// A pool came, changed or went.
    pub changed: Notify,
    /// A request waits for a model that sleeps.
    pub waiting: Notify,
}

impl Gateway {
    /// The pools. Held for the length of a computation, never across an await.
    pub fn pools(&self) -> MutexGuard<'_, Pools> {
        lock(&self.pools)
    }

    /// Pools whose queues decisions need although nobody behind them sleeps, and how often. Held as [`Self::pools`] is.
    pub fn wanted(&self) -> MutexGuard<'_, (BTreeSet<PoolKey>, Duration)> {
        lock(&self.wanted)
    }

    /// The last readings of their pickers. Held as [`Self::pools`] is.
    pub fn readings(&self) -> MutexGuard<'_, Readings> {
        lock(&self.readings)
    }
}

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
) -> Front {
    let waiting = |pool| readings.waiting(pool, &model.model_id, now);
    let all: Option<Vec<Reading>> = fronts.iter().map(waiting).collect();
    match all {
        Some(all) if !all.is_empty() => Front::Queued(Reading {
            value: all.iter().map(|reading| reading.value).sum(),
            age: all.iter().map(|reading| reading.age).max().unwrap_or_default(),
        }),
        Some(_) if pools.are_known(&model.namespace) => Front::None,
        Some(_) => Front::Unknown,
        None => {
            let known = fronts.iter().filter_map(|pool| readings.known_waiting(pool, &model.model_id, now));
            known.max_by(|a, b| a.value.total_cmp(&b.value)).map_or(Front::Unknown, Front::Queued)
        }
    }
}

#[cfg(test)]
mod tests;
