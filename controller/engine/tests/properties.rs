//! What holds for every snapshot, the hostile ones included.

mod worlds;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use wva_engine::fixtures::START;
use wva_engine::plan::{Evidence, Reason};
use wva_engine::settings::{PerModel, ScaleUpPolicy};
use wva_engine::snapshot::{Bounds, Model, Readiness, Reading, Snapshot, Source, Variant, VariantKey};
use wva_engine::threshold::{Replica, analyze};
use wva_engine::{Memory, Plan, Settings, Target, Thresholds, decide};

use self::worlds::{any_snapshot, memory, shuffled, sound_snapshot};

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
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/properties.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (snapshot, shuffled) in any_snapshot().prop_flat_map(|snapshot| (Just(snapshot.clone()), shuffled(snapshot))),
        (memory, now) in memory(),
    ) {
        let expected = plan_of(&snapshot, &memory, now);

        let (plan, memory) = plan_of(&shuffled, &memory, now);

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
    fn nothing_is_decided_on_missing_readings(
        snapshot in any_snapshot(),
        (memory, now) in memory(),
        policy in select(vec![ScaleUpPolicy::Step, ScaleUpPolicy::Demand]),
    ) {
        let settings = Settings { scale_up: PerModel::all(policy), ..Settings::default() };
        let plan = decide(&snapshot, &mut memory.clone(), &settings, now);

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
