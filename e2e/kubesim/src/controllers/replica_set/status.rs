//! What a `ReplicaSet` reports about its pods.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

use crate::controllers::pods;

/// The status now, and when a pod that is ready becomes old enough to count as available. `terminating` pods are on
/// their way out.
pub(super) fn compute(
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: usize,
    failure: Option<&str>,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.clone().unwrap_or_default();
    let min_ready = Duration::from_secs(u64::try_from(spec.min_ready_seconds.unwrap_or_default()).unwrap_or_default());
    let template_labels = spec.template.and_then(|template| template.metadata).and_then(|meta| meta.labels);
    let labelled =
        |pod: &&&Pod| template_labels.iter().flatten().all(|(key, value)| pod.labels().get(key) == Some(value));
    let mut available = 0;
    let mut next_available: Option<Duration> = None;
    for pod in active {
        match pods::is_available(pod, min_ready, now) {
            Ok(is_available) => available += i32::from(is_available),
            Err(remaining) => next_available = Some(next_available.map_or(remaining, |known| known.min(remaining))),
        }
    }
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let status = ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: Some(count(active.iter().filter(labelled).count())),
        ready_replicas: Some(count(active.iter().filter(|pod| pods::is_ready(pod)).count())),
        available_replicas: Some(available),
        observed_generation: set.metadata.generation,
        conditions: failure.map(|message| vec![replica_failure(set, message, now)]),
        terminating_replicas: Some(count(terminating)),
    };
    (status, next_available)
}

fn replica_failure(set: &ReplicaSet, message: &str, now: Timestamp) -> ReplicaSetCondition {
    const KIND: &str = "ReplicaFailure";
    let known =
        set.status.iter().flat_map(|status| status.conditions.iter().flatten()).find(|known| known.type_ == KIND);
    ReplicaSetCondition {
        type_: KIND.to_owned(),
        status: "True".to_owned(),
        reason: Some("FailedCreate".to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: known.and_then(|known| known.last_transition_time.clone()).or(Some(Time(now))),
    }
}
