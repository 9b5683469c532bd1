//! What the analyzer finds for one model; the numbers of the Go implementation.

use rstest::rstest;
use wva_engine::Thresholds;
use wva_engine::plan::Trigger;
use wva_engine::threshold::{Analysis, Replica, analyze};

/// KV-cache use and queue of each replica, at the usual thresholds 0.80, 5, 0.10 and 3.
fn one_variant(readings: &[(f64, f64)]) -> Analysis {
    let pods: Vec<_> = (0..readings.len()).map(|index| format!("pod-{index:02}")).collect();
    let replicas: Vec<_> = pods.iter().zip(readings).map(|(pod, load)| replica(pod, "v", *load)).collect();
    analyze(&replicas, &Thresholds::DEFAULT)
}

fn replica<'a>(pod: &'a str, variant: &'a str, (kv_usage, queue_length): (f64, f64)) -> Replica<'a> {
    Replica { pod, variant, accelerator: "A100", cost: 10.0, kv_usage, queue_length }
}

/// Averages and remainders are given to at most 3 decimals; where a bit decides, a test of its own compares bits.
#[track_caller]
fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-12, "expected {expected}, got {actual}");
}

#[rstest]
#[case::c01_kv_is_short(&[(0.75, 2.0), (0.76, 2.0)], 2, 0.045, 3.0, Some(Trigger::KvCache))]
#[case::c02_queue_is_short(&[(0.50, 3.0), (0.50, 3.0)], 2, 0.30, 2.0, Some(Trigger::Queue))]
#[case::c03_load_and_capacity_are_in_balance(&[(0.50, 1.0), (0.50, 1.0)], 2, 0.30, 4.0, None)]
#[case::c04_capacity_to_spare(&[(0.20, 1.0), (0.30, 1.0), (0.25, 1.0)], 3, 0.55, 4.0, None)]
#[case::c05_kv_is_short_on_both(&[(0.70, 2.0), (0.75, 2.0)], 2, 0.075, 3.0, Some(Trigger::KvCache))]
#[case::c06_one_replica(&[(0.50, 2.0)], 1, 0.30, 3.0, None)]
#[case::c08_two_of_three_saturated(&[(0.85, 2.0), (0.50, 6.0), (0.60, 2.0)], 1, 0.20, 3.0, None)]
#[case::c09_all_saturated(&[(0.85, 2.0), (0.50, 6.0), (0.90, 7.0)], 0, 0.0, 0.0, Some(Trigger::Both))]
#[case::c10_no_replicas(&[], 0, 0.0, 0.0, None)]
#[case::c11_kv_at_the_threshold_is_saturated(&[(0.80, 0.0), (0.10, 0.0)], 1, 0.70, 5.0, None)]
#[case::c12_queue_at_the_threshold_is_saturated(&[(0.10, 5.0), (0.10, 0.0)], 1, 0.70, 5.0, None)]
#[case::c13_spare_kv_at_the_trigger_is_enough(&[(0.65, 0.0), (0.75, 0.0)], 2, 0.10, 5.0, None)]
#[case::c14_saturated_ones_do_not_count(
    &[(0.95, 9.0), (0.95, 9.0), (0.95, 9.0), (0.10, 0.0), (0.10, 0.0)], 2, 0.70, 5.0, None
)]
#[case::c15_just_enough_would_remain(&[(0.35, 0.0), (0.35, 0.0)], 2, 0.45, 5.0, None)]
#[case::c16_more_than_enough_would_remain(&[(0.46, 0.0), (0.46, 0.0), (0.46, 0.0)], 3, 0.34, 5.0, None)]
fn a_model_needs_capacity_when_its_spare_average_falls_below_a_trigger(
    #[case] readings: &[(f64, f64)],
    #[case] non_saturated: u32,
    #[case] avg_spare_kv: f64,
    #[case] avg_spare_queue: f64,
    #[case] trigger: Option<Trigger>,
) {
    let analysis = one_variant(readings);

    assert_eq!(analysis.total as usize, readings.len());
    assert_eq!(analysis.non_saturated, non_saturated);
    assert_close(analysis.avg_spare_kv, avg_spare_kv);
    assert_close(analysis.avg_spare_queue, avg_spare_queue);
    assert_eq!(analysis.trigger, trigger);
    assert_eq!(analysis.should_scale_up, trigger.is_some());
}

#[rstest]
#[case::c01_less_than_nothing_would_remain(&[(0.75, 2.0), (0.76, 2.0)], Some((-0.71, 1.0)), false)]
#[case::c02_queue_would_be_short(&[(0.50, 3.0), (0.50, 3.0)], Some((-0.20, -1.0)), false)]
#[case::c03_kv_would_be_short(&[(0.50, 1.0), (0.50, 1.0)], Some((-0.20, 3.0)), false)]
#[case::c04_safe(&[(0.20, 1.0), (0.30, 1.0), (0.25, 1.0)], Some((0.425, 3.5)), true)]
#[case::c05_both_would_be_short(&[(0.70, 2.0), (0.75, 2.0)], Some((-0.65, 1.0)), false)]
#[case::c06_the_only_replica_stays(&[(0.50, 2.0)], None, false)]
#[case::c08_the_only_healthy_replica_stays(&[(0.85, 2.0), (0.50, 6.0), (0.60, 2.0)], None, false)]
#[case::c09_all_saturated(&[(0.85, 2.0), (0.50, 6.0), (0.90, 7.0)], None, false)]
#[case::c10_no_replicas(&[], None, false)]
#[case::c11_kv_at_the_threshold(&[(0.80, 0.0), (0.10, 0.0)], None, false)]
#[case::c12_queue_at_the_threshold(&[(0.10, 5.0), (0.10, 0.0)], None, false)]
#[case::c13_spare_kv_at_the_trigger(&[(0.65, 0.0), (0.75, 0.0)], Some((-0.60, 5.0)), false)]
#[case::c14_load_on_saturated_replicas_is_not_spread(
    &[(0.95, 9.0), (0.95, 9.0), (0.95, 9.0), (0.10, 0.0), (0.10, 0.0)], Some((0.60, 5.0)), true
)]
#[case::c15_exactly_the_trigger_would_remain(&[(0.35, 0.0), (0.35, 0.0)], Some((0.10, 5.0)), true)]
#[case::c16_three_replicas(&[(0.46, 0.0), (0.46, 0.0), (0.46, 0.0)], Some((0.11, 5.0)), true)]
fn a_replica_can_go_when_the_others_keep_the_triggers_spare(
    #[case] readings: &[(f64, f64)],
    #[case] remaining: Option<(f64, f64)>,
    #[case] safe: bool,
) {
    let analysis = one_variant(readings);

    assert_eq!(analysis.scale_down_safe, safe);
    assert_eq!(analysis.remaining.is_some(), remaining.is_some());
    if let (Some(actual), Some((kv, queue))) = (analysis.remaining, remaining) {
        assert_close(actual.kv, kv);
        assert_close(actual.queue, queue);
    }
}

#[test]
fn c07_variants_of_a_model_are_averaged_together() {
    let replicas = [
        replica("a-1", "a", (0.70, 2.0)),
        replica("a-2", "a", (0.75, 3.0)),
        replica("b-1", "b", (0.60, 1.0)),
        replica("b-2", "b", (0.65, 2.0)),
    ];

    let analysis = analyze(&replicas, &Thresholds::DEFAULT);

    assert_eq!((analysis.total, analysis.non_saturated), (4, 4));
    let counts: Vec<_> = analysis.variants.iter().map(|it| (it.variant.as_str(), it.replicas)).collect();
    assert_eq!(counts, [("a", 2), ("b", 2)]);
    assert_close(analysis.avg_spare_kv, 0.125);
    assert_close(analysis.avg_spare_queue, 3.0);
    assert!(!analysis.should_scale_up);
    assert!(!analysis.scale_down_safe);
}

/// Plain decimals would put both exactly on the trigger; in `f64` they are a hair above it.
#[rstest]
#[case::c13_average(&[(0.65, 0.0), (0.75, 0.0)], |it: &Analysis| it.avg_spare_kv, 0.100_000_000_000_000_03)]
#[case::c15_remainder(
    &[(0.35, 0.0), (0.35, 0.0)], |it: &Analysis| it.remaining.map_or(0.0, |left| left.kv), 0.100_000_000_000_000_09
)]
fn the_last_bits_are_those_of_the_go_implementation(
    #[case] readings: &[(f64, f64)],
    #[case] number: fn(&Analysis) -> f64,
    #[case] expected: f64,
) {
    assert_eq!(number(&one_variant(readings)).to_bits(), expected.to_bits());
}

#[rstest]
#[case::c17_idle((0.0, 0.0))]
#[case::c17_busy((0.95, 9.0))]
fn with_all_thresholds_zero_every_replica_is_saturated_and_nothing_changes(#[case] load: (f64, f64)) {
    let zero = Thresholds {
        kv_cache_threshold: 0.0,
        queue_length_threshold: 0.0,
        kv_spare_trigger: 0.0,
        queue_spare_trigger: 0.0,
    };

    let analysis = analyze(&[replica("p", "v", load)], &zero);

    assert_eq!((analysis.total, analysis.non_saturated), (1, 0));
    assert!(!analysis.should_scale_up);
    assert!(!analysis.scale_down_safe);
}

#[test]
fn a_variant_names_its_saturated_pods_and_its_highest_readings() {
    let replicas = [
        replica("p-3", "v", (0.60, 2.0)),
        replica("p-2", "v", (0.50, 6.0)),
        replica("p-1", "v", (0.85, 2.0)),
        replica("w-1", "w", (0.90, 0.0)),
    ];

    let analysis = analyze(&replicas, &Thresholds::DEFAULT);

    let [v, w] = analysis.variants.as_slice() else { panic!("two variants: {analysis:?}") };
    assert_eq!((v.replicas, v.non_saturated), (3, 1));
    assert_eq!(v.saturated_pods, ["p-1", "p-2"]);
    assert_close(v.max_kv_usage, 0.85);
    assert_close(v.max_queue_length, 6.0);
    assert_close(v.avg_spare_kv, 0.20);
    assert_close(v.avg_spare_queue, 3.0);
    assert_eq!((w.non_saturated, w.avg_spare_kv.to_bits(), w.avg_spare_queue.to_bits()), (0, 0, 0));
}
