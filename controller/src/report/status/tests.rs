use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use wva_engine::VariantKey;
use wva_engine::plan::Unsettled;

use super::*;
use crate::cluster::index::convert;
use crate::fixtures::{variant as text, yaml};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn stored(status: VariantAutoscalingStatus) -> Variant {
    Variant { status, ..convert::variant(yaml(&text("llama-8b"))) }
}

fn target(replicas: u32, reason: Reason, evidence: Evidence) -> Target {
    Target {
        variant: VariantKey { namespace: "ns".into(), name: "llama-8b".into() },
        model_id: "llama".into(),
        accelerator: "A100".into(),
        current: 2,
        replicas,
        reason,
        notes: Vec::new(),
        evidence,
    }
}

fn written(status: &VariantAutoscalingStatus) -> String {
    serde_saphyr::to_string(status).unwrap()
}

#[test]
fn the_status_of_a_decision() {
    let decision = target(2, Reason::Steady, Evidence::Complete);
    let status = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    insta::assert_snapshot!(written(&status), @r#"
        desiredOptimizedAlloc:
          lastRunTime: "2023-11-14T22:13:20Z"
          accelerator: A100
          numReplicas: 2
        actuation:
          applied: true
        conditions:
        - lastTransitionTime: "2023-11-14T22:13:20Z"
          message: Target deployment 'llama-8b' found
          observedGeneration: 1
          reason: DeploymentFound
          status: "True"
          type: Ready
        - lastTransitionTime: "2023-11-14T22:13:20Z"
          message: Scale target Deployment llama-8b found
          observedGeneration: 1
          reason: TargetFound
          status: "True"
          type: TargetResolved
        - lastTransitionTime: "2023-11-14T22:13:20Z"
          message: Saturation metrics data is available for scaling decisions
          observedGeneration: 1
          reason: MetricsFound
          status: "True"
          type: MetricsAvailable
        - lastTransitionTime: "2023-11-14T22:13:20Z"
          message: "Load and capacity are in balance (target: 2 replicas)"
          observedGeneration: 1
          reason: OptimizationSucceeded
          status: "True"
          type: OptimizationReady
        "#);
}

#[test]
fn a_lost_target_clears_the_allocation_and_says_so() {
    let decision = target(2, Reason::Steady, Evidence::Complete);
    let before = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    let after = status(&stored(before), &Eligibility::TargetMissing, None, at(9));
    insta::assert_snapshot!(written(&after), @r#"
        desiredOptimizedAlloc: {}
        conditions:
        - lastTransitionTime: "2023-11-14T22:13:29Z"
          message: Target deployment 'llama-8b' no longer exists
          observedGeneration: 1
          reason: DeploymentNotFound
          status: "False"
          type: Ready
        - lastTransitionTime: "2023-11-14T22:13:29Z"
          message: Scale target Deployment llama-8b not found
          observedGeneration: 1
          reason: TargetNotFound
          status: "False"
          type: TargetResolved
        - lastTransitionTime: "2023-11-14T22:13:29Z"
          message: Target deployment 'llama-8b' no longer exists
          observedGeneration: 1
          reason: DeploymentNotFound
          status: "False"
          type: OptimizationReady
        "#);
}

#[test]
fn a_found_target_is_reported_before_the_next_decision() {
    let lost = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::TargetMissing, None, at(0));
    let found = status(&stored(lost), &Eligibility::Ready, None, at(5));
    let ready = conditions::find(&found.conditions, conditions::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("True", "DeploymentFound"));
    assert_eq!(ready.last_transition_time, Time(at(5)));
    assert!(conditions::find(&found.conditions, conditions::OPTIMIZATION_READY).is_none(), "nothing is decided yet");
}

#[rstest]
#[case::conflict(Eligibility::TargetConflict(vec!["b".into(), "c".into()]), "TargetConflict", "Target deployment 'llama-8b' is also the target of b, c; delete all but one VariantAutoscaling")]
#[case::no_model(
    Eligibility::NoModel,
    "InvalidSpec",
    "spec.modelID is empty; set it to the model name the servers report"
)]
#[case::kind(Eligibility::Unscalable("Kind Job (batch/v1) has no scale".to_owned()), "InvalidSpec", "Kind Job (batch/v1) has no scale")]
fn what_keeps_a_variant_from_being_decided_is_its_ready_condition(
    #[case] eligibility: Eligibility,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let status = status(&stored(VariantAutoscalingStatus::default()), &eligibility, None, at(0));
    let ready = conditions::find(&status.conditions, conditions::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str(), ready.message.as_str()), ("False", reason, message));
    assert_eq!(status.desired_optimized_alloc, Some(DesiredAllocation::default()));
}

#[rstest]
#[case::complete(Evidence::Complete, "True MetricsFound: Saturation metrics data is available for scaling decisions")]
#[case::missing(
    Evidence::Missing,
    "False MetricsMissing: No saturation metrics available - pods may not be ready or metrics not yet scraped"
)]
#[case::partial(Evidence::Partial { pods: vec!["p1".into()] }, "False MetricsMissing: Ready pods without fresh metrics: p1")]
#[case::stale(Evidence::Stale { age: SignedDuration::from_secs(200) }, "False MetricsStale: Saturation metrics are too old for scaling decisions")]
#[case::failed(Evidence::SourceFailed { message: "HTTP 503".into() }, "False PrometheusError: Failed to query Prometheus: HTTP 503")]
#[case::other_model(Evidence::ModelNotServed { reported: vec!["qwen".into()] }, "False ModelNotServed: The pods report qwen, not llama")]
fn the_metrics_condition_names_the_cause(#[case] evidence: Evidence, #[case] expect: &str) {
    let decision = target(2, Reason::Held, evidence);
    let status = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    let found = conditions::find(&status.conditions, conditions::METRICS_AVAILABLE).unwrap();
    assert_eq!(format!("{} {}: {}", found.status, found.reason, found.message), expect);
}

#[rstest]
#[case::steady(Reason::Steady, "True OptimizationSucceeded")]
#[case::at_zero(Reason::AtZero, "True OptimizationSucceeded")]
#[case::no_room(Reason::NoVariantCanGrow, "True SaturationOnlyMode")]
#[case::held(Reason::Held, "False MetricsUnavailable")]
#[case::paused(Reason::Paused, "False OptimizationPaused")]
fn the_optimization_condition_tells_a_decision_from_a_hold(#[case] reason: Reason, #[case] expect: &str) {
    let decision = target(2, reason, Evidence::Complete);
    let status = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    let found = conditions::find(&status.conditions, conditions::OPTIMIZATION_READY).unwrap();
    assert_eq!(format!("{} {}", found.status, found.reason), expect);
    assert!(found.message.ends_with("(target: 2 replicas)"), "{}", found.message);
}

#[test]
fn a_decision_confirmed_changes_no_time_and_calls_for_no_write() {
    let decision = target(2, Reason::Steady, Evidence::Complete);
    let first = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    let second = status(&stored(first.clone()), &Eligibility::Ready, Some(&decision), at(60));
    assert_eq!(first, second);
    assert!(!differs(&first, &second));
}

#[test]
fn a_new_target_changes_the_run_time_and_calls_for_a_write() {
    let decision = target(2, Reason::Steady, Evidence::Complete);
    let first = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    let unsettled = Unsettled::Replicas { desired: 3, current: 2 };
    let reason = Reason::InTransition { variant: "llama-8b".into(), unsettled };
    let next = target(3, reason, Evidence::Complete);
    let second = status(&stored(first.clone()), &Eligibility::Ready, Some(&next), at(60));
    assert!(differs(&first, &second));
    assert_eq!(second.desired_optimized_alloc.unwrap().last_run_time, Some(Time(at(60))));
    assert_eq!(second.actuation, Some(Actuation { applied: false }));
    let kept = conditions::find(&second.conditions, conditions::READY).unwrap();
    assert_eq!(kept.last_transition_time, Time(at(0)), "ready as before");
}

#[test]
fn an_allocation_without_members_says_the_same_as_none() {
    let empty = VariantAutoscalingStatus {
        desired_optimized_alloc: Some(DesiredAllocation::default()),
        ..VariantAutoscalingStatus::default()
    };
    assert!(!differs(&empty, &VariantAutoscalingStatus::default()));
}

#[test]
fn a_target_of_zero_is_written_as_zero() {
    let decision = Target { replicas: 0, ..target(0, Reason::AtZero, Evidence::Missing) };
    let status = status(&stored(VariantAutoscalingStatus::default()), &Eligibility::Ready, Some(&decision), at(0));
    assert_eq!(status.desired_optimized_alloc.unwrap().num_replicas, Some(0));
}
