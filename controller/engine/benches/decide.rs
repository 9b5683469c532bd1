//! Processor time of a decision on models of one variant with ten replicas each: it grows with their number, and no faster.

#![allow(missing_docs, reason = "criterion's macros write functions without")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use wva_engine::fixtures::{START, model, snapshot, variant};
use wva_engine::settings::{Proactive, Profile, Slo};
use wva_engine::{Memory, Settings, Snapshot, decide};

/// Models of which each asks for something else.
fn fleet(models: u32) -> Snapshot {
    let of = |number: u32| {
        let load = (0.4 + f64::from(number % 20) / 100.0, f64::from(number % 3));
        let serving = variant(&format!("variant-{number:05}")).ready(10, load).desired(10);
        model(&format!("model-{number:05}"))
            .with(serving.tokens(160_000, (100.0 + f64::from(number % 50), 200.0)))
            .arriving(1.0 + f64::from(number % 7))
    };
    snapshot((0..models).map(of))
}

fn hybrid(models: u32) -> Settings {
    let names = (0..models).map(|number| format!("model-{number:05}"));
    let profile = |model_id| Profile { model_id, accelerator: "A100".into(), alpha: 5.0, beta: 0.2, gamma: 0.015 };
    let slo = |model_id| Slo { model_id, itl_ms: Some(500.0), ..Slo::default() };
    let proactive = Proactive {
        profiles: names.clone().map(profile).collect(),
        slos: names.map(slo).collect(),
        ..Proactive::default()
    };
    Settings { proactive: Some(proactive), ..Settings::default() }
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for models in [100, 1_000, 10_000] {
        let fleet = fleet(models);
        for (mode, settings) in [("threshold", Settings::default()), ("hybrid", hybrid(models))] {
            let mut memory = Memory::default();
            group.bench_function(BenchmarkId::new(mode, models), |bencher| {
                bencher.iter(|| black_box(decide(black_box(&fleet), &mut memory, &settings, START)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
