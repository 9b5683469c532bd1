use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wva_api::DesiredAllocation;
use wva_api::conditions::condition;
use wva_engine::Reason;
use wva_engine::plan::Evidence;
use wva_engine::snapshot::VariantKey;

use super::*;

/// A status by its conditions (type, status, reason; the message is the reason in words) and its target.
fn status(conditions: &[(&str, bool, &str)], replicas: Option<i32>) -> VariantAutoscalingStatus {
    let now = || Time(Timestamp::UNIX_EPOCH);
    let stated = conditions
        .iter()
        .map(|(type_, status, reason)| condition(type_, *status, reason, format!("because of {reason}"), None, now()));
    VariantAutoscalingStatus {
        conditions: stated.collect(),
        desired_optimized_alloc: replicas
            .map(|replicas| DesiredAllocation { num_replicas: Some(replicas), ..DesiredAllocation::default() }),
        ..VariantAutoscalingStatus::default()
    }
}

fn decision(current: u32, reason: Reason) -> Target {
    Target {
        variant: VariantKey { namespace: "ns".to_owned(), name: "llama".to_owned() },
        model_id: "llama".to_owned(),
        accelerator: "A100".to_owned(),
        current,
        replicas: 0,
        reason,
        notes: Vec::new(),
        evidence: Evidence::Complete,
    }
}

fn transitions(
    before: &VariantAutoscalingStatus,
    after: &VariantAutoscalingStatus,
    decision: Option<&Target>,
) -> Vec<String> {
    let sentence = |Transition { warning, reason, message }| {
        format!("{} {reason}: {message}", if warning { "Warning" } else { "Normal" })
    };
    between(&Reported::of(before), after, decision).into_iter().map(sentence).collect()
}

const FOUND: (&str, bool, &str) = (conditions::READY, true, reasons::DEPLOYMENT_FOUND);
const LOST: (&str, bool, &str) = (conditions::READY, false, reasons::DEPLOYMENT_NOT_FOUND);
const DECIDED: (&str, bool, &str) = (conditions::OPTIMIZATION_READY, true, reasons::SATURATION_ONLY_MODE);
const HELD: (&str, bool, &str) = (conditions::OPTIMIZATION_READY, false, reasons::METRICS_UNAVAILABLE);
const OUTAGE: (&str, bool, &str) = (conditions::METRICS_AVAILABLE, false, reasons::PROMETHEUS_ERROR);

#[test]
fn a_target_that_comes_goes_or_is_contested_is_told() {
    let (none, found, lost) = (status(&[], None), status(&[FOUND], None), status(&[LOST], None));
    assert_eq!(transitions(&none, &lost, None), ["Warning TargetNotFound: because of DeploymentNotFound"]);
    assert_eq!(transitions(&lost, &found, None), ["Normal TargetFound: because of DeploymentFound"]);
    for reason in [reasons::TARGET_CONFLICT, reasons::INSTANCE_CONFLICT, reasons::INVALID_SPEC] {
        let refused = status(&[(conditions::READY, false, reason)], None);
        assert_eq!(transitions(&found, &refused, None), [format!("Warning {reason}: because of {reason}")]);
    }
}

#[test]
fn a_new_target_is_told_with_its_reason() {
    let (two, three, zero) = (status(&[FOUND], Some(2)), status(&[FOUND], Some(3)), status(&[FOUND], Some(0)));
    let by = |current| Some(decision(current, Reason::Steady));
    let up = "Normal ScaledUp: Target changed from 2 to 3 replicas (2 there): load and capacity are in balance";
    assert_eq!(transitions(&two, &three, by(2).as_ref()), [up]);
    let reason = |before, after| transitions(before, after, by(2).as_ref())[0].split(':').next().unwrap().to_owned();
    assert_eq!(reason(&three, &two), "Normal ScaledDown");
    assert_eq!(reason(&two, &zero), "Normal ScaledToZero");
    assert_eq!(reason(&zero, &two), "Normal ScaledFromZero");
}

#[test]
fn a_first_decision_is_told_only_if_it_changes_something() {
    let (none, two) = (status(&[FOUND], None), status(&[FOUND], Some(2)));
    assert!(transitions(&none, &two, Some(&decision(2, Reason::Steady))).is_empty());
    assert_eq!(transitions(&none, &two, Some(&decision(1, Reason::Steady))).len(), 1);
}

#[test]
fn the_safety_net_is_told_when_it_begins_and_when_it_ends() {
    let (decided, held) = (status(&[FOUND, DECIDED], Some(2)), status(&[FOUND, OUTAGE, HELD], Some(2)));
    let held_decision = decision(2, Reason::Held);
    let activated = "Warning SafetyNetActivated: because of PrometheusError; holding 2 replicas";
    assert_eq!(transitions(&decided, &held, Some(&held_decision)), [activated]);
    assert!(transitions(&held, &held, Some(&held_decision)).is_empty());
    let released = "Normal SafetyNetReleased: Metrics allow decisions again";
    assert_eq!(transitions(&held, &decided, Some(&decision(2, Reason::Steady))), [released]);
}

#[test]
fn an_unchanged_status_tells_nothing() {
    let same = status(&[FOUND, DECIDED], Some(2));
    assert!(transitions(&same, &same, Some(&decision(2, Reason::Steady))).is_empty());
}
