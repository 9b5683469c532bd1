//! Up to the quiet limits nothing grows, so whoever looks out by them between two decisions misses none.

mod worlds;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use wva_engine::fixtures::START;
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, TokenThresholds};
use wva_engine::snapshot::{Bounds, Demand, Gateway, Model, ModelKey, Pod, Reading, Snapshot, Source, Tokens, Variant};
use wva_engine::vllm::ServerArguments;
use wva_engine::{Memory, QuietLimits, Settings, Thresholds, decide};

use self::worlds::{named, proactive, small_server, sound_pod, variant};

/// A variant that has settled, as it is in every world of a case.
#[derive(Clone, Debug)]
struct Servers {
    replicas: u32,
    cost: f64,
    /// Blocks of 16 tokens; `None` where the servers do not tell.
    blocks: Option<u64>,
    lengths: (f64, f64),
    arguments: Option<ServerArguments>,
    /// Load of every replica in the first world.
    load: (f64, f64),
}

impl Servers {
    /// Every replica with this load.
    fn under(&self, load: (f64, f64)) -> Variant {
        let reading = |value| Some(Reading { value, age: SignedDuration::from_secs(5) });
        let mut pod = sound_pod(load);
        if let Some(sample) = &mut pod.sample {
            sample.tokens = Tokens {
                kv_blocks: self.blocks,
                kv_block_size: Some(16),
                avg_input: reading(self.lengths.0),
                avg_output: reading(self.lengths.1),
                ..Tokens::default()
            };
        }
        let pods: Vec<Pod> = vec![pod; self.replicas as usize];
        let variant = variant(self.cost, (self.replicas, self.replicas), Some(self.replicas), Bounds::default(), pods);
        Variant { server: self.arguments.clone(), ..variant }
    }
}

fn servers() -> impl Strategy<Value = Servers> {
    let load = (select(vec![0.1, 0.3, 0.45, 0.6, 0.75, 0.9]), select(vec![0.0, 1.0, 3.0, 5.0, 9.0]));
    let lengths = (select(vec![64.0, 500.0, 2000.0]), select(vec![20.0, 200.0, 800.0]));
    let arguments = select(vec![None, Some(small_server()), Some(ServerArguments::default())]);
    let blocks = select(vec![None, Some(100), Some(1000), Some(4000)]);
    (1..5_u32, select(vec![5.0, 10.0]), blocks, lengths, arguments, load).prop_map(
        |(replicas, cost, blocks, lengths, arguments, load)| Servers {
            replicas,
            cost,
            blocks,
            lengths,
            arguments,
            load,
        },
    )
}

/// Some models under a load, with nothing at their gateways.
fn world(models: &[Vec<Servers>], load: impl Fn(&Servers) -> (f64, f64)) -> Snapshot {
    let nothing = Some(Reading { value: 0.0, age: SignedDuration::from_secs(5) });
    let model = |servers: &Vec<Servers>| Model {
        key: ModelKey { namespace: "llm".into(), model_id: String::new() },
        source: Source::Answered,
        demand: Demand { gateway: Gateway::None, arrival_rate: nothing, ..Demand::default() },
        variants: servers.iter().map(|it| it.under(load(it))).collect(),
    };
    named(models.iter().map(model).collect())
}

fn settings() -> impl Strategy<Value = Settings> {
    let by_tokens = |scale_up_threshold| {
        Analyzer::Saturation(TokenThresholds { scale_up_threshold, scale_down_boundary: scale_up_threshold / 2.0 })
    };
    let analyzer = select(vec![Analyzer::Threshold, by_tokens(0.85), by_tokens(0.5)]);
    let thresholds = select(vec![
        Thresholds::DEFAULT,
        Thresholds { kv_cache_threshold: 0.6, kv_spare_trigger: 0.3, ..Thresholds::DEFAULT },
        Thresholds { queue_length_threshold: 9.0, queue_spare_trigger: 1.0, ..Thresholds::DEFAULT },
    ]);
    let hybrid = select(vec![None, None, Some(proactive(&["model-0"], &["A100"]))]);
    let scale_up = select(vec![ScaleUpPolicy::Step, ScaleUpPolicy::Demand]);
    (analyzer, thresholds, hybrid, scale_up).prop_map(|(analyzer, thresholds, proactive, scale_up)| Settings {
        analyzer: PerModel::all(analyzer),
        thresholds: PerModel::all(thresholds),
        scale_up: PerModel::all(scale_up),
        proactive,
        ..Settings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/quiet.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn up_to_the_quiet_limits_no_analyzer_and_no_mode_grows_a_model(
        models in proptest::collection::vec(proptest::collection::vec(servers(), 1..4), 1..3),
        settings in settings(),
        shares in proptest::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 12),
        cycles in 1..4_usize,
    ) {
        // The limits follow from the last decision and whatever was learnt before; here, under load.
        let mut memory = Memory::default();
        for cycle in 0..cycles {
            let now = START + SignedDuration::from_secs(i64::try_from(cycle * 15).unwrap());
            decide(&world(&models, |it| it.load), &mut memory, &settings, now);
        }
        let QuietLimits { kv_usage, queue_length } = QuietLimits::of(&settings, &memory);
        let turn = std::cell::Cell::new(0_usize);
        let at = |_: &Servers| {
            let (kv, queue) = shares[turn.replace(turn.get() + 1) % shares.len()];
            (kv * kv_usage, (queue * queue_length).floor())
        };

        let plan = decide(&world(&models, at), &mut memory, &settings, START + SignedDuration::from_hours(1));

        for target in &plan.targets {
            prop_assert!(target.replicas <= target.current, "{}: {}", target.variant.name, target.reason);
        }
    }
}

#[test]
fn a_model_that_learnt_how_little_fits_is_looked_at_from_there_on() {
    // Full at 6,800 of 16,000 tokens: 0.85 of them are a use of 0.36, far below the thresholds.
    let servers = Servers {
        replicas: 1,
        cost: 10.0,
        blocks: Some(1000),
        lengths: (100.0, 200.0),
        arguments: None,
        load: (0.425, 9.0),
    };
    let by_tokens = PerModel::all(Analyzer::Saturation(TokenThresholds::default()));
    let settings = Settings { analyzer: by_tokens, ..Settings::default() };
    let mut memory = Memory::default();
    let before = QuietLimits::of(&settings, &memory).kv_usage;
    decide(&world(&[vec![servers.clone()]], |it| it.load), &mut memory, &settings, START);
    let learnt = QuietLimits::of(&settings, &memory).kv_usage;
    assert!(before > 0.67 && (0.35..0.362).contains(&learnt), "{before} {learnt}");

    let later = START + SignedDuration::from_hours(1);
    let plan = decide(&world(&[vec![servers]], |_| (learnt + 0.01, 0.0)), &mut memory, &settings, later);
    assert_eq!(plan.targets[0].replicas, 2, "just above it grows: {}", plan.targets[0].reason);
}
