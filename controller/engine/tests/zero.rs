//! Scaling models to zero and waking them.

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, START, Script, VariantBuilder, model, reading, snapshot, variant};
use wva_engine::plan::{Note, Reason};
use wva_engine::settings::{FailMode, Limiter, PerModel, ZeroPolicy};
use wva_engine::snapshot::{Demand, Gateway, Gpus, Inventory, ModelKey, Readiness, Reading, Zero};
use wva_engine::{Memory, wake};

const IDLE: (f64, f64) = (0.0, 0.0);
const BUSY: (f64, f64) = (0.78, 4.0);
const BALANCED: (f64, f64) = (0.65, 1.0);

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A controller that puts models to sleep after ten minutes.
fn sleepy() -> Script {
    let mut script = Script::new();
    script.settings.zero = PerModel::all(ZeroPolicy { enabled: true, retention: minutes(10) });
    script
}

fn idle(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).asked_nothing()]
}

fn nothing() -> Demand {
    let nothing = Some(reading(0.0));
    let gateway = Gateway::Queued(reading(0.0));
    Demand { completed: nothing, running: nothing, waiting: nothing, gateway, arrival_rate: None }
}

/// The plan of a controller that has seen this for longer than the retention.
fn after_long(models: impl Fn() -> [ModelBuilder; 1]) -> wva_engine::fixtures::Cycle {
    let mut script = sleepy();
    script.cycle(models());
    script.pass(minutes(11)).cycle(models())
}

// === To zero ===

#[test]
fn a_model_that_is_idle_for_the_retention_is_put_to_sleep_with_all_its_variants() {
    let mut script = sleepy();
    let models = || [model(MODEL).with(variant("a").ready(1, IDLE)).with(variant("b").ready(2, IDLE)).asked_nothing()];

    let plan = script.cycle(models());
    assert!(plan["a"] > 0 && plan["b"] > 0);
    let only = |b| [model(MODEL).with(variant("a").ready(1, IDLE)).with(variant("b").ready(b, IDLE)).asked_nothing()];
    assert_eq!(script.pass(minutes(9)).cycle(only(1))["a"], 1);

    let plan = script.pass(minutes(1)).cycle(only(1));
    assert_eq!((plan["a"], plan["b"]), (0, 0));
    assert_eq!(plan.target("a").reason, Reason::ScaledToZero { retention: minutes(10) });

    // Nobody has followed yet: the number stays.
    let plan = script.pass(minutes(1)).cycle(only(1));
    assert_eq!((plan["a"], plan["b"]), (0, 0));

    let plan = script.pass(minutes(1)).cycle([model(MODEL).with(variant("a")).with(variant("b")).asked_nothing()]);
    assert_eq!((plan["a"], &plan.target("a").reason), (0, &Reason::AtZero));
}

#[rstest]
#[case::an_hpa_that_the_controller_helps(Zero::Controller, 1, 0)]
#[case::keda_whose_idle_count_is_below_its_minimum(Zero::Autoscaler, 2, 0)]
#[case::one_that_keeps_replicas(Zero::Never, 2, 2)]
fn an_idle_model_goes_as_far_as_somebody_takes_it(#[case] zero: Zero, #[case] min: u32, #[case] expect: u32) {
    let plan = after_long(|| idle(variant("a").ready(2, IDLE).desired(2).at_least(min).zero_by(zero)));

    assert_eq!(plan["a"], expect);
}

#[test]
fn what_is_paused_at_zero_is_not_said_to_wake() {
    let paused = variant("a").at_most(0).desired(1).zero_by(Zero::Autoscaler);
    let plan = Script::new().cycle([model(MODEL).with(paused).asked_nothing()]);

    assert_eq!((plan["a"], &plan.target("a").reason), (0, &Reason::AtZero));
}

#[test]
fn c80_an_idle_model_goes_to_zero_from_any_number() {
    // Two replicas of the one, one of the other: 0 and 0.
    let plan = after_long(|| {
        let thrifty = variant("a").ready(2, IDLE).at_least(0).at_most(2).desired(2);
        [model(MODEL).with(thrifty).with(variant("b").ready(1, IDLE).desired(1)).asked_nothing()]
    });

    assert_eq!((plan["a"], plan["b"]), (0, 0));
}

#[rstest]
#[case::c81_requests_were_completed(Demand { completed: Some(reading(10.0)), ..nothing() })]
#[case::c81_the_count_is_not_known(Demand { completed: None, ..nothing() })]
#[case::c123_the_counter_is_not_there_yet(Demand { completed: None, ..nothing() })]
#[case::requests_are_computed(Demand { running: Some(reading(1.0)), ..nothing() })]
#[case::requests_wait_in_a_server(Demand { waiting: Some(reading(1.0)), ..nothing() })]
#[case::requests_wait_at_the_gateway(Demand { gateway: Gateway::Queued(reading(1.0)), ..nothing() })]
#[case::running_is_not_known(Demand { running: None, ..nothing() })]
#[case::waiting_is_not_known(Demand { waiting: None, ..nothing() })]
#[case::the_gateway_is_not_known(Demand { gateway: Gateway::Unknown, ..nothing() })]
#[case::not_a_number(Demand { completed: Some(reading(f64::NAN)), ..nothing() })]
#[case::an_old_reading(Demand { running: Some(Reading { value: 0.0, age: minutes(3) }), ..nothing() })]
#[case::nothing_is_known(Demand::default())]
fn a_model_that_is_not_known_to_be_idle_stays_awake(#[case] demand: Demand) {
    let plan = after_long(|| [model(MODEL).with(variant("a").ready(1, IDLE)).asked(demand)]);

    assert_eq!((plan["a"], &plan.target("a").reason), (1, &Reason::Steady));
}

#[test]
fn a_model_goes_to_sleep_one_retention_after_its_last_request_and_not_two() {
    let mut script = sleepy();
    let asked = |demand| [model(MODEL).with(variant("a").ready(1, IDLE)).asked(demand)];
    // A request is computed for a while; its counter looks back over ten minutes.
    let computed = Demand { running: Some(reading(1.0)), ..nothing() };
    script.cycle(asked(computed));
    assert_eq!(script.pass(minutes(20)).cycle(asked(computed))["a"], 1);
    let completed = Demand { completed: Some(reading(1.0)), ..nothing() };
    assert_eq!(script.pass(minutes(1)).cycle(asked(completed))["a"], 1);
    assert_eq!(script.pass(minutes(9)).cycle(asked(completed))["a"], 1);
    assert_eq!(script.pass(minutes(1)).cycle(asked(nothing()))["a"], 0);
}

#[test]
fn a_model_without_a_gateway_can_be_known_to_be_idle() {
    let plan = after_long(|| {
        [model(MODEL).with(variant("a").ready(1, IDLE)).asked(Demand { gateway: Gateway::None, ..nothing() })]
    });

    assert_eq!(plan["a"], 0);
}

#[test]
fn an_idle_model_stays_awake_without_a_policy() {
    let mut script = Script::new();
    script.cycle(idle(variant("a").ready(1, IDLE)));

    assert_eq!(script.pass(minutes(60)).cycle(idle(variant("a").ready(1, IDLE)))["a"], 1);
}

#[test]
fn a_policy_of_a_single_model_holds_for_that_model_only() {
    let mut script = Script::new();
    let key = ModelKey { namespace: "llm".into(), model_id: "sleepy".into() };
    script.settings.zero.models.insert(key, ZeroPolicy { enabled: true, retention: minutes(5) });
    let models = || {
        let of = |id, name| model(id).with(variant(name).ready(1, IDLE)).asked_nothing();
        [of("sleepy", "a"), of("awake", "b")]
    };
    script.cycle(models());

    let plan = script.pass(minutes(5)).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (0, 1));
}

#[test]
fn a_model_whose_pods_have_just_started_stays_awake_for_the_retention() {
    let mut script = sleepy();
    script.cycle(idle(variant("a").ready(1, IDLE)));
    script.pass(minutes(20));
    // The controller has watched for long, the only pod has not been there for long.
    let since = script.now() - minutes(9);
    let restarted = || {
        let sample = variant("a").ready(1, IDLE).0.pods[0].sample.clone();
        idle(variant("a").pods(1, Readiness::Ready { since }, sample.as_ref()))
    };

    assert_eq!(script.cycle(restarted())["a"], 1);
    assert_eq!(script.pass(minutes(1)).cycle(restarted())["a"], 0);
}

#[test]
fn a_restarted_controller_watches_for_the_retention_again() {
    let mut script = sleepy();
    let models = || idle(variant("a").ready(1, IDLE));
    script.cycle(models());
    script.pass(minutes(9)).restart();

    assert_eq!(script.pass(minutes(1)).cycle(models())["a"], 1);
    assert_eq!(script.pass(minutes(10)).cycle(models())["a"], 0);
}

#[test]
fn a_counter_that_appears_counts_as_a_request() {
    let mut script = sleepy();
    let counted = |completed| [model(MODEL).with(variant("a").ready(1, IDLE)).asked(Demand { completed, ..nothing() })];
    script.cycle(counted(None));
    script.pass(minutes(20)).cycle(counted(None));

    // It appears at 1, which is an increase of 0.
    assert_eq!(script.pass(minutes(1)).cycle(counted(Some(reading(0.0))))["a"], 1);
    assert_eq!(script.pass(minutes(9)).cycle(counted(Some(reading(0.0))))["a"], 0);
}

#[test]
fn a_request_that_was_aborted_counts_too() {
    let mut script = sleepy();
    let running = |running| {
        let running = Some(reading(running));
        [model(MODEL).with(variant("a").ready(1, IDLE)).asked(Demand { running, ..nothing() })]
    };
    script.cycle(running(0.0));
    script.pass(minutes(9)).cycle(running(1.0));

    assert_eq!(script.pass(minutes(9)).cycle(running(0.0))["a"], 1);
    assert_eq!(script.pass(minutes(1)).cycle(running(0.0))["a"], 0);
}

#[test]
fn a_failed_metric_source_neither_puts_a_model_to_sleep_nor_starts_its_clock_again() {
    let mut script = sleepy();
    let models = || idle(variant("a").ready(1, IDLE));
    script.cycle(models());
    let failed = [model(MODEL).with(variant("a").ready(1, IDLE)).source_failed("timeout")];
    assert_eq!(script.pass(minutes(10)).cycle(failed)["a"], 1);

    assert_eq!(script.pass(minutes(1)).cycle(models())["a"], 0);
}

#[rstest]
#[case::c122_replicas_to_come(variant("a").ready(1, IDLE).desired(3), 3)]
#[case::a_pod_that_loads(variant("a").ready(1, IDLE).pending_since(1, START + minutes(5)), 1)]
#[case::a_pod_without_metrics(variant("a").ready(1, IDLE).silent(1), 1)]
fn a_model_under_way_is_not_put_to_sleep(#[case] under_way: VariantBuilder, #[case] replicas: u32) {
    let mut script = sleepy();
    script.cycle(idle(variant("a").ready(1, IDLE).desired(1)));

    assert_eq!(script.pass(minutes(11)).cycle(idle(under_way))["a"], replicas);
}

#[test]
fn an_idle_variant_stays_at_the_minimum_of_its_follower() {
    let plan = after_long(|| {
        let kept = variant("kept").ready(3, IDLE).desired(3).at_least(2).at_most(3);
        [model(MODEL).with(kept).with(variant("free").ready(1, IDLE).at_least(0)).asked_nothing()]
    });

    assert_eq!((plan["kept"], plan["free"]), (2, 0));
    assert_eq!(plan.target("kept").reason, Reason::IdleAtMinimum { min: 2 });
}

#[test]
fn a_model_without_metrics_is_not_put_to_sleep() {
    assert_eq!(after_long(|| idle(variant("a").pending_since(1, START - minutes(60))))["a"], 1);
    assert_eq!(after_long(|| idle(variant("a").silent(2)))["a"], 2);
}

#[test]
fn a_paused_controller_puts_nothing_to_sleep_and_wakes_nothing() {
    let mut script = sleepy();
    script.settings.enabled = false;
    let models = || {
        let asleep = model("asleep").with(variant("b").desired(0)).queued(3.0);
        [model(MODEL).with(variant("a").ready(1, IDLE)).asked_nothing(), asleep]
    };
    script.cycle(models());

    let plan = script.pass(minutes(11)).cycle(models());

    assert_eq!((plan["a"], plan["b"]), (1, 0));
}

#[test]
fn c83_c119_a_workload_scaled_up_by_hand_from_zero_gets_its_retention() {
    let mut script = sleepy();
    script.cycle(idle(variant("a").desired(0)));

    // No metrics yet and a published 0: the Go controller published 0 again.
    let since = script.pass(minutes(60)).now();
    assert_eq!(script.cycle(idle(variant("a").pending_since(1, since)))["a"], 1);
    assert_eq!(script.pass(minutes(1)).cycle(idle(variant("a").ready(1, IDLE)))["a"], 1);
    assert_eq!(script.pass(minutes(8)).cycle(idle(variant("a").ready(1, IDLE)))["a"], 1);
    assert_eq!(script.pass(minutes(1)).cycle(idle(variant("a").ready(1, IDLE)))["a"], 0);
}

#[test]
fn a_request_that_arrives_before_anybody_followed_takes_the_zero_back() {
    let mut script = sleepy();
    script.cycle(idle(variant("a").ready(2, IDLE).desired(2).at_least(0).at_most(2)));
    let kept = || variant("a").ready(1, IDLE);
    script.pass(minutes(5)).cycle(idle(kept()));
    assert_eq!(script.pass(minutes(5)).cycle(idle(kept()))["a"], 0);

    let asked = [model(MODEL).with(kept()).asked(Demand { running: Some(reading(1.0)), ..nothing() })];
    assert_eq!(script.pass(minutes(1)).cycle(asked)["a"], 1);
}

// === From zero ===

fn asleep(costs: &[(&str, f64)]) -> ModelBuilder {
    costs.iter().fold(model(MODEL), |model, (name, cost)| model.with(variant(name).cost(*cost).desired(0)))
}

#[rstest]
#[case::c82_the_cheaper(&[("a", 2.0), ("b", 1.0)], "b")]
#[case::c82_of_equal_ones_the_first_by_name(&[("z", 5.0), ("a", 5.0)], "a")]
#[case::c82_a_usual_cost_of_10_before_100(&[("a", 100.0), ("usual", 10.0)], "usual")]
#[case::a_cost_that_is_not_a_number_last(&[("a", f64::NAN), ("b", 900.0)], "b")]
fn only_the_cheapest_variant_is_woken(#[case] costs: &[(&str, f64)], #[case] woken: &str) {
    let plan = Script::new().cycle([asleep(costs).queued(2.0)]);

    for (name, _) in costs {
        assert_eq!(plan[*name], u32::from(*name == woken));
    }
    assert_eq!(plan.target(woken).reason, Reason::Woken { queued: 2 });
}

#[test]
fn c82_without_requests_a_sleeping_model_sleeps_on_where_the_go_controller_woke_it() {
    let plan = Script::new().cycle([asleep(&[("a", 2.0), ("b", 1.0)]).asked_nothing()]);

    assert_eq!((plan["a"], plan["b"]), (0, 0));
}

#[rstest]
#[case::unknown(Gateway::Unknown)]
#[case::no_gateway(Gateway::None)]
#[case::empty(Gateway::Queued(reading(0.0)))]
#[case::not_a_number(Gateway::Queued(reading(f64::NAN)))]
#[case::too_old(Gateway::Queued(Reading { value: 3.0, age: minutes(3) }))]
fn a_queue_that_is_not_known_wakes_nobody(#[case] gateway: Gateway) {
    let plan = Script::new().cycle([asleep(&[("a", 1.0)]).asked(Demand { gateway, ..Demand::default() })]);

    assert_eq!((plan["a"], &plan.target("a").reason), (0, &Reason::AtZero));
}

#[test]
fn c124_a_model_with_a_running_variant_wakes_no_other() {
    let model = asleep(&[("a", 1.0), ("b", 2.0)]).with(variant("c").cost(9.0).ready(2, BALANCED)).queued(5.0);

    let plan = Script::new().cycle([model]);

    assert_eq!((plan["a"], plan["b"], plan["c"]), (0, 0, 2));
}

#[test]
fn a_variant_that_is_waking_is_waited_for() {
    let mut script = Script::new();
    let models = |queued| [asleep(&[("a", 1.0), ("b", 2.0)]).queued(queued)];
    let published = |queued, a: VariantBuilder| [model(MODEL).with(a).with(variant("b").cost(2.0)).queued(queued)];
    assert_eq!(script.cycle(models(1.0))["a"], 1);

    // Before anybody follows: the number stays, and says why, even when the queue is empty for a moment.
    let plan = script.pass(minutes(1)).cycle(published(4.0, variant("a").cost(9.0)));
    assert_eq!((plan["a"], plan["b"]), (1, 0));
    assert_eq!(plan.target("a").reason, Reason::Woken { queued: 4 });
    assert_eq!(plan.target("b").reason, Reason::OtherVariantWakes { variant: "a".into() });
    let plan = script.pass(minutes(1)).cycle(published(0.0, variant("a").cost(1.0)));
    assert_eq!((plan["a"], plan["b"]), (1, 0));

    // While it loads.
    let since = script.now();
    let plan = script.pass(minutes(1)).cycle(published(4.0, variant("a").cost(1.0).pending_since(1, since)));
    assert_eq!((plan["a"], plan["b"]), (1, 0));
}

#[test]
fn a_variant_that_nobody_woke_gives_way_to_another() {
    let mut script = Script::new();
    script.cycle([asleep(&[("a", 1.0), ("b", 2.0)]).queued(1.0)]);
    let models = [model(MODEL).with(variant("a").cost(1.0)).with(variant("b").cost(2.0)).queued(1.0)];

    let plan = script.pass(minutes(10)).cycle(models);

    assert_eq!((plan["a"], plan["b"]), (0, 1));
}

#[test]
fn a_variant_that_must_stay_at_zero_is_not_woken() {
    let model = model(MODEL).with(variant("a").cost(1.0).at_most(0)).with(variant("b").cost(2.0)).queued(1.0);

    let plan = Script::new().cycle([model]);

    assert_eq!((plan["a"], plan["b"]), (0, 1));
}

#[test]
fn a_sleeping_model_is_woken_although_the_metric_source_fails() {
    let plan = Script::new().cycle([asleep(&[("a", 1.0)]).queued(1.0).source_failed("timeout")]);

    assert_eq!(plan["a"], 1);
}

#[test]
fn a_workload_scaled_to_zero_by_a_person_stays_there() {
    let mut script = Script::new();
    script.cycle(idle(variant("a").desired(0)));

    for _ in 0..30 {
        let plan = script.pass(minutes(1)).cycle(idle(variant("a")));
        assert_eq!((plan["a"], &plan.target("a").reason), (0, &Reason::AtZero));
    }
}

#[test]
fn a_workload_that_was_never_decided_and_is_going_down_is_left_alone() {
    let plan = Script::new().cycle(idle(variant("a").replicas(0, 2)));

    assert_eq!((plan["a"], &plan.target("a").reason), (0, &Reason::AtZero));
}

#[test]
fn a_sleeping_variant_is_woken_when_the_running_ones_are_at_their_maximum() {
    let models = || {
        let full = variant("a").cost(1.0).ready(2, BUSY).at_most(2);
        [model(MODEL).with(full).with(variant("b").cost(2.0).desired(0)).with(variant("c").cost(3.0).desired(0))]
    };
    let plan = sleepy().cycle(models());
    assert_eq!((plan["a"], plan["b"], plan["c"]), (2, 1, 0));
    assert_eq!(plan.target("a").reason, Reason::OtherVariantScalesUp { variant: "b".into() });

    // Without a policy, a person put it there.
    let plan = Script::new().cycle(models());
    assert_eq!((plan["a"], plan["b"], plan["c"]), (2, 0, 0));
    assert_eq!(plan.target("a").reason, Reason::NoVariantCanGrow);
}

#[test]
fn one_sleeping_variant_at_a_time_is_woken_for_capacity() {
    let mut script = sleepy();
    let models = || {
        let full = variant("a").cost(1.0).ready(2, BUSY).at_most(2);
        [model(MODEL).with(full).with(variant("b").cost(2.0)).with(variant("c").cost(3.0))]
    };
    script.cycle(models());

    let plan = script.pass(minutes(1)).cycle(models());

    assert_eq!((plan["b"], plan["c"]), (1, 0));
}

// === Between cycles, and with few GPUs ===

#[test]
fn a_look_between_two_cycles_wakes_as_a_cycle_does() {
    let script = Script::new();
    let asked = snapshot([asleep(&[("a", 2.0), ("b", 1.0)]).queued(1.0)]);
    let running = snapshot([asleep(&[("a", 2.0)]).with(variant("c").ready(1, IDLE)).queued(1.0)]);

    let woken = wake(&asked, &Memory::default(), &script.settings, START);

    assert_eq!(woken.len(), 1);
    assert_eq!((woken[0].variant.name.as_str(), woken[0].replicas), ("b", 1));
    assert_eq!(wake(&running, &Memory::default(), &script.settings, START), []);
}

fn a100s(total: u32, used_by_others: u32) -> Inventory {
    Inventory { gpus: [("NVIDIA-A100-SXM4-80GB".to_owned(), Gpus { total, used_by_others })].into() }
}

#[test]
fn the_cheapest_variant_that_has_a_gpu_is_woken() {
    let mut script = Script::new();
    script.settings.limiter = Limiter::On { on_unknown: FailMode::Unlimited };
    script.inventory = Some(a100s(1, 1));
    let other = variant("b").cost(2.0).on("L4");

    let plan = script.cycle([model(MODEL).with(variant("a").cost(1.0)).with(other).queued(1.0)]);

    assert_eq!((plan["a"], plan["b"]), (0, 1));
    assert_eq!(plan.target("b").notes, [Note::GpusNotCounted { accelerator: "L4".into() }]);
}

#[test]
fn no_variant_is_woken_without_a_gpu() {
    let mut script = Script::new();
    script.settings.limiter = Limiter::On { on_unknown: FailMode::Hold };
    script.inventory = Some(a100s(2, 2));

    let plan = script.cycle([model(MODEL).with(variant("a")).queued(1.0)]);

    let limited = Reason::LimitedByGpus { accelerator: "A100".into(), wanted: 1, gpus_per_replica: 1, free: 0 };
    assert_eq!((plan["a"], &plan.target("a").reason), (0, &limited));
}
