//! Which pods go first when a `ReplicaSet` shrinks.

use std::{cmp::Ordering, collections::HashMap};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::controllers::pods;

/// Annotation by which a pod says how dear its deletion is; the default is 0 and lower goes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pods to delete, `count` of them, the least useful first: not scheduled, not running, not ready, cheap to
/// delete, crowded on their node, ready for the shortest time, restarted most often, youngest.
pub(super) fn choose<'a>(pods: &[&'a Pod], count: usize) -> Vec<&'a Pod> {
    let mut per_node: HashMap<&str, usize> = HashMap::new();
    for pod in pods {
        *per_node.entry(pods::node(pod).unwrap_or_default()).or_default() += 1;
    }
    let crowd = |pod: &Pod| per_node.get(pods::node(pod).unwrap_or_default()).copied().unwrap_or_default();
    let mut ranked = pods.to_vec();
    ranked.sort_by(|a, b| {
        let scheduled = pods::node(a).is_some().cmp(&pods::node(b).is_some());
        let usefulness = scheduled
            .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
            .then_with(|| pods::is_ready(a).cmp(&pods::is_ready(b)))
            .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
            .then_with(|| crowd(b).cmp(&crowd(a)));
        usefulness
            .then_with(|| later_first(pods::ready_since(a), pods::ready_since(b)))
            .then_with(|| pods::restarts(b).cmp(&pods::restarts(a)))
            .then_with(|| later_first(pods::created(a), pods::created(b)))
            .then_with(|| a.name_any().cmp(&b.name_any()))
    });
    ranked.truncate(count);
    ranked
}

fn phase_rank(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    pod.annotations().get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

fn later_first(a: Option<Timestamp>, b: Option<Timestamp>) -> Ordering {
    b.cmp(&a)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, patch: &serde_json::Value) -> Pod {
        let mut value = json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T10:00:00Z"},
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T10:00:05Z"},
            ]},
        });
        merge(&mut value, patch);
        serde_json::from_value(value).unwrap()
    }

    fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
        match (target.as_object_mut(), patch.as_object()) {
            (Some(target), Some(patch)) => {
                for (key, value) in patch {
                    merge(target.entry(key.clone()).or_insert(serde_json::Value::Null), value);
                }
            }
            _ => *target = patch.clone(),
        }
    }

    #[rstest]
    #[case::unscheduled_goes_before_scheduled(json!({"spec": {"nodeName": null}}))]
    #[case::pending_goes_before_running(json!({"status": {"phase": "Pending"}}))]
    #[case::unready_goes_before_ready(json!({"status": {"conditions": []}}))]
    #[case::cheap_goes_before_dear(json!({"metadata": {"annotations": {DELETION_COST: "-10"}}}))]
    #[case::just_ready_goes_before_long_ready(json!({"status": {"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"}]}}))]
    #[case::restarted_goes_before_steady(json!({"status": {"containerStatuses": [
        {"name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 3}]}}))]
    #[case::young_goes_before_old(json!({"metadata": {"creationTimestamp": "2026-01-01T10:00:01Z"}}))]
    fn the_less_useful_pod_goes_first(#[case] difference: serde_json::Value) {
        let (steady, victim) = (pod("a-steady", &json!({})), pod("victim", &difference));
        let chosen = choose(&[&steady, &victim], 1);
        assert_eq!(chosen[0].name_any(), "victim");
    }

    #[test]
    fn the_crowded_node_loses_a_pod_first() {
        let pods = [pod("a", &json!({"spec": {"nodeName": "n2"}})), pod("b", &json!({})), pod("c", &json!({}))];
        let chosen = choose(&pods.iter().collect::<Vec<_>>(), 1);
        assert_eq!(chosen[0].name_any(), "b");
    }
}
