//! Completing a snapshot: what is asked of each model as a whole. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wva_engine::settings::ZeroPolicies;
use wva_engine::snapshot::{Demand, Model, Pace, Readiness, Reading, Variant};
use wva_engine::{ModelKey, Settings, Snapshot};

use super::gateway::readings::Readings as Queues;
use super::gateway::{gateway, pool_of};
use super::members::Members;
use super::prometheus::completed::retentions;
use super::prometheus::{Arrivals, Readings};
use crate::cluster::index::{Index, ObjectKey};
use crate::cluster::pools::{PoolKey, Pools};

/// What a gateway is known by at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Variants and their targets.
    pub index: &'a Index,
    /// Pools.
    pub pools: &'a Pools,
    /// What their pickers said.
    pub queues: &'a Queues,
    /// The moment.
    pub now: Timestamp,
}

/// Fills in what is asked of every model, at its pods. `readings` is `None` when the metric source did not answer.
pub fn fill(
    snapshot: &mut Snapshot,
    view: View<'_>,
    readings: Option<&Readings>,
    members: &Members,
    policies: &ZeroPolicies,
) {
    let View { index, pools, queues, now } = view;
    for model in &mut snapshot.models {
        let Model { key, source: _, demand, variants } = model;
        let variant = |variant: &Variant| ObjectKey::new(&*key.namespace, &*variant.name);
        let fronts: BTreeSet<_> =
            variants.iter().filter_map(|it| Some(pool_of(index, pools, &variant(it))?.pool)).collect();
        demand.gateway = gateway(key, &fronts, pools, queues, now);
        let Some(readings) = readings else { continue };
        if let Some(arrivals) = readings.arrivals() {
            demand.arrival_rate = arrivals.over(members.of(key, variants, now), &key.model_id).map(fresh);
            fill_rates(key, variants, arrivals, members, now);
        }
        let policy = policies.of(key);
        if policy.enabled {
            let Demand { completed, running, waiting, gateway: _, arrival_rate: _ } = demand;
            *running = over_pods(key, variants, |pod| readings.running(pod, &key.model_id));
            *waiting = over_pods(key, variants, |pod| readings.waiting(pod, &key.model_id));
            // The counters come with the same scrapes.
            *completed = readings
                .completed(members.of(key, variants, now), &key.model_id, policy.retention)
                .map(|value| Reading { value, age: running.map_or(SignedDuration::ZERO, |running| running.age) });
        }
    }
}

/// What arrives at each pod, and what it completes.
fn fill_rates(model: &ModelKey, variants: &mut [Variant], arrivals: &Arrivals, members: &Members, now: Timestamp) {
    let found: BTreeMap<String, Pace> = members
        .of(model, variants, now)
        .filter(|member| !member.gone)
        .map(|member| {
            let rate = arrivals.completions(member.pod, &model.model_id).map(fresh);
            let waiting = arrivals.waiting(member.pod, &model.model_id).map(fresh);
            let present = arrivals.present(member.pod, &model.model_id).map(fresh);
            let arrivals = arrivals.at(member, &model.model_id).map(fresh);
            (member.pod.name.clone(), Pace { rate, arrivals, waiting, present, ..Pace::default() })
        })
        .collect();
    for pod in variants.iter_mut().flat_map(|variant| &mut variant.pods) {
        if let (Some(sample), Some(of)) = (&mut pod.sample, found.get(&pod.name)) {
            let Pace { ttft_ms, itl_ms, .. } = sample.pace;
            sample.pace = Pace { ttft_ms, itl_ms, ..*of };
        }
    }
}

/// Rates look back by themselves; without recent scrapes there is none.
fn fresh(value: f64) -> Reading {
    Reading { value, age: SignedDuration::ZERO }
}

/// How long pods that are gone count: as long as any look-back reaches.
pub fn longest_look_back(policies: &ZeroPolicies, window: Duration) -> SignedDuration {
    let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
    retentions(policies).into_iter().fold(window, Ord::max)
}

/// Pools in front of models that may go to zero: their queues must be known for that. A forecast counts what waits in all, and so
/// does whoever is sized by what arrives.
pub fn wanted(snapshot: &Snapshot, view: View<'_>, settings: &Settings) -> BTreeSet<PoolKey> {
    let sized = |model: &Model| settings.proactive.is_some() || settings.sizes_by_load(&model.key);
    let matters = |model: &&Model| sized(model) || settings.zero.of(&model.key).enabled;
    let models = snapshot.models.iter().filter(matters);
    let variants = models
        .flat_map(|model| model.variants.iter().map(|variant| ObjectKey::new(&*model.key.namespace, &*variant.name)));
    variants.filter_map(|variant| Some(pool_of(view.index, view.pools, &variant)?.pool)).collect()
}

/// The sum over all pods of the model, as old as its oldest part; `None` unless every ready pod has its part. Pods that
/// are not ready count with what they say: an overloaded server can fail its probe while it computes.
fn over_pods(model: &ModelKey, variants: &[Variant], of: impl Fn(&ObjectKey) -> Option<Reading>) -> Option<Reading> {
    let mut sum: Option<Reading> = None;
    for pod in variants.iter().flat_map(|variant| &variant.pods) {
        match (of(&ObjectKey::new(&*model.namespace, &*pod.name)), pod.ready) {
            (Some(part), _) => {
                let Reading { value, age } = sum.unwrap_or(Reading { value: 0.0, age: SignedDuration::ZERO });
                sum = Some(Reading { value: value + part.value, age: age.max(part.age) });
            }
            (None, Readiness::Ready { .. }) => return None,
            (None, Readiness::NotReady { .. }) => {}
        }
    }
    sum
}
