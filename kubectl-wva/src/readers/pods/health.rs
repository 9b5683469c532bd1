//! How one pod fares, in kubectl's words where it has some.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::{Nodes, is_ready};

/// Reasons for which a container waits in the course of a usual start.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// How long a pod may take to end beyond what was granted to it.
const ENDING: SignedDuration = SignedDuration::from_secs(30);

/// How a pod fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Ready,
    /// It is on its way, and nothing speaks against it yet.
    Starting(String),
    /// The scheduler finds no place for it.
    Pending(String),
    /// It does not run, and will not without help.
    Failing(String),
    /// The node it is on does not answer any more.
    Lost(String),
    /// It is over, and nobody waits for it.
    Over,
}

impl Health {
    /// Reads a pod.
    pub fn of(pod: &Pod, nodes: &Nodes, now: Timestamp) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let lost = nodes.lost(node).map(|why| format!("its node {node} is lost: {why}"));
        if let Some(deleted) = &pod.metadata.deletion_timestamp {
            let overdue = now.duration_since(deleted.0) > ENDING;
            return match lost {
                Some(why) => Self::Lost(why),
                None if overdue => {
                    Self::Lost(format!("it was deleted, but its node {node} does not say that it ended"))
                }
                None => Self::Over,
            };
        }
        // Its ReplicaSet has made another one in its place.
        if matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
            return Self::Over;
        }
        if let Some(why) = lost {
            return Self::Lost(why);
        }
        if is_ready(pod) {
            return Self::Ready;
        }
        let conditions = status.conditions.as_deref().unwrap_or_default();
        if let Some(unscheduled) = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False") {
            let why = unscheduled.message.as_deref().or(unscheduled.reason.as_deref());
            return Self::Pending(why.unwrap_or("not scheduled").to_owned());
        }
        let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
        let troubles: Vec<Self> = containers.filter_map(of_container).collect();
        let worst = troubles.iter().find(|one| matches!(one, Self::Failing(_))).or(troubles.first()).cloned();
        worst.unwrap_or_else(|| match status.phase.as_deref() {
            Some("Running") => Self::Starting("running, but not ready".to_owned()),
            Some(phase) => Self::Starting(phase.to_owned()),
            None => Self::Starting("not started".to_owned()),
        })
    }

    /// What keeps the pod from serving; `None` when it does, or need not.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Ready | Self::Over => None,
            Self::Starting(why) | Self::Pending(why) | Self::Failing(why) | Self::Lost(why) => Some(why),
        }
    }

    /// Whether the pod will not serve without help.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Pending(_) | Self::Failing(_) | Self::Lost(_))
    }
}

fn of_container(container: &ContainerStatus) -> Option<Health> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("waiting");
        let said = waiting.message.as_ref().map_or(reason.to_owned(), |message| format!("{reason}: {message}"));
        if USUAL.contains(&reason) {
            return Some(Health::Starting(said));
        }
        // Why it ended says more than how long it is held back.
        let ended = container.last_state.as_ref().and_then(ended).filter(|_| reason == "CrashLoopBackOff");
        return Some(Health::Failing(ended.map_or(said, |ended| format!("{reason}: {ended}"))));
    }
    if let Some(ended) = ended(state) {
        return Some(Health::Failing(ended));
    }
    // Between two crashes a container runs for a moment.
    let crashed = container.last_state.as_ref().and_then(ended).filter(|_| !container.ready);
    let times = container.restart_count;
    crashed.filter(|_| times > 1).map(|ended| Health::Failing(format!("restarted {times} times, {ended}")))
}

/// How a container ended; `None` while it runs, and when it ended well.
fn ended(state: &ContainerState) -> Option<String> {
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let reason = ended.reason.as_deref().filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    let message = ended.message.as_deref().map_or(String::new(), |message| format!(": {}", message.trim()));
    Some(format!("exited with code {}{reason}{message}", ended.exit_code))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn health(pod: &Value) -> Health {
        Health::of(&serde_json::from_value(pod.clone()).unwrap(), &Nodes::default(), NOW.parse().unwrap())
    }

    fn waiting(reason: &str) -> Value {
        json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": "m"}}})
    }

    #[rstest]
    #[case::pull("ImagePullBackOff", true)]
    #[case::pull_at_once("ErrImagePull", true)]
    #[case::name("InvalidImageName", true)]
    #[case::secret("CreateContainerConfigError", true)]
    #[case::crash("CrashLoopBackOff", true)]
    #[case::usual("ContainerCreating", false)]
    #[case::after_init("PodInitializing", false)]
    fn a_container_that_waits_is_failing_unless_every_start_goes_that_way(#[case] reason: &str, #[case] bad: bool) {
        let pod = json!({"status": {"phase": "Pending", "containerStatuses": [waiting(reason)]}});
        assert_eq!(health(&pod).is_bad(), bad, "{:?}", health(&pod));
        let init = json!({"status": {"phase": "Pending", "initContainerStatuses": [waiting(reason)], "containerStatuses": [waiting("PodInitializing")]}});
        assert_eq!(health(&init).is_bad(), bad, "{:?}", health(&init));
    }

    #[test]
    fn a_crash_says_how_it_ended_even_while_it_runs_again() {
        let ended = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        let container = |state: Value| json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 3, "state": state, "lastState": ended});
        let of =
            |state: Value| health(&json!({"status": {"phase": "Running", "containerStatuses": [container(state)]}}));
        assert_eq!(
            of(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m"}})),
            Health::Failing("CrashLoopBackOff: exited with code 137 (OOMKilled)".to_owned())
        );
        assert_eq!(
            of(json!({"running": {}})),
            Health::Failing("restarted 3 times, exited with code 137 (OOMKilled)".to_owned())
        );
    }

    #[test]
    fn a_pod_without_a_place_says_what_the_scheduler_says() {
        let message = "0/2 nodes are available: 1 Insufficient nvidia.com/gpu";
        let pod = json!({"status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
        ]}});
        assert_eq!(health(&pod), Health::Pending(message.to_owned()));
    }

    #[rstest]
    #[case::just_now("2026-01-02T03:04:00Z", false)]
    #[case::for_long("2026-01-02T03:03:00Z", true)]
    fn a_deleted_pod_is_over_unless_its_node_never_says_so(#[case] deleted: &str, #[case] lost: bool) {
        let pod = json!({"metadata": {"deletionTimestamp": deleted}, "spec": {"nodeName": "n", "containers": []}});
        assert_eq!(matches!(health(&pod), Health::Lost(_)), lost);
    }

    #[test]
    fn a_ready_pod_on_a_lost_node_is_lost() {
        let condition = json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."});
        let node = json!({"metadata": {"name": "n"}, "status": {"conditions": [condition]}});
        let nodes = Nodes::of(vec![serde_json::from_value(node).unwrap()]);
        let pod = json!({
            "spec": {"nodeName": "n", "containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let found = Health::of(&serde_json::from_value(pod).unwrap(), &nodes, NOW.parse().unwrap());
        assert_eq!(found, Health::Lost("its node n is lost: Kubelet stopped posting node status".to_owned()));
    }
}
