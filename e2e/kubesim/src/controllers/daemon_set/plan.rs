//! What a `DaemonSet` needs next, and what it reports: decided from the set, the nodes and its pods alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, DaemonSetStatus, RollingUpdateDaemonSet},
        core::v1::{
            Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
            PodTemplateSpec, Toleration,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;

use crate::controllers::{
    deployment::revision,
    pods,
    revisions::REVISION_LABEL,
    scheduler::fit,
    share::{Rounding, resolve},
};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Make a pod for this node.
    Create(String),
    /// Remove this pod; with what is said about it beforehand.
    Delete(Arc<Pod>, Option<(&'static str, String)>),
}

/// What to do now.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Names the template of now.
    pub(super) hash: String,
    pub(super) status: DaemonSetStatus,
    /// When a pod that is ready becomes old enough to count as available.
    pub(super) again: Option<Duration>,
}

/// Taints that say what is wrong with a node: daemons stay, and come, all the same.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// The template for the pod of one node. The scheduler places it: by a node affinity that only this node has.
pub(super) fn template(set: &DaemonSet, node: &str, hash: &str) -> PodTemplateSpec {
    let mut template = set.spec.clone().unwrap_or_default().template;
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    let spec = template.spec.get_or_insert_default();
    let term = NodeSelectorTerm {
        match_fields: Some(vec![NodeSelectorRequirement {
            key: "metadata.name".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }]),
        match_expressions: None,
    };
    let affinity: &mut NodeAffinity =
        spec.affinity.get_or_insert_with(Affinity::default).node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
    spec.tolerations = Some(tolerations(spec.tolerations.as_deref().unwrap_or_default(), spec.host_network));
    template
}

fn tolerations(own: &[Toleration], host_network: Option<bool>) -> Vec<Toleration> {
    let network = ("node.kubernetes.io/network-unavailable", "NoSchedule");
    let all = TOLERATED.into_iter().chain((host_network == Some(true)).then_some(network));
    let added = all.map(|(key, effect)| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    });
    let mut tolerations = own.to_vec();
    for one in added {
        if !tolerations.contains(&one) {
            tolerations.push(one);
        }
    }
    tolerations
}

/// Whether a node gets a pod, and whether one that is there may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Belongs {
    run: bool,
    stay: bool,
}

impl Belongs {
    fn of(set: &DaemonSet, node: &Node) -> Self {
        let template = set.spec.clone().unwrap_or_default().template;
        let mut pod = Pod { spec: template.spec, ..Pod::default() };
        let spec = pod.spec.get_or_insert_default();
        spec.tolerations = Some(tolerations(spec.tolerations.as_deref().unwrap_or_default(), spec.host_network));
        let elsewhere = spec.node_name.as_deref().is_some_and(|wanted| !wanted.is_empty() && wanted != node.name_any());
        if elsewhere || !fit::matches_node(&pod, node) {
            return Self { run: false, stay: false };
        }
        let mut repelling = fit::repelling(&pod, node).peekable();
        let run = repelling.peek().is_none();
        Self { run, stay: repelling.all(|taint| taint.effect != "NoExecute") }
    }
}

/// The node of a pod, or the one it is meant for while it waits.
fn target(pod: &Pod) -> Option<&str> {
    let meant = || {
        let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
        let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
        let mut fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
        let field = fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
        field.values.as_ref()?.first().map(String::as_str)
    };
    pods::node(pod).or_else(meant)
}

/// The pods of one node, oldest first.
struct OnNode<'a> {
    name: String,
    belongs: Belongs,
    pods: Vec<&'a Arc<Pod>>,
}

impl<'a> OnNode<'a> {
    fn active(&self, is_new: bool, hash: &str) -> Option<&'a Arc<Pod>> {
        self.pods.iter().copied().find(|pod| pods::is_active(pod) && is_of(pod, hash) == is_new)
    }
}

fn is_of(pod: &Pod, hash: &str) -> bool {
    pod.labels().get(REVISION_LABEL).is_some_and(|label| label == hash)
}

impl Plan {
    pub(super) fn of(set: &DaemonSet, nodes: &[Arc<Node>], members: &[Arc<Pod>], now: Timestamp) -> Self {
        let spec = set.spec.clone().unwrap_or_default();
        let hash = revision::template_hash(&spec.template, 0);
        let mut by_node: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
        for pod in members {
            by_node.entry(target(pod).unwrap_or_default()).or_default().push(pod);
        }
        for pods in by_node.values_mut() {
            pods.sort_by_key(|pod| (pods::created(pod), pod.name_any()));
        }
        let nodes: Vec<OnNode<'_>> = nodes
            .iter()
            .map(|node| OnNode {
                name: node.name_any(),
                belongs: Belongs::of(set, node),
                pods: by_node.remove(node.name_any().as_str()).unwrap_or_default(),
            })
            .collect();
        let min_ready =
            Duration::from_secs(u64::try_from(spec.min_ready_seconds.unwrap_or_default()).unwrap_or_default());
        let (status, again) = status(set, &nodes, &hash, min_ready, now);
        let strategy = spec.update_strategy.unwrap_or_default();
        let rolling = strategy.rolling_update.unwrap_or_default();
        let surge = margin(rolling.max_surge.as_ref(), 0, status.desired_number_scheduled);
        let mut steps: Vec<Step> = nodes.iter().flat_map(|node| manage(node, surge > 0, &hash)).collect();
        if strategy.type_.as_deref() != Some("OnDelete") {
            let available = |pod: &Pod| pods::is_available(pod, min_ready, now) == Ok(true);
            steps.extend(roll(&nodes, &rolling, surge, status.desired_number_scheduled, &hash, available, &steps));
        }
        Self { steps, hash, status, again }
    }
}

fn margin(value: Option<&IntOrString>, default: i32, desired: i32) -> i32 {
    value.map_or(default, |value| resolve(value, desired, Rounding::Up))
}

/// What a node has too much or too little of, whatever its template.
fn manage(node: &OnNode<'_>, surges: bool, hash: &str) -> Vec<Step> {
    let delete =
        |pod: &Arc<Pod>| (pod.metadata.deletion_timestamp.is_none()).then(|| Step::Delete(Arc::clone(pod), None));
    if node.belongs.run && node.pods.is_empty() {
        return vec![Step::Create(node.name.clone())];
    }
    if !node.belongs.stay {
        return node.pods.iter().filter_map(|pod| delete(pod)).collect();
    }
    let finished = node.pods.iter().filter(|pod| pods::is_finished(pod) && pod.metadata.deletion_timestamp.is_none());
    let mut steps: Vec<Step> = finished
        .map(|pod| {
            let (reason, word, end) = match pods::phase(pod) {
                "Failed" => ("FailedDaemonPod", "failed", "kill"),
                _ => ("SucceededDaemonPod", "succeeded", "delete"),
            };
            let place = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
            let message = format!("Found {word} daemon pod {place} on node {}, will try to {end} it", node.name);
            Step::Delete(Arc::clone(pod), Some((reason, message)))
        })
        .collect();
    // Of several the oldest stays; of a set that surges, the oldest of each template.
    let mut kept = [false; 2];
    for pod in node.pods.iter().filter(|pod| pods::is_active(pod)) {
        let which = usize::from(surges && is_of(pod, hash));
        if std::mem::replace(&mut kept[which], true) {
            steps.extend(delete(pod));
        }
    }
    steps
}

/// Replaces pods of an older template: as many at once as may be missing, or as may be there twice.
fn roll(
    nodes: &[OnNode<'_>],
    rolling: &RollingUpdateDaemonSet,
    surge: i32,
    desired: i32,
    hash: &str,
    available: impl Fn(&Pod) -> bool,
    done: &[Step],
) -> Vec<Step> {
    let busy = |node: &OnNode<'_>| {
        done.iter().any(|step| match step {
            Step::Create(name) => *name == node.name,
            Step::Delete(pod, _) => node.pods.iter().any(|known| known.uid() == pod.uid()),
        })
    };
    let (mut at_once, mut candidates, mut spent) = (Vec::new(), Vec::new(), 0);
    for node in nodes.iter().filter(|node| node.belongs.run) {
        let (new, old) = (node.active(true, hash), node.active(false, hash));
        match (new, old) {
            (None, Some(old)) if surge > 0 => {
                let step = Step::Create(node.name.clone());
                if available(old) { candidates.push(step) } else { at_once.push(step) }
            }
            (Some(new), Some(old)) if surge > 0 => {
                if available(new) {
                    at_once.push(Step::Delete(Arc::clone(old), None));
                } else {
                    spent += 1;
                }
            }
            (_, None) if surge > 0 => {}
            (Some(new), None) => spent += i32::from(!available(new)),
            (None, Some(old)) if !busy(node) => {
                let step = Step::Delete(Arc::clone(old), None);
                if available(old) {
                    candidates.push(step);
                } else {
                    // What does not serve is replaced in any case.
                    at_once.push(step);
                    spent += 1;
                }
            }
            // Somebody comes or goes already.
            _ => spent += 1,
        }
    }
    let allowed = if surge > 0 { surge } else { margin(rolling.max_unavailable.as_ref(), 1, desired).max(1) };
    let left = usize::try_from(allowed - spent).unwrap_or_default();
    at_once.into_iter().chain(candidates.into_iter().take(left)).collect()
}

fn status(
    set: &DaemonSet,
    nodes: &[OnNode<'_>],
    hash: &str,
    min_ready: Duration,
    now: Timestamp,
) -> (DaemonSetStatus, Option<Duration>) {
    let mut status = DaemonSetStatus { observed_generation: set.metadata.generation, ..DaemonSetStatus::default() };
    let (mut updated, mut available) = (0, 0);
    let mut again: Option<Duration> = None;
    for node in nodes {
        let Some(first) = node.pods.first() else {
            status.desired_number_scheduled += i32::from(node.belongs.run);
            continue;
        };
        if !node.belongs.run {
            status.number_misscheduled += 1;
            continue;
        }
        status.desired_number_scheduled += 1;
        status.current_number_scheduled += 1;
        status.number_ready += i32::from(node.pods.iter().any(|pod| pods::is_ready(pod)));
        updated += i32::from(is_of(first, hash));
        let mut serves = false;
        for pod in &node.pods {
            match pods::is_available(pod, min_ready, now) {
                Ok(is_available) => serves |= is_available,
                Err(remaining) => again = Some(again.map_or(remaining, |known| known.min(remaining))),
            }
        }
        available += i32::from(serves);
    }
    status.updated_number_scheduled = Some(updated).filter(|count| *count > 0);
    status.number_available = Some(available).filter(|count| *count > 0);
    status.number_unavailable = Some(status.desired_number_scheduled - available).filter(|count| *count > 0);
    (status, again)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn set(extra: Value) -> DaemonSet {
        let mut spec = json!({
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [], "nodeSelector": {"pool": "gpu"}}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        });
        if let (Some(spec), Value::Object(extra)) = (spec.as_object_mut(), extra) {
            spec.extend(extra);
        }
        serde_json::from_value(json!({"metadata": {"name": "agent", "generation": 2}, "spec": spec})).unwrap()
    }

    /// `a` is a node of the pool, `a/` is none, `a!` has a taint, `a!!` one that drives pods away, `a-` is cordoned.
    fn node(text: &str) -> Arc<Node> {
        let name = text.trim_end_matches(['/', '!', '-']);
        let pool = if text.ends_with('/') { "cpu" } else { "gpu" };
        let taint = |key: &str, effect: &str| json!([{"key": key, "effect": effect}]);
        let taints = match &text[name.len()..] {
            "!" => taint("dedicated", "NoSchedule"),
            "!!" => taint("dedicated", "NoExecute"),
            "-" => taint("node.kubernetes.io/unschedulable", "NoSchedule"),
            _ => json!([]),
        };
        let value = json!({"metadata": {"name": name, "labels": {"pool": pool}}, "spec": {"taints": taints}});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// `a` serves on node a, `a-` is not ready, `ax` is on its way out, `af` failed; upper case is of an old template.
    fn pod(index: usize, text: &str, hash: &str) -> Arc<Pod> {
        let name = text[..1].to_lowercase();
        let has = |mark: char| text.ends_with(mark) && text.len() > 1;
        let hash = if text.starts_with(char::is_uppercase) { "old" } else { hash };
        let mut meta = json!({
            "name": format!("agent-{index}"), "namespace": "default", "uid": format!("u{index}"),
            "labels": {REVISION_LABEL: hash},
        });
        if has('x') {
            meta["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let ready = if has('-') || has('f') { "False" } else { "True" };
        let phase = if has('f') { "Failed" } else { "Running" };
        let status = json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]});
        let value = json!({"metadata": meta, "spec": {"nodeName": name, "containers": []}, "status": status});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn plan(set: &DaemonSet, nodes: &str, pods: &str) -> Plan {
        let hash = revision::template_hash(&set.spec.clone().unwrap().template, 0);
        let nodes: Vec<_> = nodes.split_whitespace().map(node).collect();
        let pods: Vec<_> = pods.split_whitespace().enumerate().map(|(index, text)| pod(index, text, &hash)).collect();
        Plan::of(set, &nodes, &pods, Timestamp::UNIX_EPOCH)
    }

    /// `+a` makes a pod for node a, `-1` removes the second pod.
    fn words(plan: &Plan) -> String {
        let step = |step: &Step| match step {
            Step::Create(node) => format!("+{node}"),
            Step::Delete(pod, _) => format!("-{}", pod.name_any().trim_start_matches("agent-")),
        };
        plan.steps.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::a_pod_for_each_node("a b", "", "+a +b")]
    #[case::nodes_of_the_pool_only("a b/", "", "+a")]
    #[case::not_where_a_taint_repels_it("a! b!!", "", "")]
    #[case::on_a_cordoned_node_too("a-", "", "+a")]
    #[case::a_taint_lets_stay("a!", "a", "")]
    #[case::unless_it_drives_away("a!!", "a", "-0")]
    #[case::a_node_that_left_the_pool("a/", "a", "-0")]
    #[case::the_oldest_of_several_stays("a", "a a", "-1")]
    #[case::a_failed_one_is_replaced("a", "af", "-0")]
    #[case::once_it_is_gone("a", "afx", "")]
    #[case::complete("a b", "a b", "")]
    fn each_node_has_one(#[case] nodes: &str, #[case] pods: &str, #[case] expected: &str) {
        assert_eq!(words(&plan(&set(json!({})), nodes, pods)), expected);
    }

    #[rstest]
    #[case::one_at_a_time(json!({"maxUnavailable": 1}), "A B C", "-0")]
    #[case::waits_for_the_one_before(json!({"maxUnavailable": 1}), "a- B C", "")]
    #[case::waits_while_one_goes(json!({"maxUnavailable": 1}), "Ax B C", "")]
    #[case::goes_on(json!({"maxUnavailable": 1}), "a B C", "-1")]
    #[case::half_rounded_up(json!({"maxUnavailable": "50%"}), "A B C", "-0 -1")]
    #[case::what_does_not_serve_goes_in_any_case(json!({"maxUnavailable": 1}), "A- B- C", "-0 -1")]
    #[case::a_surge_comes_first(json!({"maxSurge": 1, "maxUnavailable": 0}), "A B C", "+a")]
    #[case::then_the_old_one_goes(json!({"maxSurge": 1, "maxUnavailable": 0}), "A a B C", "-0 +b")]
    #[case::when_the_new_one_serves(json!({"maxSurge": 1, "maxUnavailable": 0}), "A a- B C", "")]
    fn a_new_template_rolls_over_the_nodes(#[case] rolling: Value, #[case] pods: &str, #[case] expected: &str) {
        let set = set(json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}));
        assert_eq!(words(&plan(&set, "a b c", pods)), expected);
    }

    #[test]
    fn on_delete_waits_for_somebody_to_delete() {
        let set = set(json!({"updateStrategy": {"type": "OnDelete"}}));
        assert_eq!(words(&plan(&set, "a b", "A B")), "");
    }

    #[test]
    fn the_status_counts_nodes() {
        let status = plan(&set(json!({})), "a b c d! e/", "a B- d e").status;
        let expected = json!({
            "currentNumberScheduled": 2, "desiredNumberScheduled": 3, "numberMisscheduled": 2, "numberReady": 1,
            "numberAvailable": 1, "numberUnavailable": 2, "observedGeneration": 2, "updatedNumberScheduled": 1,
        });
        assert_eq!(json!(status), expected);
    }

    #[test]
    fn a_pod_is_meant_for_its_node_and_no_other() {
        let template = template(&set(json!({})), "a", "h");
        let spec = template.spec.unwrap();
        assert_eq!(spec.tolerations.as_ref().unwrap().len(), TOLERATED.len());
        let pod = Pod { spec: Some(spec), ..Pod::default() };
        assert_eq!(target(&pod), Some("a"));
        assert!(fit::matches_node(&pod, &node("a")) && !fit::matches_node(&pod, &node("b")));
    }
}
