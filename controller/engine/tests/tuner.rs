//! Finding out how long a server computes from what its requests see.

use rstest::rstest;
use wva_engine::queueing::{Observation, Replica, RequestSize, ServiceTime, Tuner};
use wva_engine::settings::Slo;

const A100: ServiceTime = ServiceTime { alpha: 11.45, beta: 0.0856, gamma: 0.00049 };
const H100: ServiceTime = ServiceTime { alpha: 6.973, beta: 0.027, gamma: 0.0003 };
const SLOW: ServiceTime = ServiceTime { alpha: 5.0, beta: 0.2, gamma: 0.015 };

fn replica(service: ServiceTime, (input, output): (f32, f32)) -> Replica {
    Replica::new(service, RequestSize { input, output }, 64)
}

/// What requests see of such a server at a share of the highest rate it can take.
fn observation(service: ServiceTime, size: (f32, f32), load: f32) -> Observation {
    let replica = replica(service, size);
    let rate = load * replica.range().expect("a server that makes sense").1;
    let seen = replica.analyze(rate).expect("a rate within its range");
    Observation {
        rate: f64::from(rate),
        input: f64::from(size.0),
        output: f64::from(size.1),
        max_batch: 64,
        ttft_ms: f64::from(seen.wait + seen.prefill),
        itl_ms: f64::from(seen.itl),
    }
}

/// A load that comes and goes.
fn day() -> impl Iterator<Item = f32> {
    [0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.6, 0.45, 0.3, 0.15].into_iter().cycle().take(60)
}

fn learnt(service: ServiceTime, size: (f32, f32)) -> Tuner {
    let mut tuner = Tuner::start(&observation(service, size, 0.1)).expect("everything is known");
    for load in day() {
        tuner.observe(&observation(service, size, load));
    }
    tuner
}

#[rstest]
#[case::a100(A100, (256.0, 128.0))]
#[case::a100_short(A100, (64.0, 64.0))]
#[case::h100(H100, (512.0, 128.0))]
#[case::h100_long(H100, (2000.0, 400.0))]
#[case::slow(SLOW, (100.0, 200.0))]
fn after_a_day_the_rate_a_server_can_take_is_known(#[case] service: ServiceTime, #[case] size: (f32, f32)) {
    let found = learnt(service, size).trusted().expect("observations that agree");

    let slo = Slo { itl_ms: Some(1.3 * found.alpha), ..Slo::default() };
    let rate = |service| replica(service, size).capacity(&slo).expect("feasible");
    let (expected, learnt) = (rate(service), rate(found));
    assert!((learnt / expected - 1.0).abs() < 0.1, "{learnt} instead of {expected} requests per second: {found:?}");
}

#[test]
fn nothing_is_trusted_before_five_observations_agree() {
    let seen = |load| observation(A100, (256.0, 128.0), load);
    let mut tuner = Tuner::start(&seen(0.1)).expect("everything is known");
    for load in [0.2, 0.3, 0.4, 0.5] {
        assert!(tuner.observe(&seen(load)));
        assert_eq!(tuner.trusted(), None);
    }
    assert!(tuner.observe(&seen(0.6)));
    assert!(tuner.trusted().is_some_and(|it| it.alpha > 0.0 && it.beta > 0.0 && it.gamma > 0.0));
}

#[test]
fn what_does_not_fit_changes_nothing_and_when_nothing_fits_it_is_lost() {
    let mut tuner = learnt(A100, (256.0, 128.0));
    let before = tuner.trusted();
    let strange = Observation { ttft_ms: 60_000.0, ..observation(A100, (256.0, 128.0), 0.3) };
    for time in 1..=5 {
        assert!(!tuner.observe(&strange));
        assert_eq!((tuner.trusted(), tuner.is_lost()), (before, time == 5));
    }
    assert!(tuner.observe(&observation(A100, (256.0, 128.0), 0.3)));
    assert!(!tuner.is_lost());
}

#[rstest]
#[case::no_rate(|it: &mut Observation| it.rate = 0.0)]
#[case::no_first_token(|it: &mut Observation| it.ttft_ms = 0.0)]
#[case::not_a_number(|it: &mut Observation| it.itl_ms = f64::NAN)]
#[case::no_answer(|it: &mut Observation| it.output = 0.5)]
fn an_observation_that_says_nothing_starts_nothing(#[case] change: fn(&mut Observation)) {
    let mut seen = observation(A100, (256.0, 128.0), 0.3);
    change(&mut seen);

    assert_eq!(Tuner::start(&seen), None);
}
