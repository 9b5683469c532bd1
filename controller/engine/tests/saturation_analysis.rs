//! The `saturation` analyzer's numbers, case by case.

use rstest::rstest;
use wva_engine::Thresholds;
use wva_engine::fixtures::START;
use wva_engine::saturation::{
    Analysis, AnswerLength, AtGateway, Candidate, Capacities, Guards, LiveCapacity, ReplicaKind, ReplicaLoad, Ring,
    VariantLoad, analyze, median, optimize,
};
use wva_engine::settings::TokenThresholds;
use wva_engine::vllm::ServerArguments;

/// A replica whose KV cache holds 16,000 tokens.
fn replica(tokens_in_use: i64, queue_length: i64, avg_input: f64, avg_output: f64) -> ReplicaLoad<'static> {
    ReplicaLoad { pod: "p", engines: 1, kv_tokens: 16_000, tokens_in_use, queue_length, avg_input, avg_output }
}

fn variant(replicas: Vec<ReplicaLoad<'_>>) -> VariantLoad<'_> {
    let ready = u32::try_from(replicas.len()).expect("a handful");
    VariantLoad { variant: "a", accelerator: "H100", gpus_per_replica: 1, server: None, ready, pending: 0, replicas }
}

fn found(variants: &[VariantLoad<'_>], capacities: &mut Capacities, guards: Guards) -> Analysis {
    let (thresholds, tokens) = (Thresholds::DEFAULT, TokenThresholds::default());
    analyze(variants, capacities, &thresholds, &tokens, AtGateway::default(), guards, START)
}

/// As the Go controller finds it.
fn as_go(variants: &[VariantLoad<'_>], capacities: &mut Capacities) -> Analysis {
    found(variants, capacities, Guards::NONE)
}

/// To two decimals.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What the only variant, with this room per replica, is to have.
fn next(analysis: &Analysis, current: u32) -> u32 {
    let per_replica = f64::from(i32::try_from(analysis.variants[0].per_replica).expect("a small number"));
    let candidate = Candidate::new("a", 10.0, per_replica, current);
    optimize(&[candidate], analysis.required, analysis.spare)["a"]
}

#[rstest]
#[case::c43_the_cache_limits(replica(5000, 0, 100.0, 50.0), 12_800, 5000)]
#[case::c44_a_full_queue_shows_what_can_be_computed(replica(8000, 6, 100.0, 50.0), 8000, 8600)]
#[case::c45_a_full_queue_with_less_in_use(replica(4000, 10, 0.0, 0.0), 4000, 4000)]
fn a_replica_has_room_for_what_it_can_hold_and_compute(
    #[case] replica: ReplicaLoad<'_>,
    #[case] capacity: i64,
    #[case] demand: i64,
) {
    for guards in [Guards::NONE, Guards::SETTLED] {
        let analysis = found(&[variant(vec![replica])], &mut Capacities::default(), guards);

        assert_eq!((analysis.variants[0].per_replica, analysis.demand), (capacity, demand));
    }
}

#[test]
fn c44_c46_c47_what_was_observed_is_remembered_for_answers_of_the_same_length() {
    let mut capacities = Capacities::default();
    let analysis = as_go(&[variant(vec![replica(8000, 6, 100.0, 50.0)])], &mut capacities);
    assert_eq!((rounded(analysis.required), next(&analysis, 1)), (2117.65, 2));
    let kind = ReplicaKind::of(&variant(Vec::new()));
    assert_eq!(capacities.mean(&kind, AnswerLength::Short), Some(8000.0));

    let mut of = |output| {
        let load = variant(vec![replica(6000, 2, 100.0, output)]);
        as_go(&[load], &mut capacities).variants[0].per_replica
    };
    assert_eq!((of(50.0), of(600.0)), (8000, 12_800));
}

#[test]
fn c48_what_the_arguments_allow_is_limited_by_the_cache() {
    let server = ServerArguments { max_num_batched_tokens: 2048, ..ServerArguments::default() };
    let load = VariantLoad { server: Some(&server), ..variant(vec![replica(5000, 2, 500.0, 100.0)]) };

    assert_eq!(server.derived_capacity(500.0, 100.0), Some(140_800));
    assert_eq!(as_go(&[load], &mut Capacities::default()).variants[0].per_replica, 12_800);
}

#[rstest]
#[case::c50_in_balance(vec![replica(10_000, 0, 0.0, 0.0)], 0, (0.0, 0.0), 1)]
#[case::c51_short(vec![replica(11_000, 3, 100.0, 50.0)], 0, (494.12, 0.0), 2)]
#[case::c52_to_spare(vec![replica(1000, 0, 0.0, 0.0); 2], 0, (0.0, 22_742.86), 1)]
#[case::c53_enough_on_its_way(vec![replica(10_000, 0, 0.0, 0.0)], 1, (0.0, 0.0), 2)]
fn a_model_is_short_or_has_to_spare(
    #[case] replicas: Vec<ReplicaLoad<'_>>,
    #[case] pending: u32,
    #[case] short_and_spare: (f64, f64),
    #[case] replicas_next: u32,
) {
    let load = VariantLoad { pending, ..variant(replicas) };
    let current = load.ready + pending;

    let analysis = as_go(&[load], &mut Capacities::default());

    assert_eq!((rounded(analysis.required), rounded(analysis.spare)), short_and_spare);
    assert_eq!(next(&analysis, current), replicas_next);
}

#[test]
fn c53_c54_replicas_on_their_way_count_for_growth_and_not_for_what_can_go() {
    let load = |ready, pending, in_use| VariantLoad { ready, pending, ..variant(vec![replica(in_use, 0, 0.0, 0.0)]) };

    let analysis = as_go(&[load(1, 1, 10_000)], &mut Capacities::default());
    assert_eq!((analysis.supply, analysis.anticipated), (12_800, 25_600));

    let analysis = as_go(&[load(2, 1, 1000)], &mut Capacities::default());
    assert_eq!((analysis.supply, rounded(analysis.spare)), (25_600, 24_171.43));
}

fn remembered(variant: &VariantLoad<'_>, capacity: i64) -> Capacities {
    let mut capacities = Capacities::default();
    let live = LiveCapacity { kind: ReplicaKind::of(variant), kv_tokens: 16_000, capacity };
    capacities.learn(variant.variant, live);
    capacities
}

#[test]
fn c55_a_variant_without_replicas_has_the_room_that_was_measured_last() {
    let load = variant(Vec::new());

    assert_eq!(as_go(std::slice::from_ref(&load), &mut remembered(&load, 12_000)).variants[0].per_replica, 12_000);
}

#[test]
fn a_measurement_of_servers_with_other_arguments_or_gpus_does_not_count() {
    let (before, after) = (ServerArguments::default(), ServerArguments { block_size: 32, ..Default::default() });
    let measured = VariantLoad { server: Some(&before), ..variant(Vec::new()) };
    let restarted = VariantLoad { server: Some(&after), ..variant(Vec::new()) };
    let larger = VariantLoad { gpus_per_replica: 2, ..measured.clone() };

    let room = |load| as_go(&[load], &mut remembered(&measured, 12_000)).variants[0].per_replica;

    assert_eq!((room(measured.clone()), room(restarted), room(larger)), (12_000, 8192, 8192));
}

#[rstest]
#[case::c56_from_the_arguments(0, None, true, 140_800)]
#[case::c57_not_more_than_another_variant_of_the_kind(0, Some(40_000), true, 40_000)]
#[case::c58_not_more_than_the_cache(1875, None, true, 24_000)]
#[case::c59_one_batch_when_no_lengths_are_known(0, None, false, 8192)]
fn room_of_a_variant_without_replicas_is_estimated(
    #[case] num_gpu_blocks_override: i64,
    #[case] of_another: Option<i64>,
    #[case] lengths: bool,
    #[case] room: i64,
) {
    let server = ServerArguments { num_gpu_blocks_override, ..ServerArguments::default() };
    let load = VariantLoad { server: Some(&server), ..variant(Vec::new()) };
    let mut capacities = match of_another {
        Some(capacity) => remembered(&VariantLoad { variant: "another", ..load.clone() }, capacity),
        None => Capacities::default(),
    };
    let reporting = VariantLoad { variant: "b", accelerator: "L4", ..variant(vec![replica(10, 0, 500.0, 100.0)]) };
    let variants = if lengths { vec![load, reporting] } else { vec![load] };

    assert_eq!(as_go(&variants, &mut capacities).variants[0].per_replica, room);
}

#[rstest]
#[case::c60_half_of_the_prompts_are_known(4000.0, 0.5, 6000)]
#[case::c61_long_prompts(20_000.0, 0.0, 10_500)]
fn requests_that_wait_at_the_gateway_are_demand(#[case] bytes: f64, #[case] hit_rate: f64, #[case] demand: i64) {
    let gateway = AtGateway { requests: 10.0, bytes, hit_rate };
    let load = variant(vec![replica(5000, 0, 100.0, 50.0)]);

    let (thresholds, tokens) = (Thresholds::DEFAULT, TokenThresholds::default());
    let analysis = analyze(&[load], &mut Capacities::default(), &thresholds, &tokens, gateway, Guards::NONE, START);

    assert_eq!(analysis.demand, demand);
}

#[rstest]
#[case::none(&[], 0)]
#[case::one(&[42], 42)]
#[case::odd(&[1, 3, 5], 3)]
#[case::even(&[1, 3, 5, 7], 4)]
#[case::any_order(&[5, 1, 3], 3)]
fn c62_the_median_is_the_middle(#[case] values: &[i64], #[case] expected: i64) {
    assert_eq!(median(values.to_vec()), expected);
}

#[rstest]
#[case::three(3, 5, 4.0)]
#[case::ten(10, 15, 10.5)]
fn c63_only_the_last_observations_count(#[case] kept: usize, #[case] last: i64, #[case] mean: f64) {
    let mut ring = Ring::default();
    (1..=last).for_each(|value| ring.push(value, kept));

    assert_eq!(ring.mean(), Some(mean));
}

#[rstest]
#[case(0.0, AnswerLength::Short)]
#[case(99.9, AnswerLength::Short)]
#[case(100.0, AnswerLength::Medium)]
#[case(499.9, AnswerLength::Medium)]
#[case(500.0, AnswerLength::Long)]
fn c64_answers_are_short_medium_or_long(#[case] avg_output: f64, #[case] length: AnswerLength) {
    assert_eq!(AnswerLength::of(avg_output), length);
}

#[test]
fn c65_a_burst_on_an_empty_replica_is_not_its_capacity_118_replicas_for_go_and_none_learnt_here() {
    let burst = || variant(vec![replica(100, 10, 1000.0, 50.0)]);

    let mut capacities = Capacities::default();
    let analysis = as_go(&[burst()], &mut capacities);
    assert_eq!((analysis.variants[0].per_replica, analysis.demand), (100, 10_100));
    assert_eq!((rounded(analysis.required), next(&analysis, 1)), (11_782.35, 119));

    // 100 tokens are less than a quarter of the 12,800 that fit into its cache.
    let mut capacities = Capacities::default();
    let analysis = found(&[burst()], &mut capacities, Guards::SETTLED);
    assert_eq!((analysis.variants[0].per_replica, analysis.required, next(&analysis, 1)), (12_800, 0.0, 1));
    assert_eq!(capacities.mean(&ReplicaKind::of(&burst()), AnswerLength::Short), None);
}

#[test]
fn nothing_is_learnt_while_a_change_is_under_way() {
    let mut capacities = Capacities::default();
    let load = variant(vec![replica(8000, 6, 100.0, 50.0)]);

    let analysis = found(std::slice::from_ref(&load), &mut capacities, Guards::UNSETTLED);

    assert_eq!(analysis.variants[0].per_replica, 8000);
    assert_eq!(capacities.mean(&ReplicaKind::of(&load), AnswerLength::Short), None);
}

#[test]
fn a_replica_of_several_engines_computes_as_many_batches() {
    let server = ServerArguments::default();
    let of = |engines| {
        let load = ReplicaLoad { engines, kv_tokens: 10_000_000, ..replica(0, 0, 512.0, 128.0) };
        let variant = VariantLoad { server: Some(&server), ..variant(vec![load]) };
        found(&[variant], &mut Capacities::default(), Guards::SETTLED).variants[0].per_replica
    };
    assert_eq!([of(0), of(1), of(4)], [147_456, 147_456, 4 * 147_456]);
}
