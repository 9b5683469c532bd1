//! Pods, and how they fare.

mod health;
mod nodes;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

pub use health::Health;
pub use nodes::Nodes;

/// Whether a pod belongs to a Deployment. Two controllers may live in one namespace; their `ReplicaSet`s are named after
/// them, with a hash behind. The name of a pod does not tell: it is cut when it would be too long.
pub fn is_of(pod: &Pod, deployment: &str) -> bool {
    let hash = |owner: &str| owner.strip_prefix(deployment)?.strip_prefix('-').map(str::to_owned);
    let owners = pod.owner_references().iter().filter(|owner| owner.kind == "ReplicaSet");
    owners.filter_map(|owner| hash(&owner.name)).any(|hash| !hash.is_empty() && !hash.contains('-'))
}

/// Whether its condition `Ready` holds.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::own("wva-controller-manager-5d4f8c7b9", true)]
    #[case::of_another_with_a_longer_name("wva-controller-manager-two-5d4f8c7b9", false)]
    #[case::of_another("other-5d4f8c7b9", false)]
    fn a_pod_is_known_by_its_replica_set_even_when_its_own_name_is_cut(
        #[case] replica_set: &str,
        #[case] expect: bool,
    ) {
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": "u"});
        let pod = json!({"metadata": {"name": "wva-controller-manager-5d4fx7k2p", "ownerReferences": [owner]}});
        assert_eq!(is_of(&serde_json::from_value(pod).unwrap(), "wva-controller-manager"), expect);
    }
}
