//! A controller that has just begun to decide: what was there before is over, and a moment without load is not yet a time
//! without load.

use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::plan::{Note, Reason};
use wva_engine::settings::{Analyzer, PerModel, Proactive, Profile, ScaleUpPolicy, Slo, TokenThresholds};
use wva_engine::vllm::ServerArguments;

const SATURATED: (f64, f64) = (0.95, 9.0);
const BALANCED: (f64, f64) = (0.65, 1.0);
const IDLE: (f64, f64) = (0.05, 0.0);

#[derive(Clone, Copy, Debug)]
enum Mode {
    Threshold,
    Demand,
    Saturation,
    Hybrid,
}

/// A controller in its first cycles.
fn script(mode: Mode) -> Script {
    let mut script = Script::new();
    script.momentary = true;
    match mode {
        Mode::Threshold => script.settings.scale_up = PerModel::all(ScaleUpPolicy::Step),
        Mode::Demand => script.settings.scale_up = PerModel::all(ScaleUpPolicy::Demand),
        Mode::Saturation => {
            script.settings.analyzer = PerModel::all(Analyzer::Saturation(TokenThresholds::default()));
        }
        Mode::Hybrid => {
            let profile =
                Profile { model_id: MODEL.into(), accelerator: "A100".into(), alpha: 5.0, beta: 0.2, gamma: 0.015 };
            let slo = Slo { model_id: MODEL.into(), itl_ms: Some(500.0), ..Slo::default() };
            script.settings.proactive =
                Some(Proactive { profiles: vec![profile], slos: vec![slo], ..Proactive::default() });
        }
    }
    script
}

/// Replicas that completed many requests in the last minute, whatever their load is now.
fn serving(name: &str, pods: u32, load: (f64, f64)) -> VariantBuilder {
    let server = ServerArguments { max_num_seqs: 16, ..ServerArguments::default() };
    variant(name).ready(pods, load).tokens(16_000, (100.0, 200.0)).paced(9.0, 90.0, 20.0).started_with(server)
}

/// A model for which many requests arrived in the last minute.
fn busy_before(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant).arriving(60.0)]
}

#[rstest]
fn load_that_ended_before_it_began_makes_nothing_grow(
    #[values(Mode::Threshold, Mode::Demand, Mode::Saturation, Mode::Hybrid)] mode: Mode,
    #[values(None, Some(1), Some(2))] stored: Option<u32>,
) {
    let mut variant = serving("a", 2, IDLE);
    variant.0.desired = stored;

    let plan = script(mode).cycle(busy_before(variant));

    assert_eq!(plan["a"], stored.unwrap_or(2), "{:?}", plan.target("a"));
}

#[rstest]
fn load_that_is_there_makes_it_grow_in_the_first_cycle(
    #[values(Mode::Threshold, Mode::Demand, Mode::Saturation, Mode::Hybrid)] mode: Mode,
) {
    let plan = script(mode).cycle(busy_before(serving("a", 2, SATURATED).desired(2)));

    assert!(plan["a"] > 2, "{:?}", plan.target("a"));
}

#[test]
fn nothing_is_given_up_until_the_load_has_been_watched_for_a_while() {
    let mut script = script(Mode::Threshold);
    let two = || [model(MODEL).with(serving("a", 3, IDLE).cost(9.0)).with(serving("b", 2, IDLE).cost(1.0))];
    let plan = script.cycle(two());
    assert_eq!((plan["a"], plan["b"]), (3, 2));
    assert_eq!(plan.target("a").reason, Reason::NotWatchedYet);
    assert_eq!(plan.target("b").reason, Reason::NotWatchedYet, "and not that the other one shrinks");
    assert!(!plan.target("a").notes.contains(&Note::LoadNotMeasured));

    script.momentary = false;
    let plan = script.cycle(two());
    assert_eq!((plan["a"], plan["b"]), (2, 2));
}

#[test]
fn limits_hold_from_the_first_cycle_on() {
    let plan = script(Mode::Threshold).cycle(busy_before(serving("a", 5, IDLE).at_most(3)));

    assert_eq!(plan["a"], 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_first_cycle_takes_away_what_is_there_or_was_published(
        mode in select(vec![Mode::Threshold, Mode::Demand, Mode::Saturation, Mode::Hybrid]),
        (a, b) in (1..6_u32, 1..6_u32),
        stored in (proptest::option::of(1..8_u32), proptest::option::of(1..8_u32)),
        loads in (select(vec![SATURATED, BALANCED, IDLE]), select(vec![SATURATED, BALANCED, IDLE])),
    ) {
        let mut variants = [serving("a", a, loads.0).cost(9.0), serving("b", b, loads.1).cost(1.0)];
        (variants[0].0.desired, variants[1].0.desired) = stored;
        let of_model = variants.into_iter().fold(model(MODEL).arriving(30.0), ModelBuilder::with);
        let plan = script(mode).cycle([of_model]);
        for (name, there, stored) in [("a", a, stored.0), ("b", b, stored.1)] {
            prop_assert!(plan[name] >= stored.unwrap_or(there).min(there), "{:?}", plan.target(name));
        }
    }
}
