//! What a Deployment reports: counts, and the conditions `kubectl rollout status` and `kubectl wait` look at.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt;

use super::rollout::Margin;

/// Everything the status follows from.
pub(super) struct Facts<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) new: Option<&'a ReplicaSet>,
    /// All sets, the new one included.
    pub(super) sets: &'a [Arc<ReplicaSet>],
    pub(super) now: Timestamp,
}

/// The status, and when the progress deadline has to be looked at again.
pub(super) fn compute(facts: &Facts<'_>) -> (DeploymentStatus, Option<Duration>) {
    let Facts { deployment, new, sets, now } = facts;
    let old_status = deployment.status.clone().unwrap_or_default();
    let total = |count: fn(&ReplicaSet) -> i32| sets.iter().map(|set| count(set)).sum::<i32>();
    let replicas = total(|set| set.status.as_ref().map_or(0, |status| status.replicas));
    let available = total(available_replicas);
    let wanted = total(|set| set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default());
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(replicas),
        updated_replicas: Some(new.and_then(|set| set.status.as_ref()).map_or(0, |status| status.replicas)),
        ready_replicas: Some(total(|set| {
            set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
        })),
        available_replicas: Some(available),
        unavailable_replicas: Some((wanted - available).max(0)),
        collision_count: old_status.collision_count,
        conditions: None,
        terminating_replicas: Some(total(|set| {
            set.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or_default()
        })),
    };
    let mut conditions = old_status.conditions.clone().unwrap_or_default();
    let paused = deployment.spec.as_ref().is_some_and(|spec| spec.paused == Some(true));
    if paused {
        // That it rests is said before it is looked at.
        progress(facts, &status, &old_status, &mut conditions);
    }
    set_condition(&mut conditions, available_condition(deployment, available), *now);
    let again = progress(facts, &status, &old_status, &mut conditions);
    replica_failure(sets, &mut conditions, *now);
    status.conditions = Some(conditions);
    (status, again)
}

pub(super) fn available_replicas(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

fn desired(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// The rollout is over: everything runs the new template and serves, nothing old is left.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = desired(deployment);
    let counts = [status.updated_replicas, status.replicas, status.available_replicas];
    counts.iter().all(|count| count.unwrap_or_default() == desired)
        && status.observed_generation >= deployment.metadata.generation
}

fn condition(kind: &str, status: bool, reason: &str, message: impl Into<String>) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.into()),
        ..DeploymentCondition::default()
    }
}

fn available_condition(deployment: &Deployment, available: i32) -> DeploymentCondition {
    let unavailable = deployment.spec.as_ref().map_or(0, |spec| match strategy(deployment) {
        Strategy::Recreate => 0,
        Strategy::RollingUpdate => Margin::of(spec).unavailable,
    });
    if available >= desired(deployment) - unavailable {
        condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        condition("Available", false, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Recreate,
    RollingUpdate,
}

pub(super) fn strategy(deployment: &Deployment) -> Strategy {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    match strategy.and_then(|strategy| strategy.type_.as_deref()) {
        Some("Recreate") => Strategy::Recreate,
        _ => Strategy::RollingUpdate,
    }
}

/// Maintains the Progressing condition. Its `lastUpdateTime` is when the rollout last moved: from there the progress
/// deadline counts.
fn progress(
    facts: &Facts<'_>,
    status: &DeploymentStatus,
    old_status: &DeploymentStatus,
    conditions: &mut Vec<DeploymentCondition>,
) -> Option<Duration> {
    const KIND: &str = "Progressing";
    let Facts { deployment, new, now, sets: _ } = facts;
    let spec = deployment.spec.as_ref()?;
    let known = conditions.iter().find(|condition| condition.type_ == KIND).cloned();
    let known_reason = known.as_ref().and_then(|condition| condition.reason.as_deref());
    let subject = match new {
        Some(set) => format!("ReplicaSet \"{}\"", set.name_any()),
        None => format!("Deployment \"{}\"", deployment.name_any()),
    };
    if spec.paused == Some(true) {
        if known_reason != Some("DeploymentPaused") {
            let paused = DeploymentCondition {
                status: "Unknown".to_owned(),
                ..condition(KIND, true, "DeploymentPaused", "Deployment is paused")
            };
            set_condition(conditions, paused, *now);
        }
        return None;
    }
    if known_reason == Some("DeploymentPaused") {
        let resumed = DeploymentCondition {
            status: "Unknown".to_owned(),
            ..condition(KIND, true, "DeploymentResumed", "Deployment is resumed")
        };
        set_condition(conditions, resumed, *now);
    }
    let deadline = Duration::from_secs(u64::try_from(spec.progress_deadline_seconds.unwrap_or(600)).unwrap_or(600));
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        set_condition(conditions, condition(KIND, true, "NewReplicaSetAvailable", message), *now);
        return None;
    }
    let old_unfinished =
        |status: &DeploymentStatus| status.replicas.unwrap_or_default() - status.updated_replicas.unwrap_or_default();
    let moved = status.updated_replicas > old_status.updated_replicas
        || old_unfinished(status) < old_unfinished(old_status)
        || status.ready_replicas > old_status.ready_replicas
        || status.available_replicas > old_status.available_replicas;
    let template_changed = known_reason == Some("NewReplicaSetAvailable")
        && status.updated_replicas.unwrap_or_default() < old_status.updated_replicas.unwrap_or_default();
    if known.is_none() {
        let message = format!("{subject} has been created.");
        set_condition(conditions, condition(KIND, true, "NewReplicaSetCreated", message), *now);
        return Some(deadline);
    }
    if moved || template_changed {
        let message = format!("{subject} is progressing.");
        let mut updated = condition(KIND, true, "ReplicaSetUpdated", message);
        updated.last_update_time = Some(Time(*now));
        set_condition(conditions, updated, *now);
        return Some(deadline);
    }
    // A finished rollout that lost pods is not a new rollout: its condition stays.
    if matches!(known_reason, Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded")) {
        return None;
    }
    let since = known.and_then(|condition| condition.last_update_time).map_or(*now, |time| time.0);
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    if waited >= deadline {
        let message = format!("{subject} has timed out progressing.");
        set_condition(conditions, condition(KIND, false, "ProgressDeadlineExceeded", message), *now);
        return None;
    }
    Some(deadline.saturating_sub(waited))
}

fn replica_failure(sets: &[Arc<ReplicaSet>], conditions: &mut Vec<DeploymentCondition>, now: Timestamp) {
    const KIND: &str = "ReplicaFailure";
    let failures = sets.iter().filter_map(|set| set.status.as_ref()?.conditions.as_ref());
    match failures.flatten().find(|failure| failure.type_ == KIND) {
        Some(failure) => {
            let reason = failure.reason.as_deref().unwrap_or("FailedCreate");
            let message = failure.message.clone().unwrap_or_default();
            set_condition(conditions, condition(KIND, true, reason, message), now);
        }
        None => conditions.retain(|condition| condition.type_ != KIND),
    }
}

/// Replaces the condition of the same type. The transition time moves only with the status, the update time with
/// status or reason.
pub(super) fn set_condition(conditions: &mut Vec<DeploymentCondition>, mut new: DeploymentCondition, now: Timestamp) {
    let position = conditions.iter().position(|known| known.type_ == new.type_);
    let known = position.map(|position| conditions.remove(position));
    let same_status = known.as_ref().filter(|known| known.status == new.status);
    new.last_transition_time = same_status.and_then(|known| known.last_transition_time.clone()).or(Some(Time(now)));
    if new.last_update_time.is_none() {
        let same = same_status.filter(|known| known.reason == new.reason);
        new.last_update_time = same.and_then(|known| known.last_update_time.clone()).or(Some(Time(now)));
    }
    conditions.insert(position.unwrap_or(conditions.len()), new);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i32, status: &serde_json::Value) -> Deployment {
        let value = json!({
            "metadata": {"name": "web", "generation": 2},
            "spec": {"replicas": replicas, "selector": {}, "template": {}, "progressDeadlineSeconds": 60},
            "status": status,
        });
        serde_json::from_value(value).unwrap()
    }

    fn set(name: &str, replicas: i32, available: i32) -> Arc<ReplicaSet> {
        let value = json!({
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {}},
            "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn reason(status: &DeploymentStatus, kind: &str) -> (String, String) {
        let conditions = status.conditions.as_ref().unwrap();
        let condition = conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        (condition.status.clone(), condition.reason.clone().unwrap())
    }

    fn status_of(deployment: &Deployment, sets: &[Arc<ReplicaSet>], now: Timestamp) -> DeploymentStatus {
        compute(&Facts { deployment, new: sets.first().map(AsRef::as_ref), sets, now }).0
    }

    #[test]
    fn a_rollout_goes_from_created_over_updated_to_available() {
        let mut web = deployment(2, &json!({}));
        let started = status_of(&web, &[set("web-1", 2, 0)], at(0));
        assert_eq!(reason(&started, "Progressing"), ("True".into(), "NewReplicaSetCreated".into()));
        assert_eq!(reason(&started, "Available"), ("False".into(), "MinimumReplicasUnavailable".into()));
        web.status = Some(started);
        let half = status_of(&web, &[set("web-1", 2, 1)], at(5));
        assert_eq!(reason(&half, "Progressing"), ("True".into(), "ReplicaSetUpdated".into()));
        web.status = Some(half);
        let done = status_of(&web, &[set("web-1", 2, 2)], at(9));
        assert_eq!(reason(&done, "Progressing"), ("True".into(), "NewReplicaSetAvailable".into()));
        assert_eq!(reason(&done, "Available"), ("True".into(), "MinimumReplicasAvailable".into()));
        assert_eq!(done.observed_generation, Some(2));
    }

    #[test]
    fn a_rollout_without_progress_exceeds_its_deadline() {
        let mut web = deployment(2, &json!({}));
        web.status = Some(status_of(&web, &[set("web-1", 2, 0)], at(0)));
        let sets = [set("web-1", 2, 0)];
        let (waiting, again) = compute(&Facts { deployment: &web, new: Some(&sets[0]), sets: &sets, now: at(40) });
        assert_eq!(again, Some(Duration::from_secs(20)));
        web.status = Some(waiting);
        let late = status_of(&web, &sets, at(60));
        assert_eq!(reason(&late, "Progressing"), ("False".into(), "ProgressDeadlineExceeded".into()));
    }

    #[test]
    fn a_finished_rollout_that_loses_a_pod_stays_finished() {
        let mut web = deployment(2, &json!({}));
        web.status = Some(status_of(&web, &[set("web-1", 2, 2)], at(0)));
        let lost = status_of(&web, &[set("web-1", 2, 1)], at(500));
        assert_eq!(reason(&lost, "Progressing"), ("True".into(), "NewReplicaSetAvailable".into()));
        assert_eq!(reason(&lost, "Available").0, "False");
        assert_eq!(lost.unavailable_replicas, Some(1));
    }
}
