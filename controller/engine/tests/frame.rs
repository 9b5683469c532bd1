//! One decision: what the frame around the analyzer makes of a snapshot.

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{EARLIER, MODEL, ModelBuilder, START, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Evidence, Reason, Unsettled};
use wva_engine::settings::Settings;
use wva_engine::snapshot::{ModelKey, Readiness, Reading, Sample};
use wva_engine::{Thresholds, VariantKey};

/// Loads at which a model of any size needs capacity, or has some to spare.
const BUSY: (f64, f64) = (0.78, 4.0);
const IDLE: (f64, f64) = (0.05, 0.0);

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn reading(value: f64) -> Reading {
    Reading { value, age: SignedDuration::from_secs(10) }
}

/// A variant with one pod that reports `IDLE`, and one that has been ready for long and reports this.
fn one_odd_pod(kv_usage: impl Into<Option<Reading>>, queue_length: impl Into<Option<Reading>>) -> VariantBuilder {
    let (kv_usage, queue_length) = (kv_usage.into(), queue_length.into());
    let sample = Sample { model_id: MODEL.into(), kv_usage, queue_length, ..Sample::default() };
    variant("a").ready(1, IDLE).pods(1, Readiness::Ready { since: EARLIER }, Some(&sample))
}

#[test]
fn the_cheapest_variant_of_a_busy_model_grows() {
    let plan = Script::new().cycle([model(MODEL)
        .with(variant("a100").cost(40.0).ready(1, BUSY))
        .with(variant("h100").cost(80.0).ready(1, BUSY))]);

    assert_eq!((plan["a100"], plan["h100"]), (2, 1));
    assert_eq!(plan.target("h100").reason, Reason::OtherVariantScalesUp { variant: "a100".into() });
}

#[test]
fn the_most_expensive_variant_of_an_idle_model_shrinks() {
    let plan = Script::new().cycle([model(MODEL)
        .with(variant("a100").cost(40.0).ready(2, IDLE))
        .with(variant("h100").cost(80.0).ready(2, IDLE))]);

    assert_eq!((plan["a100"], plan["h100"]), (2, 1));
}

#[rstest]
#[case::one_pod_without_readings(variant("a").ready(2, IDLE).silent(1), Evidence::Partial { pods: vec!["a-002".into()] })]
#[case::no_queue_series(one_odd_pod(reading(0.0), None), Evidence::Partial { pods: vec!["a-001".into()] })]
#[case::no_kv_series(one_odd_pod(None, reading(0.0)), Evidence::Partial { pods: vec!["a-001".into()] })]
#[case::not_a_number(one_odd_pod(reading(f64::NAN), reading(0.0)), Evidence::Partial { pods: vec!["a-001".into()] })]
#[case::infinite(one_odd_pod(reading(0.0), reading(f64::INFINITY)), Evidence::Partial { pods: vec!["a-001".into()] })]
#[case::negative(one_odd_pod(reading(-0.5), reading(0.0)), Evidence::Partial { pods: vec!["a-001".into()] })]
#[case::no_queue_series_at_all(
    variant("a").pods(1, Readiness::Ready { since: EARLIER }, Some(&Sample {
        model_id: MODEL.into(), kv_usage: Some(reading(0.0)), ..Sample::default()
    })),
    Evidence::Partial { pods: vec!["a-000".into()] }
)]
#[case::no_readings(variant("a").silent(2), Evidence::Missing)]
#[case::readings_too_old(variant("a").read_ago(2, IDLE, minutes(3)), Evidence::Stale { age: minutes(3) })]
#[case::some_readings_too_old(
    variant("a").ready(1, IDLE).read_ago(1, IDLE, minutes(3)),
    Evidence::Partial { pods: vec!["a-001".into()] }
)]
#[case::another_model(
    variant("a").serving(1, "z").serving(1, "b"),
    Evidence::ModelNotServed { reported: vec!["b".into(), "z".into()] }
)]
#[case::another_model_on_one_pod(
    variant("a").ready(1, IDLE).serving(1, "b"),
    Evidence::Partial { pods: vec!["a-001".into()] }
)]
fn missing_readings_hold_the_last_number(#[case] variant: VariantBuilder, #[case] evidence: Evidence) {
    let published = Script::new().cycle(only(variant.clone().desired(4)));
    assert_eq!(published["a"], 4);
    assert_eq!(published.target("a").reason, Reason::Held);
    assert_eq!(published.target("a").evidence, evidence);
    assert_eq!(published.0.models[0].evidence, evidence);
    assert_eq!(published.0.models[0].analysis, None);

    let current = variant.0.current;
    assert_eq!(Script::new().cycle(only(variant))["a"], current, "without a published number the current one is held");
}

#[test]
fn a_failed_metric_source_holds_the_last_number() {
    let down = only(variant("a").ready(2, IDLE).desired(4)).map(|model| model.source_failed("connection refused"));

    let plan = Script::new().cycle(down);

    assert_eq!(plan["a"], 4);
    let failed = Evidence::SourceFailed { message: "connection refused".into() };
    assert_eq!((&plan.target("a").evidence, &plan.0.models[0].evidence), (&failed, &failed));
    assert_eq!(plan.target("a").reason, Reason::Held);
}

#[test]
fn a_gap_in_one_variant_holds_the_whole_model_and_no_other_model() {
    let plan = Script::new().cycle([
        model("torn").with(variant("seen").ready(2, BUSY)).with(variant("unseen").silent(1)),
        model("whole").with(variant("other").ready(1, BUSY)),
    ]);

    assert_eq!((plan["seen"], plan["unseen"], plan["other"]), (2, 1, 2));
    assert_eq!(plan.target("seen").evidence, Evidence::Complete);
    assert_eq!(plan.target("seen").reason, Reason::Held);
}

#[test]
fn readings_are_fresh_up_to_the_limit() {
    let limit = Settings::default().stale_after;

    assert_eq!(Script::new().cycle(only(variant("a").read_ago(1, BUSY, limit)))["a"], 2);
}

#[test]
fn a_fraction_of_a_waiting_request_is_none() {
    // 2.9 waiting requests count as 2, which leaves 3 of 5: not below the trigger.
    let plan = Script::new().cycle(only(variant("a").ready(1, (0.5, 2.9))));

    assert_eq!(plan.target("a").reason, Reason::Steady);
}

#[test]
fn a_pod_that_has_just_become_ready_may_take_a_moment_to_report() {
    let seconds_ago = |seconds| START - SignedDuration::from_secs(seconds);
    let settling = |since| only(variant("a").ready(1, BUSY).silent_since(1, since));

    let plan = Script::new().cycle(settling(seconds_ago(59)));
    assert_eq!(plan.target("a").evidence, Evidence::Complete);
    let unsettled = Unsettled::Metrics { reporting: 1, current: 2 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });

    let plan = Script::new().cycle(settling(seconds_ago(60)));
    assert_eq!(plan.target("a").evidence, Evidence::Partial { pods: vec!["a-001".into()] });
}

#[test]
fn a_model_waits_for_a_variant_that_is_about_to_report() {
    let plan =
        Script::new().cycle([model(MODEL).with(variant("a").ready(1, BUSY)).with(variant("b").silent_since(1, START))]);

    let unsettled = Unsettled::Metrics { reporting: 0, current: 1 };
    let waits = Reason::InTransition { variant: "b".into(), unsettled };
    assert_eq!((plan["a"], plan["b"]), (1, 1));
    assert_eq!((&plan.target("a").reason, &plan.target("b").reason), (&waits, &waits));
}

#[test]
fn a_model_does_not_wait_for_a_variant_that_is_still_loading() {
    let plan = Script::new()
        .cycle([model(MODEL).with(variant("a").ready(1, BUSY)).with(variant("b").pending_since(1, START))]);

    assert_eq!((plan["a"], plan["b"]), (2, 1));
    assert_eq!(plan.target("b").evidence, Evidence::Missing);
}

#[test]
fn a_variant_with_no_ready_pod_keeps_its_number() {
    let plan = Script::new().cycle(only(variant("a").pending_since(2, START)));

    assert_eq!(plan["a"], 2);
    assert_eq!(plan.target("a").evidence, Evidence::Missing);
    let unsettled = Unsettled::Metrics { reporting: 0, current: 2 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });
}

#[test]
fn a_variant_with_a_pod_that_is_not_ready_but_reports_is_passed_over() {
    let (kv_usage, queue_length) = (Some(reading(0.78)), Some(reading(4.0)));
    let sample = Sample { model_id: MODEL.into(), kv_usage, queue_length, ..Sample::default() };
    let warming = variant("a").cost(5.0).ready(1, BUSY).pods(1, Readiness::NotReady { since: START }, Some(&sample));

    let plan = Script::new().cycle([model(MODEL).with(warming).with(variant("b").cost(9.0).ready(1, BUSY))]);

    assert_eq!((plan["a"], plan["b"]), (2, 2));
}

#[rstest]
#[case::never_published(None, 0)]
#[case::published(Some(2), 2)]
#[case::put_to_sleep(Some(0), 0)]
fn a_variant_at_zero_takes_no_part_and_keeps_its_number(#[case] desired: Option<u32>, #[case] replicas: u32) {
    let mut asleep = variant("asleep").cost(1.0).at_least(1);
    asleep.0.desired = desired;

    let plan = Script::new().cycle([model(MODEL).with(asleep).with(variant("awake").cost(9.0).ready(1, BUSY))]);

    assert_eq!((plan["asleep"], plan["awake"]), (replicas, 2));
    assert_eq!(plan.target("asleep").reason, Reason::AtZero);
}

/// An autoscaler with a maximum of 10 cannot follow 11; one with a minimum of 2 cannot follow 1.
#[rstest]
#[case::above_the_maximum(variant("a").ready(10, IDLE).desired(11).at_most(10), 9)]
#[case::below_the_minimum(variant("a").ready(2, BUSY).desired(1).at_least(2), 3)]
fn a_number_out_of_reach_does_not_freeze_the_model(#[case] variant: VariantBuilder, #[case] replicas: u32) {
    assert_eq!(Script::new().cycle(only(variant))["a"], replicas);
}

#[rstest]
#[case::at_the_maximum(variant("a").ready(3, BUSY).at_most(3), 3, Reason::NoVariantCanGrow)]
#[case::at_the_minimum(variant("a").ready(3, IDLE).at_least(3), 3, Reason::Steady)]
#[case::above_the_maximum(
    variant("a").ready(3, (0.5, 1.0)).at_most(2), 2, Reason::Bounded { min: None, max: Some(2) }
)]
#[case::below_the_minimum(
    variant("a").ready(1, (0.5, 1.0)).at_least(2), 2, Reason::Bounded { min: Some(2), max: None }
)]
#[case::published_under_other_limits(
    variant("a").ready(2, (0.5, 1.0)).desired(9).at_most(4), 4, Reason::Bounded { min: None, max: Some(4) }
)]
fn a_target_stays_within_the_limits_of_its_follower(
    #[case] variant: VariantBuilder,
    #[case] replicas: u32,
    #[case] reason: Reason,
) {
    let plan = Script::new().cycle(only(variant));

    assert_eq!(plan["a"], replicas);
    assert_eq!(plan.target("a").reason, reason);
}

#[test]
fn a_held_number_stays_within_the_limits_too() {
    let plan = Script::new().cycle(only(variant("a").silent(2).desired(9).at_most(4)));

    assert_eq!(plan["a"], 4);
    assert_eq!(plan.target("a").reason, Reason::Held);
}

#[test]
fn a_running_variant_keeps_one_replica_whatever_was_published() {
    // Published when the workload was at zero; somebody has scaled it up since.
    let scaled_up_by_hand = [
        variant("a").ready(2, (0.5, 1.0)).desired(0),
        variant("a").pending_since(2, START).desired(0),
        variant("a").silent(2).desired(0),
    ];
    for variant in scaled_up_by_hand {
        assert_eq!(Script::new().cycle(only(variant))["a"], 2);
    }
}

#[test]
fn a_paused_controller_holds_every_number_and_still_looks() {
    let mut script = Script::new();
    script.settings.enabled = false;

    let plan = script.cycle([model(MODEL)
        .with(variant("a").ready(2, BUSY))
        .with(variant("b").ready(2, BUSY).desired(5))
        .with(variant("c").desired(3))]);

    assert_eq!((plan["a"], plan["b"], plan["c"]), (2, 5, 3));
    assert!(plan.0.targets.iter().all(|target| target.reason == Reason::Paused));
    assert_eq!(plan.target("a").evidence, Evidence::Complete);
    assert!(plan.0.models[0].analysis.as_ref().is_some_and(|it| it.should_scale_up));
}

#[test]
fn thresholds_of_a_single_model_hold_for_that_model_only() {
    let mut script = Script::new();
    let key = ModelKey { namespace: "llm".into(), model_id: "patient".into() };
    let patient = Thresholds { kv_spare_trigger: 0.01, queue_spare_trigger: 0.5, ..Thresholds::DEFAULT };
    script.settings.thresholds.models.insert(key, patient);

    let plan = script
        .cycle([model("patient").with(variant("a").ready(2, BUSY)), model("usual").with(variant("b").ready(2, BUSY))]);

    assert_eq!((plan["a"], plan["b"]), (2, 3));
}

#[test]
fn a_plan_lists_every_variant_and_model_in_order() {
    let plan = Script::new().cycle([
        model("z").with(variant("c").ready(1, IDLE)).with(variant("a").ready(1, IDLE)),
        model("m").with(variant("b")),
        model("empty"),
    ]);

    let variants: Vec<_> = plan.0.targets.iter().map(|it| it.variant.name.as_str()).collect();
    let models: Vec<_> = plan.0.models.iter().map(|it| it.key.model_id.as_str()).collect();
    assert_eq!((variants.as_slice(), models.as_slice()), (["a", "b", "c"].as_slice(), ["empty", "m", "z"].as_slice()));
    assert_eq!(plan.target("a").variant, VariantKey { namespace: "llm".into(), name: "a".into() });
}
