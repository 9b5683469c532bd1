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
    // A pod's name is its Deployment's, a hash of the template and a suffix: two controllers in one namespace differ.
    let own = |pod: &Pod| {
        let name = pod.name_any();
        name.strip_prefix(&controller.name)
            .is_some_and(|rest| rest.split('-').filter(|part| !part.is_empty()).count() == 2)
    };
    Ok(pods.into_iter().filter(own).collect())
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
