//! The queueing model of one replica, case by case.

use rstest::rstest;
use wva_engine::queueing::queue::{replicas, solve};
use wva_engine::queueing::{Allocation, Error, Performance, Position, Replica, RequestSize, ServiceTime, search};
use wva_engine::settings::Slo;

fn service(alpha: f32, beta: f32, gamma: f32) -> ServiceTime {
    ServiceTime { alpha, beta, gamma }
}

fn request(input: f32, output: f32) -> RequestSize {
    RequestSize { input, output }
}

/// The replica of cases 99 to 104.
fn replica() -> Replica {
    Replica { service: service(1.0, 0.01, 0.001), request: request(100.0, 10.0), max_batch: 8, max_queue: 16 }
}

fn slo(ttft: f32, itl: f32) -> Slo {
    let promise = |value: f32| (value != 0.0).then_some(value);
    Slo { ttft_ms: promise(ttft), itl_ms: promise(itl), ..Slo::default() }
}

fn is_near(value: f32, expected: f32) -> bool {
    ((value - expected) / expected).abs() < 2e-5 || (value - expected).abs() < 1e-6
}

#[track_caller]
fn assert_near(value: f32, expected: f32) {
    assert!(is_near(value, expected), "{value} is not {expected}");
}

#[rstest]
#[case(1000.0, 1.0, 32.0)]
#[case(2000.0, 8.0, 208.0)]
#[case(500.0, 2.5, 29.25)]
#[case(0.0, 4.0, 0.0)]
fn c97_a_prompt_takes_longer_in_a_larger_batch(#[case] input: f32, #[case] batch: f32, #[case] expected: f32) {
    assert_near(service(10.0, 0.01, 0.001).prefill(batch, request(input, 0.0)), expected);
}

#[rstest]
#[case(1.0, 1.23)]
#[case(4.0, 1.575)]
#[case(8.0, 2.035)]
#[case(2.5, 1.4025)]
fn c98_a_token_takes_longer_in_a_larger_batch(#[case] batch: f32, #[case] expected: f32) {
    assert_near(service(1.0, 0.1, 0.01).decode(batch, request(1.0, 1.0)), expected);
}

#[test]
fn c99_a_replica_covers_a_range_of_rates() {
    let (least, most) = replica().range().expect("a replica that makes sense");

    assert_near(least, 0.064_495_32);
    assert_near(most, 255.417_08);
}

#[test]
fn c100_a_rate_leads_to_times() {
    let Performance { throughput, response, wait, in_service, prefill, itl, ttft, utilization } =
        replica().analyze(127.740_79).expect("within the range");

    for (value, expected) in [
        (throughput, 127.740_75),
        (response, 21.8939),
        (wait, 0.19419),
        (in_service, 2.77193),
        (prefill, 2.66825),
        (itl, 1.90314),
        (ttft, 4.76558),
        (utilization, 0.34649),
    ] {
        assert!(is_near(value, expected) || (value - expected).abs() < 1e-4, "{value} is not {expected}");
    }
}

#[rstest]
#[case::first_token(4.0, 0.0, 73.0971)]
#[case::tokens(0.0, 1.6, 68.9718)]
#[case::both(10.0, 2.0, 143.738)]
#[case::first_token_alone(10.0, 0.0, 196.090)]
fn c101_promises_limit_the_rate(#[case] ttft: f32, #[case] itl: f32, #[case] rate: f32) {
    let found = replica().size(&slo(ttft, itl)).expect("feasible");

    assert!(((found - rate) / rate).abs() < 1e-4, "{found} is not {rate}");
}

#[rstest]
#[case(100.0)]
#[case(1.0)]
fn c101_a_promise_of_tokens_per_second_limits_the_rate_whatever_it_is(#[case] tps: f32) {
    let found = replica().size(&Slo { tps: Some(tps), ..slo(50.0, 5.0) }).expect("feasible");

    assert_near(found, 229.875);
}

#[test]
fn c106_a_replica_of_which_nothing_is_asked_has_a_capacity_too() {
    let per_minute = 60.0 * Replica::idle_capacity(service(5.0, 0.2, 0.015), 16);

    assert!((per_minute - 71_641.8).abs() < 0.1, "{per_minute}");
}

#[test]
fn no_promise_allows_every_rate() {
    let (_, most) = replica().range().expect("a replica that makes sense");

    assert_eq!(replica().size(&slo(0.0, 0.0)), Ok(most));
}

#[rstest]
#[case::first_token(1.0, 0.0, Error::NotFeasible)]
#[case::tokens(0.0, 0.5, Error::NotFeasible)]
#[case::negative(-1.0, 0.0, Error::Invalid)]
fn c102_a_promise_tighter_than_an_idle_replica_cannot_be_kept(
    #[case] ttft: f32,
    #[case] itl: f32,
    #[case] error: Error,
) {
    assert_eq!(replica().size(&slo(ttft, itl)), Err(error));
}

#[rstest]
#[case::no_rate(replica(), 0.0, Error::RateOutOfRange)]
#[case::negative_rate(replica(), -1.0, Error::RateOutOfRange)]
#[case::above_the_range(replica(), 1.1 * 255.417_08, Error::RateOutOfRange)]
#[case::no_answer(Replica { request: request(100.0, 0.0), ..replica() }, 1.0, Error::Invalid)]
#[case::nobody_served(Replica { max_batch: 0, ..replica() }, 1.0, Error::Invalid)]
fn c103_what_makes_no_sense_is_an_error(#[case] replica: Replica, #[case] rate: f32, #[case] error: Error) {
    assert_eq!(replica.analyze(rate), Err(error));
}

#[test]
fn c104_there_must_be_room_for_two_requests() {
    let room = |max_queue| Replica { max_batch: 1, max_queue, ..replica() }.analyze(1.0).map(|_| ());

    assert_eq!((room(0), room(1)), (Err(Error::NoRoom), Ok(())));
}

#[rstest]
#[case(0.5, 0.606_103, 0.502_631, 0.005_614_0)]
#[case(1.5, 0.216_949, 1.576_271, 0.083_916)]
fn c105_a_queue_in_the_long_run(#[case] arrival: f32, #[case] empty: f64, #[case] in_system: f32, #[case] wait: f32) {
    let state = solve(arrival, &[1.0, 2.0, 3.0], 2).expect("a queue that makes sense");

    assert!((state.empty - empty).abs() < 1e-6, "{}", state.empty);
    assert_near(state.in_system, in_system);
    assert!((state.wait - wait).abs() < 2e-6, "{}", state.wait);
}

#[test]
fn a_long_queue_does_not_overflow() {
    let state = solve(1e30, &[1e-30; 4], 40).expect("a queue that makes sense");

    assert_near(state.in_system, 44.0);
}

#[rstest]
#[case::c107_few(2000.0, 500.0, 2.0, 1.15363, 2)]
#[case::c107_ten_times_as_many(2000.0, 500.0, 20.0, 1.15363, 18)]
#[case::c108_tighter(100.0, 50.0, 2.0, 0.889_078, 3)]
#[case::c108_many(500.0, 50.0, 100.0, 1.054_933, 95)]
fn a_rate_needs_replicas(
    #[case] ttft: f32,
    #[case] itl: f32,
    #[case] rate: f32,
    #[case] per_replica: f32,
    #[case] expected: u32,
) {
    let replica = Replica::new(service(5.0, 0.2, 0.015), request(100.0, 200.0), 16);

    let capacity = replica.capacity(&slo(ttft, itl)).expect("feasible");

    assert!(((capacity - per_replica) / per_replica).abs() < 1e-4, "{capacity} is not {per_replica}");
    assert_eq!(replicas(rate, capacity), expected);
}

#[test]
fn c109_a_promise_that_cannot_be_kept_needs_no_number() {
    let replica = Replica::new(service(5.0, 0.2, 0.015), request(100.0, 200.0), 16);

    assert_eq!(replica.capacity(&slo(1.0, 0.1)), Err(Error::NotFeasible));
}

#[rstest]
#[case::rising(|x| x * x, (0.0, 10.0), 4.0, 2.0, Position::Inside)]
#[case::beyond_at_the_start(|x| 2.0 * x, (2.0, 5.0), 1.0, 2.0, Position::Below)]
#[case::not_reached(|x| 2.0 * x, (1.0, 3.0), 10.0, 3.0, Position::Above)]
#[case::falling(|x: f32| -x, (1.0, 5.0), -3.0, 3.0, Position::Inside)]
#[case::flat_and_looser_go_called_it_infeasible(|_| 1.0, (1.0, 5.0), 2.0, 5.0, Position::Above)]
fn c111_a_value_is_found_on_a_curve(
    #[case] curve: fn(f32) -> f32,
    #[case] range: (f32, f32),
    #[case] value: f32,
    #[case] expected: f32,
    #[case] position: Position,
) {
    let (found, at) = search(|x| Ok(curve(x)), range, value).expect("a range");

    assert_near(found, expected);
    assert_eq!(at, position);
}

#[test]
fn c111_an_empty_range_is_an_error() {
    assert_eq!(search(Ok, (5.0, 1.0), 2.0), Err(Error::Invalid));
}

#[test]
fn c112_a_large_replica_is_limited_by_time_between_tokens() {
    let of = |max_queue| Replica {
        service: service(6.973, 0.027, 0.0003),
        request: request(512.0, 128.0),
        max_batch: 64,
        max_queue,
    };
    let replica = of(640);

    let (_, most) = replica.range().expect("a replica that makes sense");
    let rates = [most, replica.size(&slo(500.0, 0.0)).unwrap(), replica.size(&slo(0.0, 24.0)).unwrap()];

    for (rate, expected) in rates.into_iter().zip([18.4167, 17.5428, 17.4270]) {
        assert!(((rate - expected) / expected).abs() < 1e-4, "{rate} is not {expected}");
    }
}

#[rstest]
#[case::unchanged("a", 2, 100.0, 0.0)]
#[case::another_number("a", 3, 150.0, 50.0)]
#[case::another_accelerator("b", 2, 120.0, 42.0)]
fn c110_a_change_has_a_penalty(
    #[case] accelerator: &str,
    #[case] replicas: u32,
    #[case] cost: f64,
    #[case] penalty: f64,
) {
    let from = Allocation { accelerator: "a", replicas: 2, cost: 100.0 };

    assert!((from.penalty_to(&Allocation { accelerator, replicas, cost }) - penalty).abs() < 1e-9);
}
