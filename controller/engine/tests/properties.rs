//! What holds for every snapshot, the hostile ones included.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use wva_engine::fixtures::START;
use wva_engine::plan::{Evidence, Reason};
use wva_engine::snapshot::{
    Bounds, Model, ModelKey, Pod, Readiness, Reading, Sample, Snapshot, Source, Variant, VariantKey,
};
use wva_engine::threshold::{Replica, analyze};
use wva_engine::{Memory, Plan, Settings, Target, Thresholds, decide};

// === What is generated ===

/// A pod as it is when nothing is wrong.
fn sound_pod(load: (f64, f64)) -> Pod {
    let reading = |value| Some(Reading { value, age: SignedDuration::from_secs(15) });
    let sample = Sample { kv_usage: reading(load.0), queue_length: reading(load.1), ..Sample::default() };
    let since = START - SignedDuration::from_hours(1);
    Pod { name: String::new(), ready: Readiness::Ready { since }, sample: Some(sample) }
}

fn hostile_reading() -> impl Strategy<Value = Option<Reading>> {
    let value = prop_oneof![
        0.0..1.0_f64,
        select(vec![0.0, -0.0, -1.0, 0.8, 5.0, 1e300, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ];
    let age = select(vec![-60, 0, 30, 119, 120, 121, 86_400, i64::MAX, i64::MIN]);
    let reading = (value, age).prop_map(|(value, age)| Reading { value, age: SignedDuration::from_secs(age) });
    prop_oneof![1 => Just(None), 6 => reading.prop_map(Some)]
}

fn hostile_pod() -> impl Strategy<Value = Pod> {
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
        sample,
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (proptest::option::of(0..6_u32), proptest::option::of(1..6_u32)).prop_map(|(min, max)| match (min, max) {
        (Some(min), Some(max)) => Bounds { min: Some(min.min(max)), max: Some(max) },
        (min, max) => Bounds { min, max },
    })
}

/// A variant that has settled: every replica is there and reports.
fn sound_variant() -> impl Strategy<Value = Variant> {
    let cost = select(vec![5.0, 10.0, 40.0]);
    // One load for all pods, or the model would hardly ever be short of capacity or have some to spare.
    let load = (select(vec![0.05, 0.3, 0.6, 0.65, 0.75, 0.78, 0.9]), select(vec![0.0, 1.0, 2.0, 4.0, 7.0]));
    (1..5_u32, load, cost, bounds(), any::<bool>()).prop_map(|(current, load, cost, bounds, published)| {
        let desired = published.then_some(current);
        variant(cost, (current, current), desired, bounds, vec![sound_pod(load); current as usize])
    })
}

fn hostile_variant() -> impl Strategy<Value = Variant> {
    let replicas = || prop_oneof![8 => 0..6_u32, 1 => Just(u32::MAX)];
    let cost = select(vec![0.0, -0.0, 5.0, -5.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let pods = proptest::collection::vec(prop_oneof![hostile_pod(), Just(sound_pod((0.5, 1.0)))], 0..6);
    (cost, (replicas(), replicas()), proptest::option::of(replicas()), bounds(), pods)
        .prop_map(|(cost, replicas, desired, bounds, pods)| variant(cost, replicas, desired, bounds, pods))
}

fn variant(
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

fn source() -> impl Strategy<Value = Source> {
    let failed = Source::Failed { message: "timeout".into() };
    prop_oneof![9 => Just(Source::Answered), 1 => Just(failed)]
}

fn models(variant: impl Strategy<Value = Variant> + Clone) -> impl Strategy<Value = Vec<Model>> {
    let model = (source(), proptest::collection::vec(variant, 0..4)).prop_map(|(source, variants)| Model {
        key: ModelKey { namespace: "llm".into(), model_id: String::new() },
        source,
        variants,
        ..Model::default()
    });
    proptest::collection::vec(model, 0..4)
}

/// Gives everything a name of its own, and to every sample the model's unless it has another.
fn named(mut models: Vec<Model>) -> Snapshot {
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

fn sound_snapshot() -> impl Strategy<Value = Snapshot> {
    models(sound_variant().boxed()).prop_map(named)
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let mixed = prop_oneof![2 => sound_variant(), 1 => hostile_variant()].boxed();
    models(mixed).prop_map(named)
}

/// A memory as an earlier cycle leaves it, long enough ago that time-outs have run out, or not.
fn memory() -> impl Strategy<Value = (Memory, Timestamp)> {
    (any_snapshot(), select(vec![0, 1, 10, 11])).prop_map(|(snapshot, minutes)| {
        let mut memory = Memory::default();
        decide(&snapshot, &mut memory, &Settings::default(), START);
        (memory, START + SignedDuration::from_mins(minutes))
    })
}

// === What is expected ===

fn plan_of(snapshot: &Snapshot, memory: &Memory, now: Timestamp) -> (Plan, Memory) {
    let mut memory = memory.clone();
    let plan = decide(snapshot, &mut memory, &Settings::default(), now);
    (plan, memory)
}

fn with_targets<'a>(
    snapshot: &'a Snapshot,
    plan: &'a Plan,
) -> impl Iterator<Item = (&'a Model, &'a Variant, &'a Target)> {
    let pairs = snapshot.models.iter().flat_map(|model| model.variants.iter().map(move |variant| (model, variant)));
    pairs.map(|(model, variant)| {
        let key = VariantKey { namespace: model.key.namespace.clone(), name: variant.name.clone() };
        (model, variant, plan.targets.iter().find(|target| target.variant == key).expect("every variant has a target"))
    })
}

fn limited(variant: &Variant, replicas: u32) -> u32 {
    let Bounds { min, max } = variant.bounds;
    replicas.max(min.unwrap_or(1)).min(max.unwrap_or(u32::MAX)).max(1)
}

/// What a variant has when nothing is decided.
fn held(variant: &Variant) -> u32 {
    match (variant.spec_replicas, variant.desired) {
        (0, desired) => desired.unwrap_or(0),
        (_, Some(desired)) if desired > 0 => limited(variant, desired),
        _ => limited(variant, variant.current),
    }
}

/// Whether a ready pod ought to have readings and has none that can be used.
fn lacks_readings(model: &Model, now: Timestamp) -> bool {
    let settings = Settings::default();
    let usable = |reading: Option<Reading>| {
        reading.is_some_and(|it| it.value.is_finite() && it.value >= 0.0 && it.age <= settings.stale_after)
    };
    let active = model.variants.iter().filter(|variant| variant.spec_replicas > 0);
    let silent = active.flat_map(|variant| &variant.pods).any(|pod| {
        let due =
            matches!(pod.ready, Readiness::Ready { since } if now.duration_since(since) >= settings.metrics_grace);
        let reports = pod.sample.as_ref().is_some_and(|sample| {
            sample.model_id == model.key.model_id && usable(sample.kv_usage) && usable(sample.queue_length)
        });
        due && !reports
    });
    silent || model.source != Source::Answered
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (snapshot, shuffled) in any_snapshot().prop_flat_map(|snapshot| {
            let shuffled = Just(snapshot.models.clone()).prop_shuffle().prop_flat_map(|models| {
                models.into_iter().map(shuffled_model).collect::<Vec<_>>()
            });
            (Just(snapshot), shuffled)
        }),
        (memory, now) in memory(),
    ) {
        let expected = plan_of(&snapshot, &memory, now);

        let (plan, memory) = plan_of(&Snapshot { models: shuffled, ..Snapshot::default() }, &memory, now);

        // Compared as text: the targets may carry a number that is not equal to itself.
        prop_assert_eq!(format!("{plan:?}"), format!("{:?}", expected.0));
        prop_assert_eq!(memory, expected.1);
    }

    #[test]
    fn the_same_input_gives_the_same_plan(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (first, second) = (plan_of(&snapshot, &memory, now), plan_of(&snapshot, &memory, now));

        prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }

    #[test]
    fn a_dump_can_be_replayed(snapshot in sound_snapshot(), (memory, now) in memory()) {
        let dump = serde_json::to_string(&(&snapshot, &memory, Settings::default(), now)).unwrap();
        let (again, remembered, settings, then): (Snapshot, Memory, Settings, Timestamp) =
            serde_json::from_str(&dump).unwrap();

        let mut remembered = remembered;
        let replayed = decide(&again, &mut remembered, &settings, then);

        let (plan, _) = plan_of(&snapshot, &memory, now);
        prop_assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan.clone());
        prop_assert_eq!(replayed, plan);
    }

    #[test]
    fn nothing_is_decided_on_missing_readings(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (plan, _) = plan_of(&snapshot, &memory, now);

        for (model, variant, target) in with_targets(&snapshot, &plan) {
            if lacks_readings(model, now) && variant.spec_replicas > 0 {
                prop_assert_eq!(target.replicas, held(variant), "{:?}", target);
                prop_assert_eq!(&target.reason, &Reason::Held);
            }
        }
        for (model, outcome) in snapshot.models.iter().zip(&plan.models) {
            prop_assert_eq!(&model.key, &outcome.key);
            prop_assert_eq!(outcome.analysis.is_some(), outcome.evidence == Evidence::Complete);
            prop_assert!(outcome.analysis.is_none() || !lacks_readings(model, now));
        }
    }

    #[test]
    fn a_running_variant_stays_within_its_limits(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (plan, _) = plan_of(&snapshot, &memory, now);

        for (_, variant, target) in with_targets(&snapshot, &plan).filter(|it| it.1.spec_replicas > 0) {
            prop_assert!(target.replicas >= variant.bounds.min.unwrap_or(1).max(1), "{:?}", target);
            prop_assert!(target.replicas <= variant.bounds.max.unwrap_or(u32::MAX), "{:?}", target);
        }
    }

    #[test]
    fn a_model_moves_one_variant_by_one_replica(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (plan, _) = plan_of(&snapshot, &memory, now);

        for model in &snapshot.models {
            let of_model = || with_targets(&snapshot, &plan).filter(|it| it.0.key == model.key);
            let ups = of_model().filter(|it| matches!(it.2.reason, Reason::ScaleUp { .. })).count();
            let downs = of_model().filter(|it| matches!(it.2.reason, Reason::ScaleDown { .. })).count();
            prop_assert!(ups + downs <= 1);
            for (_, variant, target) in of_model() {
                // An update runs more pods than asked for; the number to move is then the one asked for.
                let base = variant.spec_replicas.min(variant.current)..=variant.current;
                match &target.reason {
                    Reason::ScaleUp { .. } => prop_assert!(base.contains(&(target.replicas - 1)), "{:?}", target),
                    Reason::ScaleDown { .. } => prop_assert!(base.contains(&(target.replicas + 1)), "{:?}", target),
                    Reason::Bounded { .. } => {}
                    _ => prop_assert!(
                        base.contains(&target.replicas) || target.replicas == held(variant) || variant.spec_replicas == 0,
                        "{:?}", target
                    ),
                }
            }
        }
    }

    #[test]
    fn a_sound_model_moves_one_variant_by_one_replica(snapshot in sound_snapshot()) {
        let (plan, _) = plan_of(&snapshot, &Memory::default(), START);

        for model in &snapshot.models {
            let moves: Vec<_> = with_targets(&snapshot, &plan)
                .filter(|(of, variant, target)| of.key == model.key && target.replicas != held(variant))
                .map(|(_, variant, target)| (i64::from(target.replicas) - i64::from(variant.current)).abs())
                .collect();
            prop_assert!(moves.is_empty() || moves == [1], "{:?}", plan.targets);
        }
    }

    #[test]
    fn a_variant_at_zero_is_not_woken(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (plan, _) = plan_of(&snapshot, &memory, now);

        for (_, variant, target) in with_targets(&snapshot, &plan).filter(|it| it.1.spec_replicas == 0) {
            prop_assert_eq!(&target.reason, &Reason::AtZero);
            prop_assert!([variant.desired, Some(0)].contains(&Some(target.replicas)), "{:?}", target);
        }
    }

    #[test]
    fn models_do_not_influence_each_other(snapshot in any_snapshot(), (memory, now) in memory()) {
        let (together, _) = plan_of(&snapshot, &memory, now);

        let mut alone: Vec<Target> = snapshot
            .models
            .iter()
            .flat_map(|model| plan_of(&Snapshot { models: vec![model.clone()], ..Snapshot::default() }, &memory, now).0.targets)
            .collect();
        alone.sort_by(|a, b| a.variant.cmp(&b.variant));

        prop_assert_eq!(format!("{:?}", together.targets), format!("{alone:?}"));
    }

    #[test]
    fn a_model_never_needs_capacity_and_has_some_to_spare(
        readings in proptest::collection::vec((0..3_u8, 0.0..1.2_f64, 0..9_u8), 0..20),
        [kv, kv_trigger] in [0.0..1.0_f64, 0.0..1.0_f64],
        [queue, queue_trigger] in [0.0..10.0_f64, 0.0..10.0_f64],
    ) {
        let thresholds = Thresholds {
            kv_cache_threshold: kv.max(kv_trigger),
            queue_length_threshold: queue.max(queue_trigger),
            kv_spare_trigger: kv_trigger.min(kv),
            queue_spare_trigger: queue_trigger.min(queue),
        };
        let names: Vec<_> = readings.iter().enumerate().map(|(pod, it)| (format!("{pod:02}"), it.0.to_string())).collect();
        let replicas: Vec<_> = names
            .iter()
            .zip(&readings)
            .map(|((pod, variant), (_, kv_usage, queue))| Replica {
                pod, variant, accelerator: "A100", cost: 10.0, kv_usage: *kv_usage, queue_length: f64::from(*queue),
            })
            .collect();

        let analysis = analyze(&replicas, &thresholds);

        prop_assert!(!(analysis.should_scale_up && analysis.scale_down_safe), "{:?}", analysis);
    }
}

fn shuffled_model(model: Model) -> impl Strategy<Value = Model> {
    let Model { key, source, demand, variants } = model;
    let variants = Just(variants)
        .prop_shuffle()
        .prop_flat_map(|variants| variants.into_iter().map(shuffled_variant).collect::<Vec<_>>());
    variants.prop_map(move |variants| Model { key: key.clone(), source: source.clone(), demand, variants })
}

fn shuffled_variant(variant: Variant) -> impl Strategy<Value = Variant> {
    Just(variant.pods.clone()).prop_shuffle().prop_map(move |pods| Variant { pods, ..variant.clone() })
}
