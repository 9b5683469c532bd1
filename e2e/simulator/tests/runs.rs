//! Whole runs: what holds for all of them, and what is known of queues.

#![allow(clippy::unwrap_used, reason = "what fails here is a test")]

use proptest::prelude::*;
use rstest::rstest;
use wva_simulator::load::{Length, Lengths, Load, Workload};
use wva_simulator::outcome::Requests;
use wva_simulator::scenario::{NAMES, Routing, Variant, named};
use wva_simulator::server::Server;
use wva_simulator::{Outcome, Policy, Scenario, capacity, run};

fn no_files(file: &str) -> std::io::Result<String> {
    Err(std::io::Error::other(format!("no file {file} is read here")))
}

fn outcome(scenario: &Scenario, policy: &Policy, seed: u64) -> Outcome {
    scenario.check().unwrap();
    let workload = Workload::of(scenario, seed, no_files).unwrap();
    let capacity = capacity::capacities(scenario, &workload);
    run(scenario, &workload, policy, seed, &capacity)
}

/// Ten minutes of the step, with the step after two.
fn short_step() -> Scenario {
    Scenario {
        duration_seconds: 600.0,
        load: Load::Step { from: 2.0, to: 12.0, at_seconds: 120.0 },
        ..named("step").unwrap()
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let demand = Policy::named("demand").unwrap();
    let first = outcome(&short_step(), &demand, 3);
    assert_eq!(first, outcome(&short_step(), &demand, 3));
    assert_ne!(first.requests, outcome(&short_step(), &demand, 4).requests);
}

#[test]
fn every_scenario_that_comes_along_can_be_simulated() {
    for name in NAMES {
        let scenario = Scenario { duration_seconds: 120.0, ..named(name).unwrap() };
        assert!(outcome(&scenario, &Policy::named("threshold").unwrap(), 1).requests.arrived > 0, "{name}");
    }
}

fn all_accounted_for(requests: Requests) {
    let Requests { arrived, answered, gave_up, refused, killed, open, .. } = requests;
    assert_eq!(arrived, answered + gave_up + refused + killed + open, "{requests:?}");
}

fn policies() -> impl Strategy<Value = Policy> {
    prop::sample::select(&Policy::NAMES[..]).prop_map(|name| Policy::named(name).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_request_is_lost_and_nothing_is_free(
        policy in policies(),
        seed in 0..1000_u64,
        (quiet, burst) in (0.2..3.0_f64, 3.0..25.0_f64),
        start_up in 0.0..200.0_f64,
        routing in prop::sample::select(vec![Routing::default(), Routing::FewestRequests, Routing::RoundRobin]),
        gpus in prop::option::of(2..12_u32),
    ) {
        let load = Load::Bursts { quiet, burst, every_seconds: 120.0, length_seconds: 60.0 };
        let gpus = gpus.map(|gpus| ("A100".to_owned(), gpus)).into_iter().collect();
        let scenario = Scenario { duration_seconds: 500.0, load, start_up_seconds: start_up, routing, gpus, ..named("step").unwrap() };
        let outcome = outcome(&scenario, &policy, seed);
        all_accounted_for(outcome.requests);
        prop_assert!((0.0..=1.0).contains(&outcome.attainment));
        prop_assert!(outcome.attainment <= outcome.ttft_attainment.min(outcome.itl_attainment) + 1e-9);
        for second in &outcome.seconds {
            for (variant, (spec, ready)) in scenario.variants.iter().zip(second.spec.iter().zip(&second.ready)) {
                prop_assert!((variant.min..=variant.max).contains(spec), "{second:?}");
                prop_assert!(*ready <= variant.max);
            }
            if let Some(limit) = scenario.gpus.get("A100") {
                prop_assert!(second.ready[0] <= *limit, "{second:?}");
            }
        }
        // Two replicas are always there.
        let least = 2.0 * 500.0 / 3600.0;
        prop_assert!(outcome.used.gpu_hours >= least - 0.01, "{:?}", outcome.used);
    }
}

/// A server that takes one request at a time, and a fixed time for each.
fn one_at_a_time(service_ms: f64) -> Server {
    Server {
        alpha_ms: service_ms,
        beta_ms: 0.0,
        gamma_ms: 0.0,
        max_num_seqs: 1,
        kv_tokens: 10_000,
        ..Server::default()
    }
}

fn queue(rate: f64, service_ms: f64, hours: f64) -> Scenario {
    let server = one_at_a_time(service_ms);
    let variant = Variant { initial: 1, min: 1, max: 1, server, ..named("step").unwrap().variants[0].clone() };
    Scenario {
        duration_seconds: 3600.0 * hours,
        load: Load::Step { from: rate, to: rate, at_seconds: 0.0 },
        requests: Lengths { prompt: Length { mean: 10.0, cv: 0.0 }, output: Length { mean: 1.0, cv: 0.0 } },
        variants: vec![variant],
        patience_seconds: None,
        routing: Routing::FewestRequests,
        ..named("step").unwrap()
    }
}

/// Mean wait in a queue with one server: λ·E\[S²\]/(2·(1 − ρ)) (Pollaczek and Khinchine), which is ρ·S/(2·(1 − ρ)) for a fixed
/// service time S.
#[rstest]
#[case::half_loaded(0.5)]
#[case::at_eighty_percent(0.8)]
#[case::at_ninety_percent(0.9)]
fn the_mean_wait_is_that_of_a_queue_with_one_server_and_a_fixed_service_time(#[case] load: f64) {
    let service = 0.1;
    let scenario = queue(load / service, service * 1000.0, 6.0);
    let workload = Workload::of(&scenario, 1, no_files).unwrap();
    let outcome = run(&scenario, &workload, &Policy::Static { replicas: Some(1) }, 1, &[10.0]);
    let waited = outcome.mean_ttft - service;
    let expected = load * service / (2.0 * (1.0 - load));
    assert!((waited / expected - 1.0).abs() < 0.05, "waited {waited} s on average, not {expected} s");
}

#[test]
fn the_rate_that_a_replica_takes_is_that_of_its_service_times() {
    let scenario = queue(5.0, 100.0, 0.5);
    let workload = Workload::of(&scenario, 1, no_files).unwrap();
    let throughput = capacity::throughput(&scenario.variants[0].server, &workload);
    assert!((throughput - 10.0).abs() < 0.01, "{throughput}");
}
