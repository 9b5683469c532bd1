//! Variants that a person holds at a number.

use jiff::SignedDuration;
use proptest::prelude::*;
use rstest::rstest;
use wva_engine::Reason;
use wva_engine::fixtures::{MODEL, ModelBuilder, START, Script, VariantBuilder, model, snapshot, variant};
use wva_engine::plan::{Note, Outcome};
use wva_engine::snapshot::{Pause, PauseRequest, Zero};

const IDLE: (f64, f64) = (0.05, 0.0);
const SATURATED: (f64, f64) = (0.95, 9.0);

fn at(replicas: Option<u32>) -> Pause {
    Pause { replicas, by: Some("alice".into()), ..Pause::default() }
}

fn paused(variant: VariantBuilder, pause: Pause) -> VariantBuilder {
    let mut variant = variant;
    variant.0.pause = Some(PauseRequest::Asked(pause));
    variant
}

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

#[rstest]
#[case::what_is_published(variant("a").ready(2, SATURATED).desired(3), None, 3)]
#[case::what_is_there_before_anything_is_published(variant("a").ready(2, SATURATED), None, 2)]
#[case::a_number(variant("a").ready(2, SATURATED), Some(5), 5)]
#[case::a_number_above_the_ceiling(variant("a").ready(2, SATURATED).at_most(4), Some(9), 4)]
#[case::a_number_below_the_floor(variant("a").ready(3, IDLE).at_least(2), Some(1), 2)]
#[case::zero_where_somebody_takes_it_there(variant("a").ready(3, IDLE).zero_by(Zero::Controller), Some(0), 0)]
#[case::zero_where_nobody_may(variant("a").ready(3, IDLE).at_least(1), Some(0), 1)]
#[case::asleep_it_stays_asleep(variant("a").desired(2).at_least(1), None, 0)]
#[case::asleep_at_zero(variant("a").at_least(1), Some(0), 0)]
#[case::asleep_and_a_number_is_named(variant("a").at_least(1), Some(2), 2)]
#[case::without_metrics(variant("a").silent(2), Some(3), 3)]
fn a_paused_variant_is_held_within_its_limits_whatever_its_load(
    #[case] variant: VariantBuilder,
    #[case] replicas: Option<u32>,
    #[case] expect: u32,
) {
    let plan = Script::new().cycle(only(paused(variant, at(replicas))));
    let target = plan.target("a");
    assert_eq!(target.reason, Reason::VariantPaused { pause: at(replicas), replicas: expect });
    assert_eq!((target.replicas, target.reason.outcome()), (expect, Outcome::Paused));
    assert_eq!(target.wakes(), target.current == 0 && expect > 0, "a number that is named is brought about");
}

#[test]
fn a_pause_lasts_over_restarts_and_ends_by_itself() {
    let mut script = Script::new();
    let until = script.now() + SignedDuration::from_mins(10);
    let pause = || Pause { until: Some(until), ..at(None) };
    let models = || only(paused(variant("a").ready(2, SATURATED), pause()));
    for _ in 0..10 {
        assert_eq!(script.cycle(models())["a"], 2);
        script.pass(SignedDuration::from_mins(1)).restart();
    }
    let plan = script.cycle(models());
    assert_eq!(plan["a"], 3, "it is saturated, and the pause is over: {}", plan.target("a").reason);
}

#[test]
fn while_the_cheapest_is_paused_another_variant_grows_and_shrinks() {
    let models = |load| {
        [model(MODEL)
            .with(paused(variant("cheap").cost(1.0).ready(2, load), at(None)))
            .with(variant("dear").cost(9.0).ready(2, load))]
    };
    let plan = Script::new().cycle(models(SATURATED));
    assert_eq!((plan["cheap"], plan["dear"]), (2, 3));

    let dear = [model(MODEL)
        .with(variant("cheap").cost(1.0).ready(2, IDLE))
        .with(paused(variant("dear").cost(9.0).ready(2, IDLE), at(None)))];
    let plan = Script::new().cycle(dear);
    assert_eq!((plan["cheap"], plan["dear"]), (1, 2));
}

#[test]
fn a_pause_holds_where_all_decisions_are_paused() {
    let mut script = Script::new();
    script.settings.enabled = false;
    assert_eq!(script.cycle(only(paused(variant("a").ready(2, IDLE), at(Some(4)))))["a"], 4);
}

#[test]
fn what_is_not_understood_is_said_and_not_obeyed() {
    let mut variant = variant("a").ready(2, SATURATED);
    variant.0.pause = Some(PauseRequest::Malformed("no number".into()));
    let plan = Script::new().cycle(only(variant));
    assert_eq!(plan["a"], 3);
    assert_eq!(plan.target("a").notes, [Note::PauseNotObeyed { why: "no number".into() }]);
    assert!(plan.target("a").explanation().ends_with("; the pause is not obeyed: no number"));
}

#[test]
fn the_first_of_the_pauses_to_end_is_known() {
    let now = START;
    let ending = |minutes: i64| Pause { until: Some(now + SignedDuration::from_mins(minutes)), ..at(None) };
    let models = [model(MODEL)
        .with(paused(variant("a").ready(1, IDLE), ending(9)))
        .with(paused(variant("b").ready(1, IDLE), ending(5)))
        .with(paused(variant("over").ready(1, IDLE), ending(-5)))
        .with(paused(variant("endless").ready(1, IDLE), at(None)))];
    assert_eq!(snapshot(models).next_end_of_a_pause(now), Some(now + SignedDuration::from_mins(5)));
    assert_eq!(snapshot([model(MODEL).with(variant("a").ready(1, IDLE))]).next_end_of_a_pause(now), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the load, whatever is missing, whatever others of its model do.
    #[test]
    fn a_paused_number_is_the_same_for_every_load_and_within_its_limits(
        loads in prop::collection::vec((0.0..1.0_f64, 0.0..50.0_f64), 1..12),
        asked in prop::option::of(0..12_u32),
        replicas in 1..6_u32,
        (min, max) in (0..4_u32, 4..9_u32),
        others in 0..4_u32,
    ) {
        let mut script = Script::new();
        let mut seen = Vec::new();
        for load in loads {
            let held = variant("held").cost(1.0).ready(replicas, load).desired(replicas).at_least(min).at_most(max);
            let other = variant("other").cost(2.0).ready(others, load);
            let plan = script.cycle([model(MODEL).with(paused(held, at(asked))).with(other)]);
            let number = plan["held"];
            prop_assert_eq!(number, asked.unwrap_or(replicas).clamp(min, max));
            seen.push(number);
            script.pass(SignedDuration::from_secs(30));
        }
        prop_assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    }
}
