//! Generated worlds, the hostile ones included.

#![allow(dead_code, reason = "each file of tests uses its part")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use wva_engine::fixtures::START;
use wva_engine::settings::{
    Analyzer, Direction, FailMode, Limiter, PerModel, Policy, Proactive, Profile, ScaleUpPolicy, Slo, Stabilization,
    TokenThresholds, ZeroPolicy,
};
use wva_engine::snapshot::{
    Bounds, Demand, Gateway, Gpus, Inventory, Model, ModelKey, Pace, Pod, Readiness, Reading, Sample, Snapshot, Source,
    Tokens, Variant,
};
use wva_engine::vllm::ServerArguments;
use wva_engine::{Memory, Settings, decide};

/// A pod as it is when nothing is wrong.
pub(crate) fn sound_pod(load: (f64, f64)) -> Pod {
    let reading = |value| Some(Reading { value, age: SignedDuration::from_secs(15) });
    let sample = Sample { kv_usage: reading(load.0), queue_length: reading(load.1), ..Sample::default() };
    let since = START - SignedDuration::from_hours(1);
    Pod { name: String::new(), ready: Readiness::Ready { since }, obstacle: None, sample: Some(sample) }
}

pub(crate) fn hostile_reading() -> impl Strategy<Value = Option<Reading>> {
    let value = prop_oneof![
        0.0..1.0_f64,
        select(vec![0.0, -0.0, -1.0, 0.8, 5.0, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ];
    let age = select(vec![-60, 0, 30, 119, 120, 121, 86_400, i64::MAX, i64::MIN]);
    let reading = (value, age).prop_map(|(value, age)| Reading { value, age: SignedDuration::from_secs(age) });
    prop_oneof![1 => Just(None), 6 => reading.prop_map(Some)]
}

pub(crate) fn hostile_pod() -> impl Strategy<Value = Pod> {
    let minutes_ago = select(vec![-5, 0, 1, 5, 14, 15, 16, 100]);
    let ready = (any::<bool>(), minutes_ago).prop_map(|(ready, minutes)| {
        let since = START - SignedDuration::from_mins(minutes);
        if ready { Readiness::Ready { since } } else { Readiness::NotReady { since } }
    });
    let model = prop_oneof![4 => Just(String::new()), 1 => Just("somebody/else".to_owned())];
    let sample = (model, hostile_reading(), hostile_reading()).prop_map(|(model_id, kv_usage, queue_length)| Sample {
        model_id,
        kv_usage,
        queue_length,
        ..Sample::default()
    });
    (ready, proptest::option::weighted(0.8, sample)).prop_map(|(ready, sample)| Pod {
        name: String::new(),
        ready,
        obstacle: None,
        sample,
    })
}

pub(crate) fn bounds() -> impl Strategy<Value = Bounds> {
    (proptest::option::of(0..6_u32), proptest::option::of(1..6_u32)).prop_map(|(min, max)| match (min, max) {
        (Some(min), Some(max)) => Bounds { min: Some(min.min(max)), max: Some(max) },
        (min, max) => Bounds { min, max },
    })
}

/// A variant that has settled: every replica is there and reports.
pub(crate) fn sound_variant() -> impl Strategy<Value = Variant> {
    let cost = select(vec![5.0, 10.0, 40.0]);
    // One load for all pods, or the model would hardly ever be short of capacity or have some to spare.
    let load = (select(vec![0.05, 0.3, 0.6, 0.65, 0.75, 0.78, 0.9]), select(vec![0.0, 1.0, 2.0, 4.0, 7.0]));
    (1..5_u32, load, cost, bounds(), any::<bool>()).prop_map(|(current, load, cost, bounds, published)| {
        let desired = published.then_some(current);
        variant(cost, (current, current), desired, bounds, vec![sound_pod(load); current as usize])
    })
}

pub(crate) fn hostile_variant() -> impl Strategy<Value = Variant> {
    let replicas = || prop_oneof![8 => 0..6_u32, 1 => Just(u32::MAX)];
    let cost = select(vec![0.0, -0.0, 5.0, -5.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let pods = proptest::collection::vec(prop_oneof![hostile_pod(), Just(sound_pod((0.5, 1.0)))], 0..6);
    (cost, (replicas(), replicas()), proptest::option::of(replicas()), bounds(), pods)
        .prop_map(|(cost, replicas, desired, bounds, pods)| variant(cost, replicas, desired, bounds, pods))
}

pub(crate) fn variant(
    cost: f64,
    (spec_replicas, current): (u32, u32),
    desired: Option<u32>,
    bounds: Bounds,
    pods: Vec<Pod>,
) -> Variant {
    let accelerator = "A100".to_owned();
    Variant {
        name: String::new(),
        accelerator,
        cost,
        spec_replicas,
        current,
        desired,
        bounds,
        gpus_per_replica: 1,
        pods,
        ..Variant::default()
    }
}

pub(crate) fn source() -> impl Strategy<Value = Source> {
    let failed = Source::Failed { message: "timeout".into() };
    prop_oneof![9 => Just(Source::Answered), 1 => Just(failed)]
}

pub(crate) fn models(variant: impl Strategy<Value = Variant> + Clone) -> impl Strategy<Value = Vec<Model>> {
    let model = (source(), proptest::collection::vec(variant, 0..4)).prop_map(|(source, variants)| Model {
        key: ModelKey { namespace: "llm".into(), model_id: String::new() },
        source,
        variants,
        ..Model::default()
    });
    proptest::collection::vec(model, 0..4)
}

/// Gives everything a name of its own, and to every sample the model's unless it has another.
pub(crate) fn named(mut models: Vec<Model>) -> Snapshot {
    for (m, model) in models.iter_mut().enumerate() {
        model.key.model_id = format!("model-{m}");
        for (v, variant) in model.variants.iter_mut().enumerate() {
            variant.name = format!("m{m}-v{v}");
            for (p, pod) in variant.pods.iter_mut().enumerate() {
                pod.name = format!("m{m}-v{v}-p{p}");
                for sample in pod.sample.iter_mut().filter(|sample| sample.model_id.is_empty()) {
                    sample.model_id.clone_from(&model.key.model_id);
                }
            }
        }
    }
    Snapshot { models, ..Snapshot::default() }
}

pub(crate) fn sound_snapshot() -> impl Strategy<Value = Snapshot> {
    models(sound_variant().boxed()).prop_map(named)
}

pub(crate) fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let mixed = prop_oneof![2 => sound_variant(), 1 => hostile_variant()].boxed();
    models(mixed).prop_map(named)
}

/// A memory as an earlier cycle leaves it, long enough ago that time-outs have run out, or not.
pub(crate) fn memory() -> impl Strategy<Value = (Memory, Timestamp)> {
    (any_snapshot(), select(vec![0, 1, 10, 11])).prop_map(|(snapshot, minutes)| {
        let mut memory = Memory::default();
        decide(&snapshot, &mut memory, &Settings::default(), START);
        (memory, START + SignedDuration::from_mins(minutes))
    })
}

pub(crate) fn shuffled_model(model: Model) -> impl Strategy<Value = Model> {
    let Model { key, source, demand, variants } = model;
    let variants = Just(variants)
        .prop_shuffle()
        .prop_flat_map(|variants| variants.into_iter().map(shuffled_variant).collect::<Vec<_>>());
    variants.prop_map(move |variants| Model { key: key.clone(), source: source.clone(), demand, variants })
}

pub(crate) fn shuffled_variant(variant: Variant) -> impl Strategy<Value = Variant> {
    Just(variant.pods.clone()).prop_shuffle().prop_map(move |pods| Variant { pods, ..variant.clone() })
}

/// The same world, told in another order.
pub(crate) fn shuffled(snapshot: Snapshot) -> impl Strategy<Value = Snapshot> {
    let Snapshot { models, inventory, momentary } = snapshot;
    let models =
        Just(models).prop_shuffle().prop_flat_map(|models| models.into_iter().map(shuffled_model).collect::<Vec<_>>());
    models.prop_map(move |models| Snapshot { models, inventory: inventory.clone(), momentary })
}

// === For the stages ===

fn demand() -> impl Strategy<Value = Demand> {
    let nothing = Reading { value: 0.0, age: SignedDuration::from_secs(5) };
    let reading = || prop_oneof![6 => Just(Some(nothing)), 1 => hostile_reading()];
    let gateway = prop_oneof![
        4 => Just(Gateway::Queued(nothing)),
        1 => Just(Gateway::None),
        1 => Just(Gateway::Unknown),
        2 => hostile_reading().prop_map(|it| it.map_or(Gateway::Unknown, Gateway::Queued)),
    ];
    let rate = prop_oneof![1 => Just(Some(nothing)), 2 => hostile_reading()];
    (reading(), reading(), reading(), gateway, rate).prop_map(|(completed, running, waiting, gateway, rate)| Demand {
        completed,
        running,
        waiting,
        gateway,
        arrival_rate: rate,
    })
}

fn inventory() -> impl Strategy<Value = Option<Inventory>> {
    let gpus = (0..40_u32, 0..10_u32).prop_map(|(total, used_by_others)| Gpus { total, used_by_others });
    let known = proptest::collection::btree_map(select(vec!["A100", "NVIDIA-A100-PCIE-80GB", "H100"]), gpus, 0..3);
    let known = known.prop_map(|gpus| Inventory { gpus: gpus.into_iter().map(|(k, v)| (k.to_owned(), v)).collect() });
    proptest::option::weighted(0.8, known)
}

/// A world with everything the stages look at.
pub(crate) fn staged_snapshot() -> impl Strategy<Value = Snapshot> {
    let tokens = proptest::option::weighted(0.9, (select(vec![0, 100, 1000]), 0.0..3000.0_f64, 0.0..800.0_f64));
    let extras = (proptest::collection::vec(demand(), 4), proptest::collection::vec(tokens, 16), inventory(), 0..3_u32);
    (any_snapshot(), extras).prop_map(|(mut snapshot, (demands, tokens, inventory, gpus))| {
        let reading = |value| Some(Reading { value, age: SignedDuration::from_secs(5) });
        for (model, demand) in snapshot.models.iter_mut().zip(demands) {
            model.demand = demand;
            let mut tokens = tokens.iter().cycle();
            for (at, variant) in model.variants.iter_mut().enumerate() {
                variant.gpus_per_replica = gpus;
                variant.server = (at % 2 == 0).then(small_server);
                ["A100", "h100", "unknown"][at % 3].clone_into(&mut variant.accelerator);
                for sample in variant.pods.iter_mut().filter_map(|pod| pod.sample.as_mut()) {
                    if let Some(Some((_, rate, waiting))) = tokens.clone().next() {
                        sample.pace =
                            Pace { rate: reading(rate / 100.0), waiting: reading(waiting / 50.0), ..Pace::default() };
                    }
                    sample.tokens = match tokens.next() {
                        Some(Some((blocks, input, output))) => Tokens {
                            kv_blocks: Some(*blocks),
                            kv_block_size: Some(16),
                            avg_input: reading(*input),
                            avg_output: reading(*output),
                            ..Tokens::default()
                        },
                        _ => Tokens::default(),
                    };
                }
            }
        }
        Snapshot { inventory, ..snapshot }
    })
}

/// A server whose queue is quickly solved.
pub(crate) fn small_server() -> ServerArguments {
    ServerArguments { max_num_seqs: 4, ..ServerArguments::default() }
}

/// A forecast for these models, on these accelerators.
pub(crate) fn proactive(models: &[&str], accelerators: &[&str]) -> Proactive {
    let profile = |model_id: &str, accelerator: &str| Profile {
        model_id: model_id.to_owned(),
        accelerator: accelerator.to_owned(),
        alpha: 5.0,
        beta: 0.2,
        gamma: 0.015,
    };
    let slo = |model_id: &&str| Slo { model_id: (*model_id).to_owned(), itl_ms: Some(500.0), ..Slo::default() };
    Proactive {
        profiles: models.iter().flat_map(|model| accelerators.iter().map(|it| profile(model, it))).collect(),
        slos: models.iter().map(slo).collect(),
        ..Proactive::default()
    }
}

/// Settings with any of the stages switched on.
pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let analyzer = select(vec![Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default())]);
    let limiter = select(vec![
        Limiter::Off,
        Limiter::On { on_unknown: FailMode::Hold },
        Limiter::On { on_unknown: FailMode::Unlimited },
    ]);
    let proactive = select(vec![None, Some(proactive(&["model-0", "model-1"], &["A100", "unknown"]))]);
    let window = Direction { window: SignedDuration::from_mins(3), ..Direction::default() };
    let pace = Policy { value: 2, period: SignedDuration::from_mins(2) };
    let slow = Direction { tolerance: 0.1, replicas: Some(pace), ..Direction::default() };
    let stabilization = select(vec![Stabilization::default(), Stabilization { up: slow, down: window }]);
    let rules = (select(vec![ScaleUpPolicy::Step, ScaleUpPolicy::Demand]), stabilization);
    (analyzer, limiter, any::<bool>(), proactive, rules).prop_map(|(analyzer, limiter, enabled, proactive, rules)| {
        Settings {
            analyzer: PerModel::all(analyzer),
            scale_up: PerModel::all(rules.0),
            stabilization: PerModel::all(rules.1),
            limiter,
            zero: PerModel::all(ZeroPolicy { enabled, retention: SignedDuration::from_mins(5) }),
            proactive,
            ..Settings::default()
        }
    })
}
