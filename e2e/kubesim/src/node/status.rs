//! From the containers to the pod status the kubelet would report.

use std::{collections::BTreeMap, net::Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::view::{Board, Ended, State, View};

/// Everything a status follows from.
pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    pub(super) board: &'a Board,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    pub(super) now: Timestamp,
}

pub(super) fn compute(facts: &Facts<'_>) -> PodStatus {
    let Facts { pod, board, pod_ip, host_ip, now } = facts;
    let old = pod.status.clone().unwrap_or_default();
    let spec = pod.spec.clone().unwrap_or_default();
    let phase = phase(&spec, board);
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions(facts, &spec, &old, phase)),
        container_statuses: Some(statuses(&spec.containers, &board.main)),
        init_container_statuses: spec.init_containers.as_deref().map(|containers| statuses(containers, &board.init)),
        host_ip: Some(host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: host_ip.to_string() }]),
        pod_ip: Some(pod_ip.to_string()),
        pod_ips: Some(vec![PodIP { ip: pod_ip.to_string() }]),
        qos_class: Some(old.qos_class.clone().unwrap_or_else(|| qos_class(&spec).to_owned())),
        start_time: Some(old.start_time.clone().unwrap_or(Time(*now))),
        observed_generation: pod.metadata.generation,
        ..old
    }
}

fn restarts_always(spec: &PodSpec) -> bool {
    spec.restart_policy.as_deref().is_none_or(|policy| policy == "Always")
}

fn phase(spec: &PodSpec, board: &Board) -> &'static str {
    let failed = |view: &View| view.ended().is_some_and(|ended| ended.exit.code != 0);
    let never = spec.restart_policy.as_deref() == Some("Never");
    if never && board.init.values().any(failed) {
        return "Failed";
    }
    let created = |view: &View| !matches!(view.state, State::Waiting { .. }) || view.last.is_some();
    if !board.main.values().all(created) || board.main.is_empty() {
        return "Pending";
    }
    // A container that failed restarts unless the policy says never, and so does every one if it says always.
    let rests = |view: &View| view.ended().is_some_and(|ended| never || ended.exit.code == 0);
    if restarts_always(spec) || !board.main.values().all(rests) {
        "Running"
    } else if board.main.values().any(failed) {
        "Failed"
    } else {
        "Succeeded"
    }
}

fn statuses(containers: &[Container], views: &BTreeMap<String, View>) -> Vec<ContainerStatus> {
    let waiting = View::waiting("PodInitializing");
    let status = |container: &Container| {
        let view = views.get(&container.name).unwrap_or(&waiting);
        let image = container.image.clone().unwrap_or_default();
        let id = match &view.state {
            State::Running { id, .. } => Some(id.clone()),
            State::Ended(ended) => Some(ended.id.clone()),
            State::Waiting { .. } => view.last.as_ref().map(|ended| ended.id.clone()),
        };
        ContainerStatus {
            name: container.name.clone(),
            // Images are local programs; the reference is the only identity they have.
            image_id: if id.is_some() { image.clone() } else { String::new() },
            image,
            container_id: id,
            state: Some(container_state(&view.state)),
            last_state: Some(view.last.as_ref().map(terminated).unwrap_or_default()),
            ready: view.ready,
            started: Some(view.started),
            restart_count: view.restarts,
            ..ContainerStatus::default()
        }
    };
    containers.iter().map(status).collect()
}

fn container_state(state: &State) -> ContainerState {
    match state {
        State::Waiting { reason, message } => {
            let waiting = ContainerStateWaiting { reason: Some((*reason).to_owned()), message: message.clone() };
            ContainerState { waiting: Some(waiting), ..ContainerState::default() }
        }
        State::Running { since, id: _ } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(*since)) }),
            ..ContainerState::default()
        },
        State::Ended(ended) => terminated(ended),
    }
}

fn terminated(ended: &Ended) -> ContainerState {
    let Ended { exit, reason, message, started, finished, id } = ended;
    let terminated = ContainerStateTerminated {
        exit_code: exit.code,
        signal: exit.signal,
        reason: Some((*reason).to_owned()),
        message: message.clone(),
        started_at: Some(Time(*started)),
        finished_at: Some(Time(*finished)),
        container_id: Some(id.clone()),
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn conditions(facts: &Facts<'_>, spec: &PodSpec, old: &PodStatus, phase: &str) -> Vec<PodCondition> {
    let Facts { board, now, .. } = facts;
    let names = |views: &BTreeMap<String, View>, bad: &dyn Fn(&View) -> bool| {
        let mut names: Vec<&str> = views.iter().filter(|(_, view)| bad(view)).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    let init_pending =
        names(&board.init, &|view| !view.started && view.ended().is_none_or(|ended| ended.exit.code != 0));
    let unready = names(&board.main, &|view| !view.ready);
    let completed = matches!(phase, "Succeeded" | "Failed");
    let verdict = |kind: &str, bad: &str, reason: &str, noun: &str| {
        let (status, reason, message) = if completed && kind != "Initialized" {
            ("False", Some("PodCompleted".to_owned()), None)
        } else if bad.is_empty() && (kind == "Initialized" || !board.main.is_empty()) {
            ("True", None, None)
        } else {
            ("False", Some(reason.to_owned()), Some(format!("containers with {noun}: [{bad}]")))
        };
        PodCondition { type_: kind.to_owned(), status: status.to_owned(), reason, message, ..PodCondition::default() }
    };
    let mut conditions = vec![
        PodCondition {
            type_: "PodReadyToStartContainers".to_owned(),
            status: "True".to_owned(),
            ..PodCondition::default()
        },
        verdict("Initialized", &init_pending, "ContainersNotInitialized", "incomplete status"),
        verdict("Ready", &unready, "ContainersNotReady", "unready status"),
        verdict("ContainersReady", &unready, "ContainersNotReady", "unready status"),
        PodCondition { type_: "PodScheduled".to_owned(), status: "True".to_owned(), ..PodCondition::default() },
    ];
    let gates = spec.readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str());
    let known = old.conditions.as_deref().unwrap_or_default();
    let closed = |gate: &&str| !known.iter().any(|condition| condition.type_ == *gate && condition.status == "True");
    if let Some(gate) = gates.into_iter().find(closed) {
        let ready = &mut conditions[2];
        if ready.status == "True" {
            "False".clone_into(&mut ready.status);
            ready.reason = Some("ReadinessGatesNotReady".to_owned());
            ready.message = Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist."));
        }
    }
    for condition in &mut conditions {
        let same = known.iter().find(|known| known.type_ == condition.type_ && known.status == condition.status);
        condition.last_transition_time = same.and_then(|known| known.last_transition_time.clone()).or(Some(Time(*now)));
    }
    // Conditions of others, such as readiness gates, stay.
    let ours: Vec<String> = conditions.iter().map(|condition| condition.type_.clone()).collect();
    conditions.extend(known.iter().filter(|known| !ours.contains(&known.type_)).cloned());
    conditions
}

/// Guaranteed when every container has limits for processor and memory equal to its requests, `BestEffort` when
/// none asks for either.
pub(super) fn qos_class(spec: &PodSpec) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let guaranteed = |container: &Container| {
        let resources = container.resources.clone().unwrap_or_default();
        let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        let fixed = |name: &&str| {
            limits.get(*name).is_some_and(|limit| requests.get(*name).is_none_or(|request| request == limit))
        };
        COUNTED.iter().all(fixed)
    };
    let asks = |container: &Container| {
        let resources = container.resources.clone().unwrap_or_default();
        let (limits, requests) = (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        COUNTED.iter().any(|name| limits.contains_key(*name) || requests.contains_key(*name))
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::node::process::Exit;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn running(ready: bool) -> View {
        let state = State::Running { since: at(0), id: "process://1".into() };
        View { state, ready, started: true, ..View::default() }
    }

    fn ended(code: i32) -> View {
        let exit = Exit { code, signal: None };
        let reason = if code == 0 { "Completed" } else { "Error" };
        let ended = Ended { exit, reason, message: None, started: at(0), finished: at(1), id: "process://1".into() };
        View { state: State::Ended(ended), ..View::default() }
    }

    fn board(init: Option<View>, main: View) -> Board {
        let named = |view| BTreeMap::from([("c".to_owned(), view)]);
        Board { init: init.map(named).unwrap_or_default(), main: named(main) }
    }

    fn pod(policy: &str) -> Pod {
        let spec = json!({"restartPolicy": policy, "containers": [{"name": "c", "image": "sim:v1"}]});
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn status(pod: &Pod, board: &Board) -> PodStatus {
        let facts = Facts { pod, board, pod_ip: [127, 9, 1, 0].into(), host_ip: [127, 9, 0, 10].into(), now: at(5) };
        compute(&facts)
    }

    #[rstest]
    #[case::creating("Always", None, View::default(), "Pending", "False")]
    #[case::initialising("Always", Some(running(false)), View::waiting("PodInitializing"), "Pending", "False")]
    #[case::running_not_ready("Always", None, running(false), "Running", "False")]
    #[case::ready("Always", Some(ended(0)), running(true), "Running", "True")]
    #[case::crashed_but_restarting("Always", None, ended(1), "Running", "False")]
    #[case::done("Never", None, ended(0), "Succeeded", "False")]
    #[case::failed("Never", None, ended(3), "Failed", "False")]
    #[case::failed_but_retried("OnFailure", None, ended(3), "Running", "False")]
    #[case::done_in_the_end("OnFailure", None, ended(0), "Succeeded", "False")]
    #[case::init_failed_for_good("Never", Some(ended(1)), View::waiting("PodInitializing"), "Failed", "False")]
    fn phase_and_readiness_follow_from_the_containers(
        #[case] policy: &str,
        #[case] init: Option<View>,
        #[case] main: View,
        #[case] phase: &str,
        #[case] ready: &str,
    ) {
        let status = status(&pod(policy), &board(init, main));
        assert_eq!(status.phase.as_deref(), Some(phase));
        let conditions = status.conditions.unwrap();
        let condition = conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!(condition.status, ready);
    }

    #[test]
    fn transition_times_move_only_with_the_status() {
        let mut pod = pod("Always");
        pod.status = Some(status(&pod, &board(None, running(false))));
        let board = board(None, running(true));
        let facts = Facts {
            pod: &pod,
            board: &board,
            pod_ip: [127, 9, 1, 0].into(),
            host_ip: [127, 9, 0, 10].into(),
            now: at(60),
        };
        let conditions = compute(&facts).conditions.unwrap();
        let time =
            |kind: &str| conditions.iter().find(|known| known.type_ == kind).unwrap().last_transition_time.clone();
        assert_eq!(time("Ready"), Some(Time(at(60))));
        assert_eq!(time("Initialized"), Some(Time(at(5))));
    }

    #[rstest]
    #[case::nothing(json!({}), "BestEffort")]
    #[case::gpu_only(json!({"limits": {"nvidia.com/gpu": "1"}}), "BestEffort")]
    #[case::request(json!({"requests": {"cpu": "1"}}), "Burstable")]
    #[case::equal(json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed")]
    fn the_quality_of_service_follows_from_the_resources(#[case] resources: Value, #[case] expected: &str) {
        let spec = serde_json::from_value(json!({"containers": [{"name": "c", "resources": resources}]})).unwrap();
        assert_eq!(qos_class(&spec), expected);
    }
}
