//! What demand sizing makes of loads, carried out at once by servers that take time to start.

mod fleet;

use rstest::rstest;
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, Settings, TokenThresholds};

use self::fleet::{Fleet, MAXIMUM, Random, START_UP};

fn settings(analyzer: Analyzer) -> Settings {
    Settings {
        scale_up: PerModel::all(ScaleUpPolicy::Demand),
        analyzer: PerModel::all(analyzer),
        ..Settings::default()
    }
}

/// From 2 to 20 requests per second at once: 8 replicas take as many, 9 with a tenth to spare.
fn step(now: f64, _: &mut Random) -> f64 {
    if now <= 300.0 { 2.0 } else { 20.0 }
}

/// Six replicas are the fewest that let no more than 1 % wait for long.
fn noise(_: f64, random: &mut Random) -> f64 {
    12.0 * (1.0 + 0.17 * random.normal())
}

#[rstest]
fn a_load_that_grows_tenfold_at_once_gets_its_replicas_within_two_cycles_and_hardly_one_too_many(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
    #[values(1, 2, 3, 4, 5)] seed: u64,
) {
    let mut fleet = Fleet::new(settings(analyzer), &[1], seed);

    fleet.run(1500.0, step);

    let seen = &fleet.seen;
    let ready = seen.ready_since(8, 300.0).expect("they become ready") - 300.0;
    assert!(ready <= START_UP + 60.0, "8 ready after {ready} s: {:?}", seen.wanted);
    assert!(seen.most() <= 11, "{:?}", seen.wanted);
    let last = seen.wanted.last().expect("a decision").1;
    assert!((9..=10).contains(&last), "{last} in the end");
    // Who waited at the one replica when the others came has given up by then.
    let late = seen.gave_up_at.iter().filter(|at| **at > 300.0 + ready + 90.0).count();
    assert_eq!(late, 0);
}

#[rstest]
fn noise_moves_nothing_to_and_fro(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
    #[values(1, 2, 3)] seed: u64,
) {
    let mut fleet = Fleet::new(settings(analyzer), &[6], seed);

    fleet.run(1800.0, noise);

    let seen = &fleet.seen;
    assert!(seen.turns() <= 2, "{:?}", seen.wanted);
    assert!(seen.missed() <= 0.01, "{}", seen.missed());
    assert!(seen.cost <= 1.2 * 6.0 * 10.0 * 1800.0, "{} replicas on average", seen.cost / 18_000.0);
    assert!(seen.most() < MAXIMUM / 2);
}

#[rstest]
fn a_load_that_falls_takes_its_replicas_with_it(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
) {
    let mut fleet = Fleet::new(settings(analyzer), &[1], 1);

    fleet.run(2700.0, |now, random| if now <= 1200.0 { step(now, random) } else { 2.0 });

    let last = fleet.seen.wanted.last().expect("a decision").1;
    assert!(last <= 2, "{:?}", fleet.seen.wanted);
}
