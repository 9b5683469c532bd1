//! Whether a pod fits a node, and why not.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Container, Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, ResourceRequirements, Taint, Toleration,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;

use crate::machinery::quantity;

/// Amounts in thousandths by resource name.
pub(crate) type Amounts = BTreeMap<String, i64>;

/// Why a node cannot take a pod, in the words of the Kubernetes scheduler.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    NotReady,
    Unschedulable,
    Taint(String),
    Affinity,
    TooManyPods,
    Insufficient(String),
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotReady => f.write_str("node(s) were not ready"),
            Self::Unschedulable => f.write_str("node(s) were unschedulable"),
            Self::Taint(taint) => write!(f, "node(s) had untolerated taint {{{taint}}}"),
            Self::Affinity => f.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::TooManyPods => f.write_str("Too many pods"),
            Self::Insufficient(resource) => write!(f, "Insufficient {resource}"),
        }
    }
}

/// What a pod reserves on its node: the sum of its containers or its largest init container, whichever is more,
/// and the overhead. A limit without a request is a request; the limit defaults it.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = pod.spec.as_ref() else { return Amounts::new() };
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &container_requests(container));
    }
    for container in spec.init_containers.iter().flatten() {
        for (resource, amount) in container_requests(container) {
            let largest = total.entry(resource).or_default();
            *largest = (*largest).max(amount);
        }
    }
    add(&mut total, &amounts(spec.overhead.iter().flatten()));
    total
}

pub(crate) fn add(total: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        *total.entry(resource.clone()).or_default() += amount;
    }
}

fn container_requests(container: &Container) -> Amounts {
    let Some(ResourceRequirements { requests, limits, claims: _ }) = &container.resources else {
        return Amounts::new();
    };
    let mut asked = amounts(limits.iter().flatten());
    asked.extend(amounts(requests.iter().flatten()));
    asked
}

/// Unreadable quantities count as nothing: the API server refuses them at creation.
fn amounts<'a>(quantities: impl Iterator<Item = (&'a String, &'a Quantity)>) -> Amounts {
    quantities.map(|(resource, amount)| (resource.clone(), quantity::milli(amount).unwrap_or_default())).collect()
}

/// All obstacles between `pod` and `node`; `used` is what the pods on the node reserve, `pods_on_node` how many
/// they are. A node that is out of question for another reason is not asked about resources.
pub(crate) fn obstacles(pod: &Pod, node: &Node, used: &Amounts, pods_on_node: usize) -> Vec<Obstacle> {
    let Some(spec) = pod.spec.as_ref() else { return vec![Obstacle::Affinity] };
    let node_spec = node.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    if node_spec.unschedulable == Some(true) && !tolerates_unschedulable(tolerations) {
        return vec![Obstacle::Unschedulable];
    }
    if !is_ready(node) {
        return vec![Obstacle::NotReady];
    }
    if let Some(taint) = repelling(pod, node).next() {
        let value = taint.value.as_deref().unwrap_or_default();
        return vec![Obstacle::Taint(format!("{}: {value}", taint.key))];
    }
    if !matches_node(pod, node) {
        return vec![Obstacle::Affinity];
    }
    insufficient(pod, node, used, pods_on_node)
}

fn insufficient(pod: &Pod, node: &Node, used: &Amounts, pods_on_node: usize) -> Vec<Obstacle> {
    let allocatable = allocatable(node);
    let mut obstacles = Vec::new();
    let room_for_pods = allocatable.get("pods").map_or(i64::MAX, |milli| milli / 1000);
    if i64::try_from(pods_on_node).unwrap_or(i64::MAX) >= room_for_pods {
        obstacles.push(Obstacle::TooManyPods);
    }
    for (resource, wanted) in requests(pod) {
        let total = allocatable.get(&resource).copied().unwrap_or_default();
        let taken = used.get(&resource).copied().unwrap_or_default();
        if wanted > 0 && wanted > total - taken {
            obstacles.push(Obstacle::Insufficient(resource));
        }
    }
    obstacles
}

pub(crate) fn allocatable(node: &Node) -> Amounts {
    let status = node.status.as_ref();
    amounts(status.and_then(|status| status.allocatable.as_ref()).into_iter().flatten())
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn tolerates_unschedulable(tolerations: &[Toleration]) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    !repels(&taint, tolerations)
}

fn repels(taint: &Taint, tolerations: &[Toleration]) -> bool {
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
        && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    let effect_matches = empty(&toleration.effect) || toleration.effect.as_deref() == Some(taint.effect.as_str());
    let key_matches = empty(&toleration.key) || toleration.key.as_deref() == Some(taint.key.as_str());
    let value_matches = match toleration.operator.as_deref() {
        Some("Exists") => true,
        // A toleration of every key only makes sense with Exists.
        _ => {
            !empty(&toleration.key)
                && toleration.value.clone().unwrap_or_default() == taint.value.clone().unwrap_or_default()
        }
    };
    effect_matches && key_matches && value_matches
}

/// The taints of a node that keep a pod away.
pub(crate) fn repelling<'a>(pod: &'a Pod, node: &'a Node) -> impl Iterator<Item = &'a Taint> {
    let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or_default();
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().filter(|taint| repels(taint, tolerations))
}

/// Node selector and required node affinity.
pub(crate) fn matches_node(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = pod.spec.as_ref() else { return false };
    let labels = node.labels();
    if spec.node_selector.iter().flatten().any(|(key, value)| labels.get(key) != Some(value)) {
        return false;
    }
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| required.node_selector_terms.iter().any(|term| term_matches(term, node)))
}

fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        // An empty term matches nothing.
        return false;
    }
    let name = node.name_any();
    expressions.iter().all(|requirement| requirement_holds(requirement, node.labels().get(&requirement.key)))
        && fields
            .iter()
            .all(|requirement| requirement.key == "metadata.name" && requirement_holds(requirement, Some(&name)))
}

fn requirement_holds(requirement: &NodeSelectorRequirement, actual: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let numbers = || Some((actual?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match requirement.operator.as_str() {
        "In" => actual.is_some_and(|actual| values.contains(actual)),
        "NotIn" => actual.is_none_or(|actual| !values.contains(actual)),
        "Exists" => actual.is_some(),
        "DoesNotExist" => actual.is_none(),
        "Gt" => numbers().is_some_and(|(actual, bound)| actual > bound),
        "Lt" => numbers().is_some_and(|(actual, bound)| actual < bound),
        _ => false,
    }
}

/// Tells in one line why none of the nodes can take a pod:
/// `0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu.`
pub(crate) fn explain(obstacles: &[Vec<Obstacle>]) -> String {
    if obstacles.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for obstacle in obstacles.iter().flatten() {
        *counts.entry(obstacle.to_string()).or_default() += 1;
    }
    let mut reasons: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    reasons.sort();
    format!("0/{} nodes are available: {}.", obstacles.len(), reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn node(spec: Value) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "a100-0", "labels": {"nvidia.com/gpu.product": "NVIDIA-A100-PCIE-80GB", "rank": "7"}},
            "spec": spec,
            "status": {
                "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "3", "nvidia.com/gpu": "2"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }))
        .unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn pod(spec: Value) -> Pod {
        let mut value = json!({"containers": [{"name": "c"}]});
        value.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": value})).unwrap()
    }

    fn gpus(count: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": count}}}]})
    }

    fn affinity(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}],
        }}}})
    }

    #[rstest]
    #[case::plain_pod(json!({}), json!({}), vec![])]
    #[case::gpus_that_exist(json!({}), gpus("2"), vec![])]
    #[case::more_gpus_than_there_are(json!({}), gpus("3"), vec![Obstacle::Insufficient("nvidia.com/gpu".into())])]
    #[case::another_vendor(json!({}), json!({"containers": [{"name": "c", "resources": {"limits": {"amd.com/gpu": "1"}}}]}),
        vec![Obstacle::Insufficient("amd.com/gpu".into())])]
    #[case::selector_match(json!({}), json!({"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-PCIE-80GB"}}), vec![])]
    #[case::selector_mismatch(json!({}), json!({"nodeSelector": {"nvidia.com/gpu.product": "H100"}}), vec![Obstacle::Affinity])]
    #[case::affinity_in(json!({}), affinity("nvidia.com/gpu.product", "In", &["NVIDIA-A100-PCIE-80GB"]), vec![])]
    #[case::affinity_not_in(json!({}), affinity("nvidia.com/gpu.product", "NotIn", &["NVIDIA-A100-PCIE-80GB"]), vec![Obstacle::Affinity])]
    #[case::affinity_exists(json!({}), affinity("zone", "Exists", &[]), vec![Obstacle::Affinity])]
    #[case::affinity_greater(json!({}), affinity("rank", "Gt", &["6"]), vec![])]
    #[case::cordoned(json!({"unschedulable": true}), json!({}), vec![Obstacle::Unschedulable])]
    #[case::tainted(json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}), json!({}), vec![Obstacle::Taint("gpu: yes".into())])]
    #[case::tolerated(json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}),
        json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}), vec![])]
    #[case::preferred_not_to(json!({"taints": [{"key": "gpu", "effect": "PreferNoSchedule"}]}), json!({}), vec![])]
    fn a_pod_fits_or_says_why_not(#[case] node_spec: Value, #[case] pod_spec: Value, #[case] expected: Vec<Obstacle>) {
        assert_eq!(obstacles(&pod(pod_spec), &node(node_spec), &Amounts::new(), 0), expected);
    }

    #[test]
    fn what_others_use_is_not_available() {
        let used = Amounts::from([("nvidia.com/gpu".to_owned(), 1000)]);
        assert_eq!(
            obstacles(&pod(gpus("2")), &node(json!({})), &used, 3),
            vec![Obstacle::TooManyPods, Obstacle::Insufficient("nvidia.com/gpu".into())]
        );
    }

    #[test]
    fn a_pod_reserves_its_containers_or_its_largest_init_container() {
        let pod = pod(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "250m"}}},
                {"name": "b", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "1Ki"}}},
            ],
            "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}],
        }));
        assert_eq!(requests(&pod), Amounts::from([("cpu".to_owned(), 2000), ("memory".to_owned(), 1_024_000)]));
    }

    #[test]
    fn the_explanation_counts_nodes_by_reason() {
        let gpu = || vec![Obstacle::Insufficient("nvidia.com/gpu".into())];
        assert_eq!(explain(&[gpu(), gpu()]), "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.");
        assert_eq!(
            explain(&[gpu(), vec![Obstacle::Unschedulable], gpu()]),
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu."
        );
        assert_eq!(explain(&[]), "no nodes available to schedule pods");
    }
}
