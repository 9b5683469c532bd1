//! What holds for every snapshot whatever stages are switched on.

mod worlds;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use wva_engine::accelerator::pool_of;
use wva_engine::fixtures::START;
use wva_engine::plan::Reason;
use wva_engine::settings::{FailMode, Limiter};
use wva_engine::snapshot::{Gateway, Model, Reading, Snapshot, Source, Variant, VariantKey};
use wva_engine::{Memory, Plan, Settings, Target, decide};

use self::worlds::{settings, shuffled, staged_snapshot};

/// Decides twice, minutes apart, so that what an earlier decision left plays its part.
fn twice(snapshot: &Snapshot, settings: &Settings, minutes: i64) -> (Plan, Memory, Timestamp) {
    let mut memory = Memory::default();
    decide(snapshot, &mut memory, settings, START);
    let now = START + SignedDuration::from_mins(minutes);
    let plan = decide(snapshot, &mut memory, settings, now);
    (plan, memory, now)
}

fn minutes() -> impl Strategy<Value = i64> {
    proptest::sample::select(vec![0, 1, 6, 11])
}

fn with_targets<'a>(snapshot: &'a Snapshot, plan: &'a Plan) -> Vec<(&'a Model, &'a Variant, &'a Target)> {
    let pairs = snapshot.models.iter().flat_map(|model| model.variants.iter().map(move |variant| (model, variant)));
    pairs
        .map(|(model, variant)| {
            let key = VariantKey { namespace: model.key.namespace.clone(), name: variant.name.clone() };
            let target = plan.targets.iter().find(|it| it.variant == key).expect("every variant has a target");
            (model, variant, target)
        })
        .collect()
}

fn is_zero(reading: Option<Reading>) -> bool {
    reading.is_some_and(|it| it.value == 0.0 && it.age <= Settings::default().stale_after)
}

fn is_known_to_be_idle(model: &Model) -> bool {
    let demand = &model.demand;
    let gateway = match demand.gateway {
        Gateway::None => true,
        Gateway::Unknown => false,
        Gateway::Queued(queued) => is_zero(Some(queued)),
    };
    gateway && is_zero(demand.completed) && is_zero(demand.running) && is_zero(demand.waiting)
}

fn in_use(variant: &Variant) -> u32 {
    variant.current.max(variant.spec_replicas).max(u32::try_from(variant.pods.len()).expect("a handful"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/seeds/stage_properties.txt"))), ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (snapshot, shuffled) in staged_snapshot().prop_flat_map(|it| (Just(it.clone()), shuffled(it))),
        settings in settings(),
        minutes in minutes(),
    ) {
        let (plan, memory, _) = twice(&snapshot, &settings, minutes);
        let (again, remembered, _) = twice(&shuffled, &settings, minutes);

        prop_assert_eq!(format!("{again:?}"), format!("{plan:?}"));
        prop_assert_eq!(format!("{remembered:?}"), format!("{memory:?}"));
    }

    #[test]
    fn a_variant_that_runs_goes_to_zero_only_by_policy_and_when_known_to_be_idle(
        snapshot in staged_snapshot(),
        settings in settings(),
        minutes in minutes(),
    ) {
        let (plan, _, _) = twice(&snapshot, &settings, minutes);

        for (model, variant, target) in with_targets(&snapshot, &plan) {
            if variant.spec_replicas > 0 && target.replicas == 0 {
                let is_slept = matches!(target.reason, Reason::ScaledToZero { .. });
                prop_assert!(is_slept && settings.zero.of(&model.key).enabled, "{:?}", target);
                prop_assert!(is_known_to_be_idle(model) && model.source == Source::Answered, "{:?}", model.demand);
                prop_assert_eq!(variant.bounds.min.unwrap_or(0), 0);
            }
        }
    }

    #[test]
    fn a_variant_that_runs_stays_within_the_limits_of_its_follower(
        snapshot in staged_snapshot(),
        settings in settings(),
        minutes in minutes(),
    ) {
        let (plan, _, _) = twice(&snapshot, &settings, minutes);

        for (_, variant, target) in with_targets(&snapshot, &plan).into_iter().filter(|it| it.1.spec_replicas > 0) {
            prop_assert!(target.replicas >= variant.bounds.min.unwrap_or(0), "{:?}", target);
            prop_assert!(target.replicas <= variant.bounds.max.unwrap_or(u32::MAX), "{:?}", target);
        }
    }

    #[test]
    fn nothing_grows_beyond_the_gpus_there_are(
        snapshot in staged_snapshot(),
        settings in settings(),
        minutes in minutes(),
    ) {
        let settings = Settings { limiter: Limiter::On { on_unknown: FailMode::Hold }, ..settings };
        let (plan, _, _) = twice(&snapshot, &settings, minutes);
        let Some(inventory) = &snapshot.inventory else { return Ok(()) };

        let mut free: BTreeMap<String, i64> = BTreeMap::new();
        for (name, gpus) in &inventory.gpus {
            *free.entry(pool_of(name)).or_default() += i64::from(gpus.total) - i64::from(gpus.used_by_others);
        }
        let mut granted: BTreeMap<String, i64> = BTreeMap::new();
        for (_, variant, target) in with_targets(&snapshot, &plan) {
            let (pool, gpus) = (pool_of(&variant.accelerator), i64::from(variant.gpus_per_replica.max(1)));
            *free.entry(pool.clone()).or_default() -= i64::from(in_use(variant)) * gpus;
            // What is held is not decided, and a minimum is kept by whoever follows.
            let is_kept = matches!(target.reason, Reason::Held | Reason::Paused | Reason::VariantPaused { .. } | Reason::AtZero);
            let floor = in_use(variant).max(variant.bounds.min.unwrap_or(0));
            if !is_kept && target.replicas > floor {
                *granted.entry(pool).or_default() += i64::from(target.replicas - floor) * gpus;
            }
        }
        for (pool, gpus) in granted.into_iter().filter(|(pool, _)| free.contains_key(pool)) {
            let is_listed = inventory.gpus.keys().any(|name| pool_of(name) == pool);
            prop_assert!(!is_listed || gpus <= free[&pool], "{gpus} of {pool} granted, {} free", free[&pool]);
        }
    }

    #[test]
    fn the_limiter_lowers_a_model_by_itself_and_never_below_what_is_there(
        snapshot in staged_snapshot(),
        settings in settings(),
    ) {
        let off = Settings { limiter: Limiter::Off, ..settings.clone() };
        let unlimited = decide(&snapshot, &mut Memory::default(), &off, START);
        let limited = decide(&snapshot, &mut Memory::default(), &settings, START);

        for ((_, variant, free), (_, _, target)) in
            with_targets(&snapshot, &unlimited).into_iter().zip(with_targets(&snapshot, &limited))
        {
            // Where there are GPUs decides which variant grows, and which sleeping one is woken.
            if variant.spec_replicas > 0 {
                prop_assert!(target.replicas >= free.replicas.min(variant.current), "{:?} {:?}", target, free);
            }
        }
    }

    #[test]
    fn a_dump_with_settings_and_memory_can_be_replayed(
        snapshot in staged_snapshot(),
        mut settings in settings(),
        minutes in minutes(),
    ) {
        for model in &snapshot.models {
            settings.zero.models.insert(model.key.clone(), *settings.zero.of(&model.key));
            settings.thresholds.models.insert(model.key.clone(), *settings.thresholds_of(&model.key));
        }
        // JSON has no numbers that are not numbers.
        let snapshot: Snapshot = match serde_json::to_string(&snapshot).map(|text| serde_json::from_str(&text)) {
            Ok(Ok(snapshot)) => snapshot,
            _ => return Ok(()),
        };
        let (_, memory, now) = twice(&snapshot, &settings, minutes);
        let dump = serde_json::to_string(&(&snapshot, &memory, &settings, now)).unwrap();
        let (again, mut remembered, resolved, then): (Snapshot, Memory, Settings, Timestamp) =
            serde_json::from_str(&dump).unwrap();
        prop_assert_eq!(&remembered, &memory);

        let mut memory = memory;
        let plan = decide(&snapshot, &mut memory, &settings, now);
        let replayed = decide(&again, &mut remembered, &resolved, then);

        prop_assert_eq!(&replayed, &plan);
        prop_assert_eq!(remembered, memory);
        prop_assert_eq!(serde_json::from_str::<Plan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
    }
}
