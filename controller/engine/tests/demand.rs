//! What demand sizing makes of loads, carried out at once by servers that take time to start.

mod fleet;

use rstest::rstest;
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, Settings, TokenThresholds};

use self::fleet::{Fleet, Random, START_UP, Seen};

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

/// The median of what several runs came to.
fn median<T: PartialOrd + Copy>(runs: &[Seen], of: impl Fn(&Seen) -> T) -> T {
    let mut values: Vec<_> = runs.iter().map(of).collect();
    values.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    values[values.len() / 2]
}

#[rstest]
fn a_load_that_grows_tenfold_at_once_gets_its_replicas_within_a_cycle_and_hardly_one_too_many(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
) {
    let run = |seed| {
        let mut fleet = Fleet::new(settings(analyzer), &[1], seed);
        fleet.run(1500.0, step);
        fleet.seen
    };
    let runs: Vec<_> = (1..=5).map(run).collect();

    let ready = |seen: &Seen| seen.ready_since(8, 300.0).expect("they become ready") - 300.0;
    let last = |seen: &Seen| seen.wanted.last().expect("a decision").1;
    assert!(median(&runs, ready) <= START_UP + 30.0, "8 ready after {} s", median(&runs, ready));
    assert!(median(&runs, Seen::most) <= 11, "{}", median(&runs, Seen::most));
    assert!((9..=10).contains(&median(&runs, last)), "{} in the end", median(&runs, last));
    for seen in &runs {
        assert!(ready(seen) <= START_UP + 45.0, "8 ready after {} s: {:?}", ready(seen), seen.wanted);
        assert!(seen.most() <= 12, "{:?}", seen.wanted);
        // Who waited at the one replica when the others came has given up by then.
        let late = seen.gave_up_at.iter().filter(|at| **at > 300.0 + ready(seen) + 90.0).count();
        assert_eq!(late, 0);
    }
}

#[rstest]
fn noise_moves_nothing_to_and_fro(
    #[values(Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default()))] analyzer: Analyzer,
) {
    let run = |seed| {
        let mut fleet = Fleet::new(settings(analyzer), &[6], seed);
        fleet.run(1800.0, noise);
        fleet.seen
    };
    let runs: Vec<_> = (1..=5).map(run).collect();

    assert!(median(&runs, Seen::turns) <= 1, "{}", median(&runs, Seen::turns));
    let cost = median(&runs, |seen| seen.cost);
    assert!(cost <= 1.17 * 6.0 * 10.0 * 1800.0, "{} replicas on average", cost / 18_000.0);
    for seen in &runs {
        assert!(seen.turns() <= 3, "{:?}", seen.wanted);
        assert!(seen.missed() <= 0.01, "{}", seen.missed());
        assert!(seen.most() <= 9, "{:?}", seen.wanted);
    }
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
