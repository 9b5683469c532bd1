//! Pools in front of models, and the pickers that hold requests for them back.
//!
//! An [`InferencePool`](pool) of the Gateway API names the servers of a model by their pods' labels, and the endpoint
//! picker (EPP) that chooses among them. A picker with flow control keeps requests it has no server for in a queue,
//! and tells its length on its metrics port. [`watch`] keeps pools and the addresses of their pickers in memory, for
//! as long as the cluster serves the API at all.

pub mod pool;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::index::ObjectKey;

pub use self::pool::{Group, Pickers, Pool, PoolKey};

/// What is known of pools and their pickers.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    /// The pools.
    pub pools: BTreeMap<PoolKey, Pool>,
    /// Addresses behind the pickers' Services, by `EndpointSlice`.
    pub slices: BTreeMap<ObjectKey, Pickers>,
    /// Whether the pools of each API group are known; a group that is missing has not been asked for yet.
    pub groups: BTreeMap<Group, Served>,
}

/// Whether the cluster serves an API group, and whether its pools are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// It does not, so there are no pools.
    No,
    /// It does; the pools of these namespaces (`None`: of all) have not been listed yet.
    Yes(BTreeSet<Option<String>>),
}

/// The pool that serves a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The pool.
    pub pool: PoolKey,
    /// Pools that select the workload too, and are not used.
    pub others: Vec<PoolKey>,
}

/// Why a picker cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPicker {
    /// Its Service has no endpoints, or does not exist.
    #[error("Service {0} of the endpoint picker has no EndpointSlice; does the Service exist and select the picker?")]
    NoService(ObjectKey),
    /// Its Service has no metrics port.
    #[error(
        "Service {0} of the endpoint picker has no port whose name contains \"metric\"; name its metrics port http-metrics"
    )]
    NoMetricsPort(ObjectKey),
    /// None of its pods is ready.
    #[error("no pod behind Service {0} of the endpoint picker is ready")]
    NotReady(ObjectKey),
}

impl Pools {
    /// Whether all pools of a namespace are known: one that is not could hold requests back all the same.
    pub fn are_known(&self, namespace: &str) -> bool {
        Group::ALL.iter().all(|group| match self.groups.get(group) {
            None => false,
            Some(Served::No) => true,
            Some(Served::Yes(missing)) => {
                !missing.iter().any(|place| place.as_deref().is_none_or(|place| place == namespace))
            }
        })
    }

    /// The pool of a workload whose pods carry `labels`. Among several, the one with the most specific selector, then
    /// one of the stable API group, then the first by name.
    pub fn of_pods(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Option<Match> {
        let mut matching: Vec<(&PoolKey, &Pool)> =
            self.pools.iter().filter(|(key, pool)| key.namespace == namespace && pool.selects(labels)).collect();
        matching.sort_by_key(|(key, pool)| (std::cmp::Reverse(pool.selector.len()), (*key).clone()));
        let mut keys = matching.into_iter().map(|(key, _)| key.clone());
        Some(Match { pool: keys.next()?, others: keys.collect() })
    }

    /// The metrics pages of a pool's picker, one for each of its ready pods.
    ///
    /// # Errors
    /// When there is none.
    pub fn pages(&self, key: &PoolKey) -> Result<Vec<String>, NoPicker> {
        let name = self.pools.get(key).map_or("", |pool| &pool.picker);
        let service = ObjectKey::new(&*key.namespace, name);
        let slices = || {
            let of_service = |(slice, pickers): &(&ObjectKey, &Pickers)| {
                slice.namespace == service.namespace && pickers.service == service.name
            };
            self.slices.iter().filter(of_service).map(|(_, pickers)| pickers)
        };
        if slices().next().is_none() {
            return Err(NoPicker::NoService(service));
        }
        if slices().all(|pickers| pickers.port.is_none()) {
            return Err(NoPicker::NoMetricsPort(service));
        }
        // A Service of two address families has a slice for each, with the same pods: each counts once.
        let is_v4 = slices().flat_map(|pickers| &pickers.ready).any(IpAddr::is_ipv4);
        let mut pages: Vec<String> = slices().flat_map(|pickers| pickers.pages(is_v4)).collect();
        pages.sort();
        pages.dedup();
        if pages.is_empty() { Err(NoPicker::NotReady(service)) } else { Ok(pages) }
    }
}

#[cfg(test)]
mod tests;
