//! What a `StatefulSet` needs next, and what it reports: decided from the set and its pods alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus},
    core::v1::Pod,
};
use kube::ResourceExt;

use crate::controllers::{deployment::revision, pods, revisions::REVISION_LABEL};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Make the pod of this number.
    Create(i32),
    /// Remove this pod.
    Delete(Arc<Pod>),
}

/// What to do now.
#[derive(Debug)]
pub(super) struct Plan {
    /// One step, or all at once where the set allows it.
    pub(super) steps: Vec<Step>,
    /// The revision of the template of now.
    pub(super) revision: String,
    pub(super) status: StatefulSetStatus,
    /// When a pod that is ready becomes old enough to count as available.
    pub(super) again: Option<Duration>,
}

impl Plan {
    pub(super) fn of(set: &StatefulSet, members: &[Arc<Pod>], now: Timestamp) -> Self {
        let spec = set.spec.clone().unwrap_or_default();
        let revision = format!("{}-{}", set.name_any(), revision::template_hash(&spec.template, 0));
        let numbered: BTreeMap<i32, &Arc<Pod>> =
            members.iter().filter_map(|pod| Some((ordinal(set, pod)?, pod))).collect();
        let (status, again) = status(set, &spec, &numbered, &revision, now);
        let mut steps = steps(&spec, &numbered, &revision);
        if spec.pod_management_policy.as_deref() != Some("Parallel") {
            steps.truncate(1);
        }
        // A `None` stands for "wait here".
        let steps = steps.into_iter().flatten().collect();
        Self { steps, revision, status, again }
    }
}

/// The number in the name of a pod: 3 of `web-3`.
fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    pod.name_any().strip_prefix(&set.name_any())?.strip_prefix('-')?.parse().ok()
}

/// Everything the set asks for, in order. `None` is a pod that has to get ready, or to go, before what follows.
fn steps(spec: &StatefulSetSpec, pods: &BTreeMap<i32, &Arc<Pod>>, revision: &str) -> Vec<Option<Step>> {
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default();
    let end = start.saturating_add(spec.replicas.unwrap_or(1));
    let mut steps = Vec::new();
    for ordinal in start..end {
        match pods.get(&ordinal) {
            None => steps.push(Some(Step::Create(ordinal))),
            Some(pod) if pod.metadata.deletion_timestamp.is_some() => steps.push(None),
            Some(pod) if pods::is_finished(pod) => steps.push(Some(Step::Delete(Arc::clone(pod)))),
            Some(pod) if !pods::is_ready(pod) => steps.push(None),
            Some(_) => {}
        }
    }
    let delete = |pod: &Arc<Pod>| {
        let going = pod.metadata.deletion_timestamp.is_some();
        if going { None } else { Some(Step::Delete(Arc::clone(pod))) }
    };
    let condemned = pods.iter().rev().filter(|(ordinal, _)| !(start..end).contains(ordinal));
    steps.extend(condemned.map(|(_, pod)| delete(pod)));
    // A rollout waits until the set has its size, and goes from the last pod to the first, one at a time.
    if steps.is_empty() && spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) != Some("OnDelete") {
        let rolling = spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or_default();
        let outdated = pods.iter().rev().filter(|(ordinal, _)| **ordinal >= partition);
        let next = outdated.map(|(_, pod)| pod).find(|pod| !is_of(pod, revision));
        steps.extend(next.map(|pod| delete(pod)));
    }
    steps
}

fn is_of(pod: &Pod, revision: &str) -> bool {
    pod.labels().get(REVISION_LABEL).is_some_and(|label| label == revision)
}

fn status(
    set: &StatefulSet,
    spec: &StatefulSetSpec,
    pods: &BTreeMap<i32, &Arc<Pod>>,
    revision: &str,
    now: Timestamp,
) -> (StatefulSetStatus, Option<Duration>) {
    let min_ready = Duration::from_secs(u64::try_from(spec.min_ready_seconds.unwrap_or_default()).unwrap_or_default());
    let mut again: Option<Duration> = None;
    let mut available = 0;
    for pod in pods.values() {
        match pods::is_available(pod, min_ready, now) {
            Ok(is_available) => available += i32::from(is_available),
            Err(remaining) => again = Some(again.map_or(remaining, |known| known.min(remaining))),
        }
    }
    let count = |wanted: &dyn Fn(&Pod) -> bool| {
        i32::try_from(pods.values().filter(|pod| wanted(pod)).count()).unwrap_or(i32::MAX)
    };
    let replicas = count(&|_| true);
    let ready = count(&|pod| pods::is_ready(pod));
    let updated = count(&|pod| is_of(pod, revision));
    let before = set.status.as_ref().and_then(|status| status.current_revision.clone());
    let complete = updated == replicas && ready == replicas && replicas == spec.replicas.unwrap_or(1);
    let current = before.filter(|_| !complete).unwrap_or_else(|| revision.to_owned());
    let status = StatefulSetStatus {
        replicas,
        ready_replicas: Some(ready),
        available_replicas: Some(available),
        current_replicas: Some(count(&|pod| is_of(pod, &current))),
        updated_replicas: Some(updated),
        current_revision: Some(current),
        update_revision: Some(revision.to_owned()),
        observed_generation: set.metadata.generation,
        collision_count: Some(0),
        conditions: None,
    };
    (status, again)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn set(extra: Value) -> StatefulSet {
        let mut spec = json!({
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        });
        if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
            spec.extend(extra);
        }
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    /// `0` is ready, `0-` is not, `0x` is on its way out, `0o` is of an old template.
    fn pod(text: &str, revision: &str) -> Arc<Pod> {
        let number: String = text.chars().take_while(char::is_ascii_digit).collect();
        let has = |mark: char| text.ends_with(mark);
        let revision = if has('o') { "old" } else { revision };
        let mut meta = json!({"name": format!("web-{number}"), "labels": {REVISION_LABEL: revision}});
        if has('x') {
            meta["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let ready = if has('-') { "False" } else { "True" };
        let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]});
        Arc::new(serde_json::from_value(json!({"metadata": meta, "status": status})).unwrap())
    }

    fn plan(set: &StatefulSet, pods: &str) -> Plan {
        let revision = Plan::of(set, &[], Timestamp::UNIX_EPOCH).revision;
        let pods: Vec<Arc<Pod>> = pods.split_whitespace().map(|text| pod(text, &revision)).collect();
        Plan::of(set, &pods, Timestamp::UNIX_EPOCH)
    }

    fn words(plan: &Plan) -> String {
        let step = |step: &Step| match step {
            Step::Create(ordinal) => format!("+{ordinal}"),
            Step::Delete(pod) => format!("-{}", pod.name_any().trim_start_matches("web-")),
        };
        plan.steps.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::first("", "+0")]
    #[case::waits_for_the_first("0-", "")]
    #[case::next("0 1", "+2")]
    #[case::gap("0 2", "+1")]
    #[case::complete("0 1 2", "")]
    #[case::too_many("0 1 2 3 4", "-4")]
    #[case::one_at_a_time("0 1 2 3 4x", "")]
    #[case::shrinks_when_the_rest_is_ready("0 1- 2 3", "")]
    #[case::rollout_from_the_end("0o 1o 2o", "-2")]
    #[case::rollout_goes_on("0o 1o 2", "-1")]
    #[case::rollout_waits("0o 1o 2-", "")]
    fn pods_are_made_and_removed_in_order(#[case] pods: &str, #[case] expected: &str) {
        assert_eq!(words(&plan(&set(json!({})), pods)), expected);
    }

    #[rstest]
    #[case(json!({"podManagementPolicy": "Parallel"}), "1-", "+0 +2")]
    #[case(json!({"podManagementPolicy": "Parallel", "replicas": 1}), "0- 1 2", "-2 -1")]
    #[case(json!({"ordinals": {"start": 5}}), "5", "+6")]
    #[case(json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}), "0o 1o 2", "")]
    #[case(json!({"updateStrategy": {"type": "OnDelete"}}), "0o 1o 2o", "")]
    fn a_set_says_how(#[case] spec: Value, #[case] pods: &str, #[case] expected: &str) {
        assert_eq!(words(&plan(&set(spec), pods)), expected);
    }

    #[test]
    fn the_status_counts_and_names_revisions() {
        let mut set = set(json!({}));
        let Plan { status, revision, .. } = plan(&set, "0 1 2");
        assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (3, Some(3), Some(3)));
        assert_eq!((&status.current_revision, &status.update_revision), (&Some(revision.clone()), &Some(revision)));
        set.status =
            Some(StatefulSetStatus { current_revision: Some("old".to_owned()), ..StatefulSetStatus::default() });
        let status = plan(&set, "0o 1o 2-").status;
        assert_eq!((status.current_replicas, status.updated_replicas), (Some(2), Some(1)));
        assert_eq!(status.current_revision.as_deref(), Some("old"));
    }
}
