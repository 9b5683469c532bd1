//! What keeps a pod from running, as its status says it.

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use wva_engine::snapshot::Obstacle;

/// Reasons for which a container waits that time alone does not put right, each with the name it goes by here: the kubelet
/// alternates between the two of a failing pull.
const WAITS_IN_VAIN: [(&str, &str); 8] = [
    ("CrashLoopBackOff", CRASHES),
    ("ImagePullBackOff", "ImagePullBackOff"),
    ("ErrImagePull", "ImagePullBackOff"),
    ("ErrImageNeverPull", "ErrImageNeverPull"),
    ("InvalidImageName", "InvalidImageName"),
    ("CreateContainerConfigError", "CreateContainerConfigError"),
    ("CreateContainerError", "CreateContainerError"),
    ("RunContainerError", "RunContainerError"),
];

const CRASHES: &str = "CrashLoopBackOff";

/// A container that ends within this time of its start, and not for the first time, is in a loop even while it runs: the
/// kubelet's own measure.
const RUNS_WELL_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What keeps a pod with this status from running; `None` for one that only needs time.
pub fn of(status: &PodStatus) -> Option<Obstacle> {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let is_false = |kind: &str| conditions.iter().find(|it| it.type_ == kind && it.status == "False");
    if let Some(unplaced) = is_false("PodScheduled") {
        let since = unplaced.last_transition_time.as_ref()?.0;
        let message = unplaced.message.as_deref().unwrap_or_default();
        return Some(Obstacle::Unschedulable { since, message: first_sentence(message).to_owned() });
    }
    is_false("Ready")?;
    let containers = [&status.init_container_statuses, &status.container_statuses].into_iter().flatten().flatten();
    containers.into_iter().find_map(failure).map(|reason| Obstacle::Failing { reason: reason.to_owned() })
}

fn failure(container: &ContainerStatus) -> Option<&'static str> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    let in_vain = waiting.and_then(|reason| WAITS_IN_VAIN.iter().find(|(name, _)| *name == reason));
    in_vain.map(|(_, reason)| *reason).or_else(|| is_looping(container).then_some(CRASHES))
}

fn is_looping(container: &ContainerStatus) -> bool {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let Some(last) = last.filter(|it| it.exit_code != 0 && container.restart_count > 1 && !container.ready) else {
        return false;
    };
    let (Some(started), Some(finished)) = (&last.started_at, &last.finished_at) else { return false };
    finished.0.duration_since(started.0) < RUNS_WELL_AFTER
}

/// The scheduler goes on to say why it evicts nobody else.
fn first_sentence(message: &str) -> &str {
    message.split(" preemption:").next().unwrap_or(message).trim_end()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fixtures::yaml;

    const NOT_READY: &str = "{type: Ready, status: 'False'}";

    fn unschedulable(message: &str) -> Obstacle {
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        Obstacle::Unschedulable { since, message: message.into() }
    }

    fn failing(reason: &str) -> Obstacle {
        Obstacle::Failing { reason: reason.into() }
    }

    #[rstest]
    #[case::no_node(
        "{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: '2026-01-01T00:00:00Z', message: \
         '0/2 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available.'}",
        Some(unschedulable("0/2 nodes are available: 1 Insufficient nvidia.com/gpu."))
    )]
    #[case::held_back(
        "{type: PodScheduled, status: 'False', reason: SchedulingGated, lastTransitionTime: '2026-01-01T00:00:00Z', message: \
         Scheduling is blocked due to non-empty scheduling gates}",
        Some(unschedulable("Scheduling is blocked due to non-empty scheduling gates"))
    )]
    #[case::scheduled("{type: PodScheduled, status: 'True'}", None)]
    fn a_pod_without_a_node_says_what_the_scheduler_says(#[case] condition: &str, #[case] expected: Option<Obstacle>) {
        assert_eq!(of(&yaml(&format!("{{conditions: [{condition}, {NOT_READY}]}}"))), expected);
    }

    #[rstest]
    #[case::starting("{state: {waiting: {reason: ContainerCreating}}}", None)]
    #[case::loading("{state: {running: {}}}", None)]
    #[case::no_image("{state: {waiting: {reason: ErrImagePull}}}", Some(failing("ImagePullBackOff")))]
    #[case::no_configuration(
        "{state: {waiting: {reason: CreateContainerConfigError}}}",
        Some(failing("CreateContainerConfigError"))
    )]
    #[case::ends_again_and_again("{state: {waiting: {reason: CrashLoopBackOff}}}", Some(failing("CrashLoopBackOff")))]
    #[case::runs_once_more(
        "{restartCount: 2, state: {running: {}}, lastState: {terminated: {exitCode: 1, startedAt: '2026-01-01T00:00:00Z', \
         finishedAt: '2026-01-01T00:02:00Z'}}}",
        Some(failing("CrashLoopBackOff"))
    )]
    #[case::restarted_once(
        "{restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 1, startedAt: '2026-01-01T00:00:00Z', \
         finishedAt: '2026-01-01T00:02:00Z'}}}",
        None
    )]
    #[case::ran_for_a_day(
        "{restartCount: 3, state: {running: {}}, lastState: {terminated: {exitCode: 137, startedAt: '2026-01-01T00:00:00Z', \
         finishedAt: '2026-01-02T00:00:00Z'}}}",
        None
    )]
    fn a_pod_whose_container_cannot_run_says_why(#[case] container: &str, #[case] expected: Option<Obstacle>) {
        let container = container.replacen('{', "{name: vllm, image: i, imageID: i, ready: false, ", 1);
        let container = if container.contains("restartCount") {
            container
        } else {
            container.replacen('{', "{restartCount: 0, ", 1)
        };
        for list in ["containerStatuses", "initContainerStatuses"] {
            let status = format!("{{conditions: [{NOT_READY}], {list}: [{container}]}}");
            assert_eq!(of(&yaml(&status)), expected, "{list}");
        }
        let ready = format!("{{conditions: [{{type: Ready, status: 'True'}}], containerStatuses: [{container}]}}");
        assert_eq!(of(&yaml(&ready)), None, "a pod that serves is not stopped");
    }
}
