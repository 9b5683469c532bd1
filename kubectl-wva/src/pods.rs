//! Pods of controllers, and how they fare.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::controllers::{Controller, SELECTOR};
use crate::lists::{self, Part};
use crate::session::Session;

/// Lists the pods of a controller.
pub async fn of_controller(session: &Session, controller: &Controller) -> Part<Pod> {
    let params = ListParams::default().labels(SELECTOR);
    let pods: Vec<Pod> = lists::list(session, Some(&controller.namespace), "list pods of controllers", &params).await?;
    Ok(pods.into_iter().filter(|pod| is_of(pod, &controller.name)).collect())
}

/// Whether a pod belongs to a Deployment. Two controllers may live in one namespace; their `ReplicaSet`s are named after
/// them, with a hash behind. The name of a pod does not tell: it is cut when it would be too long.
fn is_of(pod: &Pod, deployment: &str) -> bool {
    let hash = |owner: &str| owner.strip_prefix(deployment)?.strip_prefix('-').map(str::to_owned);
    let owners = pod.owner_references().iter().filter(|owner| owner.kind == "ReplicaSet");
    owners.filter_map(|owner| hash(&owner.name)).any(|hash| !hash.is_empty() && !hash.contains('-'))
}

/// Whether its condition `Ready` holds.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Why a pod is not ready, in kubectl's words where it has some: `CrashLoopBackOff`, `Pending`, `not ready`.
pub fn trouble(pod: &Pod) -> String {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    if let Some(why) = containers.into_iter().flatten().find_map(container_trouble) {
        return why;
    }
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let unscheduled = conditions.into_iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    match (unscheduled, status.and_then(|status| status.phase.as_deref())) {
        (Some(condition), _) => {
            format!("not scheduled: {}", condition.message.as_deref().or(condition.reason.as_deref()).unwrap_or("?"))
        }
        (None, Some("Running")) => "running, but not ready".to_owned(),
        (None, Some(phase)) => phase.to_owned(),
        (None, None) => "not started".to_owned(),
    }
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        return Some(waiting.message.as_ref().map_or(reason.to_owned(), |message| format!("{reason}: {message}")));
    }
    let ended = state.terminated.as_ref()?;
    Some(format!("exited with code {}", ended.exit_code))
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
