//! Sizing by demand: the thresholds say when, the load says how many.

use jiff::SignedDuration;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Note, Reason};
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, TokenThresholds};

const SATURATED: (f64, f64) = (0.85, 9.0);
const BALANCED: (f64, f64) = (0.65, 1.0);

fn by_demand() -> Script {
    let mut script = Script::new();
    script.settings.scale_up = PerModel::all(ScaleUpPolicy::Demand);
    script
}

fn serving(name: &str, pods: u32, load: (f64, f64), rate: f64) -> VariantBuilder {
    variant(name).ready(pods, load).paced(rate, 100.0, 20.0)
}

/// A model whose replicas complete 2.5 requests per second each, for long enough to be believed.
fn known(script: &mut Script, models: impl Fn() -> [ModelBuilder; 1]) {
    for _ in 0..4 {
        script.cycle(models());
        let interval = script.settings.interval;
        script.pass(interval);
    }
}

fn only(variant: VariantBuilder, arriving: f64) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).arriving(arriving)]
}

#[test]
fn a_model_that_is_short_gets_what_arrives_needs_in_one_decision() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));

    let plan = script.cycle(only(serving("a", 2, SATURATED, 2.5), 17.0));

    assert_eq!(plan["a"], 7, "17 / 2.5 = 6.8: {:?}", plan.target("a"));
    assert!(matches!(plan.target("a").reason, Reason::LoadShort { .. }));
}

#[test]
fn a_model_that_is_not_short_does_not_grow_whatever_arrives() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));

    assert_eq!(script.cycle(only(serving("a", 2, BALANCED, 2.5), 100.0))["a"], 2);
}

#[rstest]
fn while_more_arrives_than_the_ordered_replicas_take_sizing_asks_for_no_less_than_the_step(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
    #[values(1.2, 2.0, 4.0)] times: f64,
    #[values(1, 2, 5)] pods: u32,
) {
    let cycle = |policy| {
        let mut script = Script::new();
        script.settings.scale_up = PerModel::all(policy);
        script.settings.analyzer = PerModel::all(analyzer);
        let serving = |load| serving("a", pods, load, 2.5).tokens(16_000, (100.0, 50.0));
        known(&mut script, || only(serving((0.5, 0.0)), 2.5));
        script.cycle(only(serving((0.95, 9.0)), times * 2.7 * f64::from(pods)))["a"]
    };

    assert!(cycle(ScaleUpPolicy::Demand) >= cycle(ScaleUpPolicy::Step));
}

/// Four replicas that were seen to take 2.5 requests per second each, with 180 waiting at each of them.
fn with_a_backlog(script: &mut Script) {
    known(script, || only(serving("a", 4, (0.85, 180.0), 2.5).at_most(4), 8.0));
}

#[test]
fn a_backlog_that_becomes_less_asks_for_no_further_replica() {
    let mut script = by_demand();
    with_a_backlog(&mut script);

    // 10 per second are completed and 8 arrive: two fewer wait every second, 30 at each of four in a minute.
    for queue in [150.0, 120.0, 90.0, 60.0, 30.0] {
        let interval = script.settings.interval;
        let plan = script.cycle(only(serving("a", 4, (0.85, queue), 2.5), 8.0));
        script.pass(interval);

        assert_eq!(plan["a"], 4, "{:?}", plan.target("a"));
        assert!(matches!(plan.target("a").reason, Reason::LoadCovered { .. }), "{:?}", plan.target("a"));
    }
}

#[test]
fn a_backlog_that_does_not_become_less_although_replicas_take_more_than_arrives_gets_a_further_replica() {
    let mut script = by_demand();
    with_a_backlog(&mut script);

    let wanted: Vec<_> = (0..8)
        .map(|_| {
            let interval = script.settings.interval;
            let plan = script.cycle(only(serving("a", 4, (0.85, 180.0), 1.5), 4.0));
            script.pass(interval);
            plan["a"]
        })
        .collect();

    assert!(wanted[0] == 4 && wanted[7] > 4, "{wanted:?}");
}

#[test]
fn what_is_on_its_way_counts_as_there() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 2, BALANCED, 2.5), 5.0));
    assert_eq!(script.cycle(only(serving("a", 2, SATURATED, 2.5), 17.0))["a"], 7);
    let since = script.now();

    let starting = || serving("a", 2, SATURATED, 2.5).pending_since(5, since);
    assert_eq!(script.pass(SignedDuration::from_mins(1)).cycle(only(starting(), 17.0))["a"], 7);
    assert_eq!(
        script.pass(SignedDuration::from_mins(1)).cycle(only(starting(), 24.0))["a"],
        11,
        "24 / (0.9 * 2.5) = 10.7"
    );
}

#[test]
fn a_burst_on_replicas_that_had_nothing_to_do_is_answered_step_by_step() {
    let mut script = by_demand();
    known(&mut script, || only(serving("a", 1, BALANCED, 0.0), 0.0));

    let plan = script.cycle(only(serving("a", 1, SATURATED, 0.02), 20.0));

    assert_eq!((plan["a"], &plan.target("a").notes), (2, &vec![Note::LoadNotMeasured]), "20 / 0.02 would be 1,000");
}

#[test]
fn the_cheapest_variant_takes_what_it_may_and_the_next_one_the_rest() {
    let models = |load, arriving| {
        let (a, b) = (serving("a", 1, load, 2.5).cost(1.0).at_most(3), serving("b", 1, load, 5.0).cost(9.0));
        [model(MODEL).with(a).with(b).arriving(arriving)]
    };
    let mut script = by_demand();
    known(&mut script, || models(BALANCED, 5.0));

    let plan = script.cycle(models(SATURATED, 17.0));

    assert_eq!((plan["a"], plan["b"]), (3, 2), "7.5 of the one and 10 of the other");
}
