//! What holds for the proactive mode whatever arrives.

mod worlds;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use wva_engine::fixtures::START;
use wva_engine::settings::{Analyzer, PerModel, TokenThresholds};
use wva_engine::snapshot::{Demand, Model, ModelKey, Reading, Snapshot, Tokens};
use wva_engine::{Memory, Plan, Settings, decide};

use self::worlds::{named, proactive, small_server, sound_variant};

/// One sound model, everything about it known.
fn world() -> impl Strategy<Value = Snapshot> {
    proptest::collection::vec(sound_variant(), 1..4).prop_map(|mut variants| {
        let reading = |value| Some(Reading { value, age: jiff::SignedDuration::from_secs(15) });
        for (at, variant) in variants.iter_mut().enumerate() {
            variant.server = Some(small_server());
            ["A100", "H100"][at % 2].clone_into(&mut variant.accelerator);
            for sample in variant.pods.iter_mut().filter_map(|pod| pod.sample.as_mut()) {
                let (avg_input, avg_output) = (reading(100.0), reading(200.0));
                sample.tokens = Tokens {
                    kv_blocks: Some(1000),
                    kv_block_size: Some(16),
                    avg_input,
                    avg_output,
                    ..Tokens::default()
                };
            }
        }
        let key = ModelKey { namespace: "llm".into(), model_id: String::new() };
        named(vec![Model { key, variants, ..Model::default() }])
    })
}

fn at_rate(mut snapshot: Snapshot, rate: f64) -> Snapshot {
    let arrival_rate = Some(Reading { value: rate, age: jiff::SignedDuration::from_secs(15) });
    snapshot.models[0].demand = Demand { arrival_rate, ..Demand::default() };
    snapshot
}

fn settings() -> impl Strategy<Value = Settings> {
    let analyzers = vec![Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default())];
    proptest::sample::select(analyzers).prop_map(|analyzer| Settings {
        analyzer: PerModel::all(analyzer),
        proactive: Some(proactive(&["model-0"], &["A100", "H100"])),
        ..Settings::default()
    })
}

fn plan_of(snapshot: &Snapshot, settings: &Settings) -> Plan {
    decide(snapshot, &mut Memory::default(), settings, START)
}

/// Requests per second that the targets can take. All replicas are alike here.
fn replicas(plan: &Plan) -> u32 {
    plan.targets.iter().map(|it| it.replicas).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/proactive_properties.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_same_world_gets_the_same_plan(world in world(), settings in settings(), rate in 0.0..20.0_f64) {
        let world = at_rate(world, rate);

        prop_assert_eq!(plan_of(&world, &settings), plan_of(&world, &settings));
    }

    #[test]
    fn nothing_goes_while_the_analyzer_thinks_that_unsafe(world in world(), settings in settings(), rate in 0.0..20.0_f64) {
        let world = at_rate(world, rate);
        let plan = plan_of(&world, &settings);

        let outcome = &plan.models[0];
        let safe = match (&outcome.tokens, &outcome.analysis) {
            (Some(tokens), _) => tokens.spare > 0.0,
            (None, Some(analysis)) => analysis.scale_down_safe,
            (None, None) => false,
        };
        for (variant, target) in world.models[0].variants.iter().zip(&plan.targets) {
            let reachable = variant.bounds.clamp(variant.current);
            prop_assert!(safe || target.replicas >= reachable, "{:?}", target);
        }
    }

    #[test]
    fn a_higher_rate_never_leads_to_fewer_replicas(
        world in world(),
        settings in settings(),
        rates in (0.0..20.0_f64, 0.0..20.0_f64),
    ) {
        let (low, high) = (rates.0.min(rates.1), rates.0.max(rates.1));

        let [fewer, more] = [low, high].map(|rate| plan_of(&at_rate(world.clone(), rate), &settings));

        prop_assert!(replicas(&fewer) <= replicas(&more), "{:?}\n{:?}", fewer.targets, more.targets);
    }

    #[test]
    fn a_model_grows_at_least_as_far_as_without_the_mode_when_the_rate_asks_for_more(
        world in world(),
        settings in settings(),
    ) {
        let alone = Settings { proactive: None, ..settings.clone() };
        let world = at_rate(world, 1000.0);

        let (with, without) = (plan_of(&world, &settings), plan_of(&world, &alone));
        for (with, without) in with.targets.iter().zip(&without.targets) {
            prop_assert!(with.replicas >= without.replicas, "{:?} {:?}", with, without);
        }
    }
}
