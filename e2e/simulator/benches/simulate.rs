//! Simulated hours per second of processor time.

#![allow(missing_docs, reason = "criterion's macros write functions without")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wva_simulator::load::Workload;
use wva_simulator::scenario::named;
use wva_simulator::{Policy, capacity, run};

fn runs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulated-seconds");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let no_files = |_: &str| Err(std::io::Error::other("there are no files"));
    for name in ["step", "noise"] {
        let Some(scenario) = named(name) else { continue };
        let Ok(workload) = Workload::of(&scenario, 1, no_files) else { continue };
        let capacity = capacity::capacities(&scenario, &workload);
        // Elements per second are simulated seconds per second.
        group.throughput(Throughput::Elements(workload.rates.len().try_into().unwrap_or(0)));
        for policy in ["threshold", "demand", "hpa-kv", "static"] {
            let Ok(kind) = Policy::named(policy) else { continue };
            group.bench_function(BenchmarkId::new(name, policy), |bencher| {
                bencher.iter(|| black_box(run(&scenario, &workload, &kind, 1, &capacity)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, runs);
criterion_main!(benches);
