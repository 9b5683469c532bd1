//! Decisions over several cycles, told with a clock that moves when told to.

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::Memory;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Evidence, Note, Reason, Unsettled};

const BUSY: (f64, f64) = (0.78, 4.0);
const IDLE: (f64, f64) = (0.05, 0.0);
const BALANCED: (f64, f64) = (0.65, 1.0);

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

#[test]
fn a_variant_grows_settles_and_shrinks_again() {
    let mut script = Script::new();

    let saturated = script.cycle(only(variant("a").ready(1, (0.75, 0.0)).desired(1)));
    assert_eq!(saturated["a"], 2);

    let not_followed_yet = script.pass(minutes(1)).cycle(only(variant("a").ready(1, (0.75, 0.0))));
    assert_eq!(not_followed_yet["a"], 2);

    let since = script.now();
    let loading = script.pass(minutes(1)).cycle(only(variant("a").ready(1, (0.75, 0.0)).pending_since(1, since)));
    assert_eq!(loading["a"], 2);
    let unsettled = Unsettled::Metrics { reporting: 1, current: 2 };
    assert_eq!(loading.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });

    // One replica fewer would leave 0 of the KV cache spare.
    let settled = script.pass(minutes(1)).cycle(only(variant("a").ready(2, (0.40, 0.0))));
    assert_eq!((settled["a"], &settled.target("a").reason), (2, &Reason::Steady));

    // One replica fewer leaves 0.20 spare.
    let idle = script.pass(minutes(1)).cycle(only(variant("a").ready(2, (0.30, 0.0))));
    assert_eq!(idle["a"], 1);
}

#[test]
fn a_change_by_hand_is_pulled_back() {
    let plan = Script::new().cycle(only(variant("a").ready(5, BALANCED).desired(3)));

    assert_eq!(plan["a"], 3);
    let unsettled = Unsettled::Replicas { desired: 3, current: 5 };
    assert_eq!(plan.target("a").reason, Reason::InTransition { variant: "a".into(), unsettled });
}

#[rstest]
#[case::saturated((0.95, 9.0))]
#[case::idle((0.05, 0.0))]
fn limits_of_two_followers_that_contradict_each_other_end_at_the_upper_one(#[case] load: (f64, f64)) {
    let mut script = Script::new();
    for current in [1, 3, 5] {
        let plan = script.cycle(only(variant("a").ready(current, load).at_least(5).at_most(3)));
        assert_eq!(plan["a"], 3, "from {current}");
        script.pass(minutes(30));
    }
}

#[test]
fn a_workload_that_another_metric_keeps_larger_grows_from_what_it_is() {
    let mut script = Script::new();
    let kept = |load: (f64, f64)| only(variant("a").ready(5, load).at_most(10));
    assert_eq!(script.cycle(kept((0.05, 0.0)))["a"], 4);
    for _ in 0..40 {
        assert_eq!(script.pass(minutes(1)).cycle(kept((0.05, 0.0)))["a"], 4, "it goes on asking for less");
    }
    assert_eq!(script.pass(minutes(1)).cycle(kept((0.95, 9.0)))["a"], 6);
}

#[test]
fn a_rolling_update_does_not_move_a_published_number() {
    let mut script = Script::new();
    let since = script.now();
    let updating = || variant("a").ready(2, BUSY).pending_since(1, since).replicas(2, 3);

    assert_eq!(script.cycle(only(updating().desired(2)))["a"], 2);
    assert_eq!(Script::new().cycle(only(updating()))["a"], 3, "without a published number the current one is held");
}

#[test]
fn a_long_rolling_update_does_not_raise_the_number_either() {
    let mut script = Script::new();
    script.cycle(only(variant("a").ready(2, BALANCED)));
    for _ in 0..30 {
        // Pod after pod is replaced, which takes 5 minutes each: there are always 3, one of them loading.
        let since = script.now() - minutes(4);
        let updating = variant("a").ready(2, BALANCED).pending_since(1, since).replicas(2, 3);
        assert_eq!(script.pass(minutes(1)).cycle(only(updating))["a"], 2);
    }
}

#[test]
fn a_rolling_update_that_never_ends_does_not_stop_decisions() {
    let mut script = Script::new();
    let since = script.now();
    let stuck = || variant("a").ready(2, BUSY).pending_since(1, since).replicas(2, 3);

    assert_eq!(script.cycle(only(stuck().desired(2)))["a"], 2);
    assert_eq!(script.pass(minutes(14)).cycle(only(stuck()))["a"], 2);
    // The pod of the new version is given up after 15 minutes: the 2 that serve are too few.
    assert_eq!(script.pass(minutes(1)).cycle(only(stuck()))["a"], 3);
}

#[test]
fn a_paused_rolling_update_does_not_stop_decisions() {
    let mut script = Script::new();
    let paused = || variant("a").ready(3, BUSY).replicas(2, 3);

    assert_eq!(script.cycle(only(paused().desired(2)))["a"], 2);
    assert_eq!(script.pass(minutes(9)).cycle(only(paused()))["a"], 2);
    let mut balanced = script.clone();
    assert_eq!(script.pass(minutes(1)).cycle(only(paused()))["a"], 3);

    // The number was followed: there is nothing to give up.
    let plan = balanced.pass(minutes(1)).cycle(only(variant("a").ready(3, BALANCED).replicas(2, 3)));
    assert_eq!((plan["a"], &plan.target("a").reason), (2, &Reason::Steady));
}

#[test]
fn a_metric_source_that_fails_holds_the_published_number_until_it_is_back() {
    let mut script = Script::new();
    let idle = || variant("a").ready(4, IDLE);
    script.cycle(only(variant("a").ready(4, BALANCED)));

    for _ in 0..20 {
        let failed = only(idle()).map(|model| model.source_failed("timeout"));
        let plan = script.pass(minutes(1)).cycle(failed);
        assert_eq!(plan["a"], 4);
        assert_eq!(plan.target("a").evidence, Evidence::SourceFailed { message: "timeout".into() });
    }

    assert_eq!(script.pass(minutes(1)).cycle(only(idle()))["a"], 3);
}

/// Nobody follows: there is no autoscaler, it is switched off, or its limits are not known.
#[test]
fn a_number_that_nobody_follows_is_given_up_after_the_time_out() {
    let mut script = Script::new();
    let alone = |load| variant("a").ready(2, load);
    assert_eq!(script.cycle(only(alone(BUSY)))["a"], 3);

    assert_eq!(script.pass(minutes(9)).cycle(only(alone(IDLE)))["a"], 3);
    let rebased = script.pass(minutes(1)).cycle(only(alone(BALANCED)));
    assert_eq!((rebased["a"], &rebased.target("a").reason), (2, &Reason::Rebased { unreached: 3 }));

    // From here on, decisions are taken again.
    assert_eq!(script.pass(minutes(1)).cycle(only(alone(IDLE)))["a"], 1);
}

/// An autoscaler may be told to wait until a number has lasted for up to an hour.
#[rstest]
#[case::more(BUSY, 3)]
#[case::fewer(IDLE, 1)]
fn a_number_that_is_still_right_after_the_time_out_does_not_waver(#[case] load: (f64, f64), #[case] replicas: u32) {
    let mut script = Script::new();
    for _ in 0..60 {
        assert_eq!(script.pass(minutes(1)).cycle(only(variant("a").ready(2, load)))["a"], replicas);
    }
}

#[test]
fn a_number_that_is_published_once_more_gets_its_full_time_again() {
    let mut script = Script::new();
    let alone = |load| variant("a").ready(2, load);
    script.cycle(only(alone(BUSY)));
    assert_eq!(script.pass(minutes(10)).cycle(only(alone(BUSY)))["a"], 3);

    assert_eq!(script.pass(minutes(9)).cycle(only(alone(IDLE)))["a"], 3);
    assert_eq!(script.pass(minutes(1)).cycle(only(alone(IDLE)))["a"], 1);
}

/// A quota, for example, lets the workload ask for 5 pods and have 3.
#[test]
fn replicas_that_cannot_be_created_are_given_up_after_the_time_out() {
    let mut script = Script::new();
    let short = || variant("a").ready(3, BALANCED).replicas(5, 3);
    assert_eq!(script.cycle(only(short().desired(5)))["a"], 5);

    let plan = script.pass(minutes(10)).cycle(only(short()));

    assert_eq!((plan["a"], &plan.target("a").reason), (3, &Reason::Rebased { unreached: 5 }));
}

#[test]
fn a_number_that_nobody_follows_gives_way_to_the_models_other_variants() {
    let mut script = Script::new();
    let models =
        |b| [model(MODEL).with(variant("a").cost(1.0).ready(2, BUSY)).with(variant("b").cost(9.0).ready(b, BUSY))];
    assert_eq!(script.cycle(models(1))["a"], 3);

    let plan = script.pass(minutes(10)).cycle(models(1));

    assert_eq!((plan["a"], plan["b"]), (2, 2));
    assert_eq!(plan.target("a").reason, Reason::Rebased { unreached: 3 });
}

#[test]
fn the_time_out_starts_again_whenever_the_workload_moves() {
    let mut script = Script::new();
    script.cycle(only(variant("a").ready(1, BALANCED).desired(4)));
    for replicas in [2, 3] {
        assert_eq!(script.pass(minutes(10)).cycle(only(variant("a").ready(replicas, BALANCED)))["a"], 4);
    }
    assert_eq!(script.pass(minutes(9)).cycle(only(variant("a").ready(3, BALANCED)))["a"], 4);
    assert_eq!(script.pass(minutes(1)).cycle(only(variant("a").ready(3, BALANCED)))["a"], 3);
}

#[test]
fn a_pod_that_never_becomes_ready_stops_its_model_for_a_limited_time() {
    let mut script = Script::new();
    let since = script.now();
    let crashing = |load| {
        let a = variant("a").cost(1.0).ready(2, load).pending_since(1, since);
        [model(MODEL).with(a).with(variant("b").cost(9.0).ready(2, load))]
    };

    let waiting = script.cycle(crashing(BUSY));
    assert_eq!((waiting["a"], waiting["b"]), (3, 2));
    let waiting = script.pass(minutes(14)).cycle(crashing(BUSY));
    assert_eq!((waiting["a"], waiting["b"]), (3, 2));

    // Where a pod does not start, another may not either: the next variant grows.
    let mut busy = script.clone();
    let plan = busy.pass(minutes(1)).cycle(crashing(BUSY));
    assert_eq!((plan["a"], plan["b"]), (3, 3));

    let mut balanced = script.clone();
    let plan = balanced.pass(minutes(1)).cycle(crashing(BALANCED));
    assert_eq!((plan["a"], plan["b"]), (3, 2));

    let plan = script.pass(minutes(1)).cycle(crashing(IDLE));
    assert_eq!((plan["a"], plan["b"]), (3, 1));
}

#[test]
fn a_variant_alone_goes_on_with_pods_that_never_become_ready() {
    let mut script = Script::new();
    let since = script.now();
    let crashing = || variant("a").ready(2, BUSY).pending_since(1, since);
    assert_eq!(script.cycle(only(crashing()))["a"], 3);

    // The pod is still one of the 3 replicas: a fourth is needed to have a third that serves.
    assert_eq!(script.pass(minutes(15)).cycle(only(crashing()))["a"], 4);
}

#[test]
fn the_last_replica_that_serves_stays_even_beside_one_that_does_not() {
    let mut script = Script::new();
    let since = script.now();
    let crashing = variant("a").cost(9.0).ready(1, IDLE).pending_since(1, since);
    let models = [model(MODEL).with(crashing).with(variant("b").cost(1.0).ready(2, IDLE))];

    let plan = script.pass(minutes(15)).cycle(models);

    assert_eq!((plan["a"], plan["b"]), (2, 1));
}

#[test]
fn a_pod_that_was_evicted_is_not_taken_for_one_of_the_replicas() {
    let mut script = Script::new();
    let since = script.now();
    let plan = script.pass(minutes(20)).cycle(only(variant("a").ready(2, BUSY).pending_since(1, since).replicas(2, 2)));

    assert_eq!(plan["a"], 3);
}

#[test]
fn a_variant_whose_pods_all_fail_keeps_its_number_and_its_siblings_go_on() {
    let mut script = Script::new();
    let since = script.now();
    let models = [model(MODEL)
        .with(variant("dead").cost(1.0).pending_since(2, since))
        .with(variant("alive").cost(9.0).ready(1, BUSY))];

    let plan = script.pass(minutes(20)).cycle(models);

    assert_eq!((plan["dead"], plan["alive"]), (2, 2));
    assert_eq!(plan.target("dead").reason, Reason::Held);
}

#[test]
fn a_workload_scaled_up_by_hand_from_zero_is_not_published_back_to_zero() {
    let mut script = Script::new();
    let asleep = script.cycle(only(variant("a").desired(0)));
    assert_eq!((asleep["a"], &asleep.target("a").reason), (0, &Reason::AtZero));

    let since = script.pass(minutes(1)).now();
    let woken = script.cycle(only(variant("a").pending_since(2, since)));
    assert_eq!(woken["a"], 2);

    let serving = script.pass(minutes(5)).cycle(only(variant("a").ready(2, BUSY)));
    assert_eq!(serving["a"], 3);
}

#[test]
fn a_workload_scaled_to_zero_by_hand_is_left_there_after_the_time_out() {
    let mut script = Script::new();
    assert_eq!(script.cycle(only(variant("a").ready(3, BALANCED)))["a"], 3);
    assert_eq!(script.pass(minutes(1)).cycle(only(variant("a")))["a"], 3);
    assert_eq!(script.pass(minutes(10)).cycle(only(variant("a")))["a"], 0);

    assert_eq!(script.pass(minutes(1)).cycle(only(variant("a").ready(1, BALANCED)))["a"], 1);
}

#[test]
fn a_restarted_controller_decides_as_if_it_had_never_stopped() {
    let mut steady = Script::new();
    let since = steady.now() + minutes(2);
    let cycles = [
        variant("a").ready(1, BUSY),
        variant("a").ready(1, BUSY),
        variant("a").ready(1, BUSY).pending_since(1, since),
        variant("a").ready(2, BALANCED),
        variant("a").silent(2),
        variant("a").ready(2, IDLE),
        variant("a").ready(2, IDLE),
        variant("a").ready(1, IDLE),
        variant("a"),
        variant("a").ready(1, BUSY),
    ];
    let mut restarted = steady.clone();
    for variant in cycles {
        let expected = steady.pass(minutes(1)).cycle(only(variant.clone()));
        let plan = restarted.restart().pass(minutes(1)).cycle(only(variant));
        assert_eq!(plan, expected);
    }
}

#[test]
fn variants_that_are_gone_are_forgotten() {
    let mut script = Script::new();
    script.cycle([model(MODEL).with(variant("a").ready(1, BUSY)).with(variant("b").ready(1, BUSY))]);
    let mut without_a = script.clone();
    assert_ne!(script.memory(), &Memory::default());

    without_a.cycle(only(variant("b").ready(1, BALANCED)));
    let mut only_b = Script::new();
    only_b.cycle(only(variant("b").ready(1, BALANCED)));
    assert_eq!(without_a.memory(), only_b.memory());

    script.cycle([]);
    assert_eq!(script.memory(), &Memory::default());
}

#[test]
fn load_on_one_variant_while_another_is_hardly_used_is_said_and_even_load_is_not() {
    let told = |a: (f64, f64), b: (f64, f64)| {
        let model = [model(MODEL).with(variant("a").ready(1, a)).with(variant("b").ready(1, b))];
        Script::new().cycle(model).target("b").notes.clone()
    };
    let uneven = Note::UnevenLoad { saturated: "a".into(), idle: "b".into() };
    assert_eq!(told((1.0, 237.0), IDLE), [uneven]);
    assert_eq!(told((1.0, 237.0), BUSY), []);
    assert_eq!(told(BALANCED, IDLE), []);
    assert_eq!(told(IDLE, IDLE), []);
}
