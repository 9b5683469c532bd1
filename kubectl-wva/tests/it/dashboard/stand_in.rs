//! An hour of a stand-in cluster with as many variants as wanted: some have room, some little, some none.

use jiff::{SignedDuration, Timestamp};
use kubectl_wva::commands::cost::Gathered;
use kubectl_wva::commands::dashboard::{DashboardView, Samples};
use kubectl_wva::commands::status::{
    ConditionView, ControllerView, HpaView, InstanceView, Level, LoadView, Problem, ProblemKind, ReplicasView,
    StatusView, VariantView,
};
use kubectl_wva::readers::debug_state::LastCycle;
use serde_json::{Value, json};
use wva_engine::History;

use crate::objects::{typed, variant, variants};

const ACCELERATORS: [(&str, &str); 3] = [("A100", "40"), ("H100", "90"), ("L40S", "22")];

fn name(index: usize) -> String {
    format!("model-{:02}-{}", index / 3, ACCELERATORS[index % 3].0.to_lowercase())
}

fn model(index: usize) -> String {
    format!("org/model-{:02}", index / 3)
}

/// Load of a variant at a step of 32.
fn load(index: usize, step: u32) -> LoadView {
    let (kv, queue, level) = match index % 3 {
        0 => (0.84, 7.0, Level::Saturated),
        1 => (0.55, 0.4, Level::Usual),
        _ => (0.74, 2.6, Level::High),
    };
    let share = f64::from(step) / 32.0;
    LoadView {
        kv_usage: kv * (0.6 + 0.4 * share),
        queue_length: queue * share,
        level,
        each: Vec::new(),
        pods: 2,
        age_seconds: 8,
    }
}

fn shown(index: usize, step: u32, at: Timestamp) -> VariantView {
    let (accelerator, cost) = ACCELERATORS[index % 3];
    let current = 2 + i32::try_from(index % 4).unwrap();
    let short = index.is_multiple_of(3);
    let desired = current + i32::from(short);
    let why = if short { "spare KV 0.04 below 0.10: one replica more" } else { "Load and capacity are in balance" };
    let decision =
        ConditionView { status: "True".to_owned(), reason: "x".to_owned(), message: why.to_owned(), since: at };
    let hpa = HpaView {
        name: format!("{}-hpa", name(index)),
        current: Some(current),
        desired: Some(current),
        min: 1,
        max: 10,
        scaled_object: None,
        inactive: None,
        inactive_since: None,
        waits: None,
    };
    let problem = || Problem { kind: ProblemKind::Saturated, message: "saturated: 1 replica is on its way".to_owned() };
    VariantView {
        namespace: "models".to_owned(),
        name: format!("{}-va", name(index)),
        release: Some(name(index)),
        instance: Some("team-a".to_owned()),
        model: Some(model(index)),
        accelerator: Some(accelerator.to_owned()),
        cost: cost.to_owned(),
        load: Some(load(index, step)),
        replicas: ReplicasView { current: Some(current), ready: Some(current), desired: Some(desired) },
        hpa: Some(hpa),
        decision: Some(decision),
        decided_at: Some(at - SignedDuration::from_secs(90)),
        problems: if short { vec![problem()] } else { Vec::new() },
        ..VariantView::default()
    }
}

fn status(count: usize, step: u32, at: Timestamp) -> StatusView {
    let controller = ControllerView {
        namespace: "wva-system".to_owned(),
        name: "wva-controller-manager".to_owned(),
        ready: 2,
        replicas: 2,
        namespaces: std::collections::BTreeSet::new(),
        image: Some("localhost/wva-controller:0.6.0".to_owned()),
    };
    let instance = InstanceView {
        instance: Some("team-a".to_owned()),
        healthy: false,
        variants: count,
        ready: count,
        controllers: Some(vec![controller]),
        starting: Vec::new(),
        problems: Vec::new(),
    };
    StatusView {
        as_of: at,
        instances: vec![instance],
        variants: (0..count).map(|index| shown(index, step, at)).collect(),
        unread: Vec::new(),
        notes: Vec::new(),
    }
}

fn history(index: usize, now: Timestamp) -> Value {
    let cost: f64 = ACCELERATORS[index % 3].1.parse().unwrap();
    let current = 2 + index % 4;
    let early = i64::try_from(index % 7).unwrap();
    let decision = |minutes: i64, [from, to, there]: [usize; 3], (kv, queue): (f64, f64), why: &str| {
        let at = now - SignedDuration::from_mins(minutes);
        json!({
            "at": at, "until": at + SignedDuration::from_mins(1), "from": from, "to": to, "current": there, "cost": cost,
            "kvUsage": kv, "queueLength": queue, "class": "steady", "why": why,
        })
    };
    let balance = "Load and capacity are in balance";
    json!({"since": now - SignedDuration::from_mins(60), "decisions": [
        decision(60, [1, 1, 1], (0.2, 0.0), balance),
        decision(42 + early, [1, 3, 1], (0.93, 9.0), "spare KV 0.04 below 0.10: two replicas more"),
        decision(40 + early, [3, 3, 1], (0.97, 12.0), &format!("Waiting for {}-va to go from 1 to 3 replicas", name(index))),
        decision(35, [3, 3, 3], (0.6, 1.0), balance),
        decision(15, [3, current, 3], (0.25, 0.0), "one replica can go: the others would keep 0.30 of their KV cache"),
        decision(9, [current, current, current], (0.4, 0.5), balance),
    ]})
}

fn histories(count: usize, now: Timestamp) -> History {
    let pairs: Vec<Value> = (0..count)
        .map(|index| json!([{"namespace": "models", "name": format!("{}-va", name(index))}, history(index, now)]))
        .collect();
    typed(&Value::Array(pairs))
}

/// A controller that knows the models, with the built-in thresholds.
fn cycle(count: usize, now: Timestamp) -> LastCycle {
    let models: Vec<Value> = (0..count.div_ceil(3))
        .map(|index| {
            let key = json!({"namespace": "models", "model_id": model(index * 3)});
            json!({"key": key, "source": "answered", "variants": []})
        })
        .collect();
    typed(&json!({"at": now, "snapshot": {"models": models}, "plan": {"targets": [], "models": []}}))
}

/// What the page is told of `count` variants.
pub(super) fn view(count: usize) -> DashboardView {
    let now = Timestamp::now();
    let mut samples = Samples::default();
    for step in 0..=32 {
        samples.note(&status(count, step, now - SignedDuration::from_secs(15 * (32 - i64::from(step)))));
    }
    let gathered = Gathered {
        status: status(count, 32, now),
        cycles: vec![cycle(count, now)],
        histories: Some(vec![histories(count, now)]),
        recorded: Vec::new(),
        notes: Vec::new(),
    };
    let objects: Vec<Value> = (0..count).map(|index| variant("models", &name(index), &name(index), "team-a")).collect();
    DashboardView::build(&gathered, &variants(&objects), Some("models"), &samples)
}
