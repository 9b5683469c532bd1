//! What is kept of decisions: changes with their reasons, and no more than fits.

use jiff::{SignedDuration, Timestamp};
use wva_engine::fixtures::{MODEL, START, Script, model, variant};
use wva_engine::history::{DEPTH, History};
use wva_engine::plan::Evidence;
use wva_engine::{Reason, Snapshot, Target, VariantKey};

const IDLE: (f64, f64) = (0.5, 2.0);
const SATURATED: (f64, f64) = (0.95, 9.0);

fn target(name: &str, replicas: u32) -> Target {
    Target {
        variant: VariantKey { namespace: "models".into(), name: name.into() },
        model_id: MODEL.into(),
        accelerator: "A100".into(),
        current: 1,
        replicas,
        reason: Reason::Steady,
        notes: Vec::new(),
        evidence: Evidence::Complete,
    }
}

fn at(second: i64) -> Timestamp {
    START + SignedDuration::from_secs(second)
}

#[test]
fn equal_cycles_are_one_decision_and_a_change_is_another() {
    let (mut history, mut script) = (History::default(), Script::new());
    let mut cycle = |load, replicas| {
        let (now, models) = (script.now(), || [model(MODEL).with(variant("a").cost(40.0).ready(replicas, load))]);
        let plan = script.cycle(models());
        let snapshot = wva_engine::fixtures::snapshot(models());
        history.note(&plan.0.targets, &snapshot, now);
        script.pass(SignedDuration::from_secs(30));
    };
    for _ in 0..3 {
        cycle(IDLE, 2);
    }
    cycle(SATURATED, 2);
    let (key, of_a) = history.iter().next().unwrap();
    assert_eq!(key.name, "a");
    let [steady, grown] = of_a.decisions.iter().collect::<Vec<_>>()[..] else { panic!("{of_a:?}") };
    assert_eq!((steady.from, steady.to, steady.current, steady.class.as_ref()), (None, 2, 2, "steady"));
    assert_eq!(steady.until.duration_since(steady.at), SignedDuration::from_mins(1), "three cycles of half a minute");
    assert_eq!((grown.from, grown.to, grown.class.as_ref()), (Some(2), 3, "saturation"));
    assert_eq!((grown.kv_usage, grown.queue_length), (Some(0.95), Some(9.0)));
    assert!((grown.cost - 40.0).abs() < 1e-9 && grown.why.contains("needs capacity"), "{grown:?}");
    let written = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&written).unwrap(), history, "it is read as it was written");
}

#[test]
fn a_full_ring_forgets_the_oldest_and_says_so() {
    let mut history = History::default();
    for (second, replicas) in (0..).zip(0_u32..).take(DEPTH + 5) {
        history.note(&[target("a", replicas)], &Snapshot::default(), at(second));
        let of_a = history.of(&target("a", 0).variant).unwrap();
        assert_eq!(of_a.is_cut(), replicas as usize >= DEPTH);
    }
    let of_a = history.of(&target("a", 0).variant).unwrap();
    assert_eq!((of_a.decisions.len(), of_a.since, of_a.decisions[0].at), (DEPTH, at(0), at(5)));
}

#[test]
fn a_variant_that_is_gone_is_forgotten_and_another_is_not() {
    let mut history = History::default();
    history.note(&[target("a", 1), target("b", 1)], &Snapshot::default(), at(0));
    history.keep_only(|key| key.name == "b");
    assert_eq!(history.iter().map(|(key, _)| key.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

/// Resident memory of this process in bytes; the test has a process of its own.
#[cfg(target_os = "linux")]
#[expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that looks at its own process")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn full_rings_of_a_thousand_variants_take_less_than_sixteen_megabytes() {
    let names: Vec<String> = (0..1_000).map(|at| format!("llama-3-1-8b-instruct-{at:04}-va")).collect();
    let targets = |replicas| names.iter().map(|name| target(name, replicas)).collect::<Vec<_>>();
    let (mut history, before) = (History::default(), resident());
    for (second, replicas) in (0..).zip(0_u32..).take(DEPTH * 2) {
        // The longest of the usual reasons.
        let reason = Reason::InTransition {
            variant: "llama-3-1-8b-instruct-0000-va".into(),
            unsettled: wva_engine::plan::Unsettled::Replicas { desired: replicas, current: 1 },
        };
        let targets: Vec<_> = targets(replicas).into_iter().map(|it| Target { reason: reason.clone(), ..it }).collect();
        history.note(&targets, &Snapshot::default(), at(second));
    }
    let taken = resident().saturating_sub(before);
    assert_eq!(history.iter().map(|(_, of)| of.decisions.len()).sum::<usize>(), DEPTH * 1_000);
    println!("{} kB for {} decisions", taken / 1_000, DEPTH * 1_000);
    assert!(taken < 16_000_000, "{taken} bytes");
}
