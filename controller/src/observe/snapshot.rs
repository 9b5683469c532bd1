//! The first step of a cycle: from the index and the readings to a snapshot. Pure.
//!
//! [`Ownership`] says which variants are mine and can be decided; [`snapshot`] adds what is known of each of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use wva_engine::snapshot::{Model, Pause, PauseRequest, Pod, Source, Variant as Observed};
use wva_engine::{ModelKey, Snapshot};

use super::limits::{Limits, Of};
use super::pods::Pods;
use super::prometheus::{QueryError, Readings};
use crate::cluster::index::target::Target;
use crate::cluster::index::{Index, ObjectKey, Variant, workload};
use crate::ownership::variants::Ownership;

/// For how long a number counts that another process published, where the replicas are others: longer than autoscalers wait
/// before they follow. What is still not followed then, nobody follows, and whoever set the replicas meant them.
const STORED_COUNTS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Everything the decision needs to know of the variants that can be decided. `published` is what this process
/// published last for a variant; before it published anything, the stored status says what an earlier one did, unless that
/// is too long ago at `now` to count.
pub fn snapshot(
    index: &Index,
    ownership: &Ownership,
    readings: &Result<Readings, QueryError>,
    published: impl Fn(&ObjectKey) -> Option<u32>,
    now: Timestamp,
) -> Snapshot {
    let source = |model: &str| match readings {
        Ok(readings) => readings.unlabelled(model).map_or(Source::Answered, |labels| Source::Unlabelled { labels }),
        Err(error) => Source::Failed { message: error.to_string() },
    };
    let pods = Pods::of(index);
    let limits = Limits::of(index);
    let mut models: BTreeMap<ModelKey, Vec<Observed>> = BTreeMap::new();
    for key in ownership.ready() {
        let variant = &index.variants[key];
        let target = index.target(&key.namespace, &variant.target);
        let (Target::Found(workload), Some(model)) = (target, &variant.model) else { continue };
        let sample = |pod: &ObjectKey| readings.as_ref().ok().and_then(|readings| readings.of(pod, model));
        let pods = pods.find(&key.namespace, workload.pods).into_iter();
        let spec_replicas = workload.spec_replicas;
        let (bounds, autoscaler) = limits.find(Of { key, target: &variant.target, spec_replicas });
        let (stored, stored_since) = stored_target(variant).unzip();
        let stored_since = stored_since.flatten();
        let pause = pause(variant);
        // Who paused it meant what was published then, however long ago.
        let is_paused = pause.as_ref().is_some_and(|pause| pause.in_force(now).is_some());
        let is_recent = is_paused || stored_since.is_none_or(|since| now.duration_since(since) < STORED_COUNTS_FOR);
        let desired = published(key).or_else(|| stored.map(|it| if is_recent { it } else { spec_replicas }));
        let observed = Observed {
            name: key.name.clone(),
            accelerator: accelerator(variant, workload.accelerator),
            cost: variant.cost,
            spec_replicas,
            current: current(workload.spec_replicas, workload.status_replicas),
            desired,
            desired_since: stored_since.filter(|_| desired == stored),
            bounds,
            autoscaler,
            pause,
            gpus_per_replica: workload.gpus_per_replica,
            server: workload.server.cloned(),
            pods: pods
                .map(|(pod, found)| Pod {
                    name: pod.name.clone(),
                    ready: found.ready,
                    obstacle: found.obstacle.as_deref().cloned(),
                    sample: sample(pod),
                })
                .collect(),
        };
        let key = ModelKey { namespace: key.namespace.clone(), model_id: model.clone() };
        models.entry(key).or_default().push(observed);
    }
    let models = models.into_iter().map(|(key, mut variants)| {
        let source = source(&key.model_id);
        // Most models have one or two, and the first that is pushed makes room for four; the last snapshot is kept.
        variants.shrink_to_fit();
        Model { key, source, variants, ..Model::default() }
    });
    let momentary = readings.as_ref().is_ok_and(|readings| readings.momentary);
    Snapshot { models: models.collect(), momentary, ..Snapshot::default() }
}

/// Replicas the target reports, or asks for while it reports none (just created, or its controller is behind).
fn current(spec_replicas: u32, status_replicas: u32) -> u32 {
    if status_replicas == 0 { spec_replicas } else { status_replicas }
}

/// The variant's label, or else what its target asks for. A missing name never stops scaling.
fn accelerator(variant: &Variant, of_target: Option<&str>) -> String {
    variant.accelerator.as_deref().or(of_target).unwrap_or(workload::UNKNOWN_ACCELERATOR).to_owned()
}

/// What the variant's annotations say of a pause.
fn pause(variant: &Variant) -> Option<PauseRequest> {
    match wva_api::Pause::read(&variant.annotations) {
        Ok(pause) => pause.map(|wva_api::Pause { replicas, until, by, reason }| {
            PauseRequest::Asked(Pause { replicas, until, by, why: reason })
        }),
        Err(why) => Some(PauseRequest::Malformed(why)),
    }
}

/// What an earlier process published, as the stored status tells it, and when it changed last. A new leader goes on from
/// there, as the earlier one would have: replicas that are there besides are ones that nobody has taken away yet, and the load
/// that made them may be over.
fn stored_target(variant: &Variant) -> Option<(u32, Option<Timestamp>)> {
    let stored = variant.status.desired_optimized_alloc.as_ref()?;
    let since = stored.last_run_time.as_ref().map(|time| time.0);
    Some((u32::try_from(stored.num_replicas?).ok()?, since))
}

#[cfg(test)]
mod tests;
