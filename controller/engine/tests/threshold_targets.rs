//! Replicas the analyzer chooses for each variant; the numbers of the Go implementation.

use std::collections::BTreeMap;

use rstest::rstest;
use wva_engine::plan::{Action, Evidence, Reason, Trigger, Unsettled};
use wva_engine::snapshot::Bounds;
use wva_engine::threshold::{Analysis, Replica, VariantState, analyze, targets};
use wva_engine::{Target, Thresholds, VariantKey};

/// Load of every replica that makes the model need capacity, or leaves it some to spare.
const UP: (f64, f64) = (0.75, 0.0);
const DOWN: (f64, f64) = (0.10, 0.0);

/// A variant at a cost with replicas that report; what it has, what was published (0: nothing) and what is pending.
#[derive(Clone, Copy)]
struct Row(&'static str, f64, u32, [u32; 3]);

fn analysis(rows: &[Row], (kv_usage, queue_length): (f64, f64)) -> Analysis {
    let pods: Vec<_> = (0..rows.iter().map(|row| row.2).max().unwrap_or(0)).map(|pod| format!("{pod:02}")).collect();
    let replicas: Vec<_> = rows
        .iter()
        .flat_map(|Row(variant, cost, reporting, _)| {
            pods.iter().take(*reporting as usize).map(move |pod| Replica {
                pod,
                variant,
                accelerator: "A100",
                cost: *cost,
                kv_usage,
                queue_length,
            })
        })
        .collect();
    analyze(&replicas, &Thresholds::DEFAULT)
}

fn state(Row(variant, _, _, [current, desired, pending]): &Row) -> VariantState<'static> {
    let desired = Some(*desired).filter(|desired| *desired > 0);
    VariantState { desired, pending: *pending, ..VariantState::new(variant, *current) }
}

fn replicas_of(analysis: &Analysis, states: &[VariantState<'_>]) -> BTreeMap<String, u32> {
    targets(analysis, states).into_iter().map(|(variant, choice)| (variant, choice.replicas)).collect()
}

fn expected(targets: &[(&str, u32)]) -> BTreeMap<String, u32> {
    targets.iter().map(|(variant, replicas)| ((*variant).to_owned(), *replicas)).collect()
}

#[rstest]
#[case::c18_the_cheapest_grows(
    UP,
    &[Row("exp", 20.0, 2, [2, 0, 0]), Row("cheap", 5.0, 2, [2, 0, 0]), Row("mid", 15.0, 2, [2, 0, 0])],
    &[("exp", 2), ("cheap", 3), ("mid", 2)]
)]
#[case::c19_the_most_expensive_shrinks(
    DOWN,
    &[Row("exp", 20.0, 2, [2, 0, 0]), Row("cheap", 5.0, 2, [2, 0, 0]), Row("mid", 15.0, 2, [2, 0, 0])],
    &[("exp", 1), ("cheap", 2), ("mid", 2)]
)]
#[case::c20_a_published_number_on_its_way_blocks_the_model(
    UP,
    &[Row("v1", 20.0, 2, [2, 4, 0]), Row("v2", 5.0, 2, [2, 0, 0])],
    &[("v1", 4), ("v2", 2)]
)]
#[case::c21_a_replica_that_does_not_report_blocks_the_model(
    UP,
    &[Row("v1", 20.0, 2, [3, 0, 0]), Row("v2", 5.0, 2, [2, 0, 0])],
    &[("v1", 3), ("v2", 2)]
)]
#[case::c22_of_equally_cheap_ones_the_first_name_grows(
    UP,
    &[Row("v-zebra", 10.0, 2, [2, 0, 0]), Row("v-alpha", 10.0, 2, [2, 0, 0]), Row("v-middle", 10.0, 2, [2, 0, 0])],
    &[("v-zebra", 2), ("v-alpha", 3), ("v-middle", 2)]
)]
#[case::c23_of_equally_dear_ones_the_last_name_shrinks(
    DOWN,
    &[Row("v-zebra", 10.0, 2, [2, 0, 0]), Row("v-alpha", 10.0, 2, [2, 0, 0]), Row("v-middle", 10.0, 2, [2, 0, 0])],
    &[("v-zebra", 1), ("v-alpha", 2), ("v-middle", 2)]
)]
#[case::c24_the_last_replica_of_a_variant_stays(
    DOWN,
    &[Row("v1", 20.0, 1, [1, 0, 0]), Row("v2", 10.0, 2, [2, 0, 0])],
    &[("v1", 1), ("v2", 1)]
)]
#[case::c25_a_variant_with_pending_pods_is_passed_over(
    UP,
    &[Row("a", 5.0, 2, [2, 2, 1]), Row("b", 9.0, 1, [1, 1, 0])],
    &[("a", 2), ("b", 2)]
)]
#[case::c26_the_cheaper_variant_is_blocked_too(
    UP,
    &[Row("l4", 5.0, 2, [2, 0, 0]), Row("a100", 20.0, 3, [4, 4, 1])],
    &[("l4", 2), ("a100", 4)]
)]
#[case::c27_a_number_above_reach_freezes_without_known_limits(
    DOWN,
    &[Row("a", 5.0, 10, [10, 11, 0])],
    &[("a", 11)]
)]
#[case::c28_a_number_below_reach_freezes_without_known_limits(
    UP,
    &[Row("a", 5.0, 2, [2, 1, 0])],
    &[("a", 1)]
)]
fn at_most_one_variant_moves_by_one_replica(
    #[case] load: (f64, f64),
    #[case] rows: &[Row],
    #[case] replicas: &[(&str, u32)],
) {
    let states: Vec<_> = rows.iter().map(state).collect();

    assert_eq!(replicas_of(&analysis(rows, load), &states), expected(replicas));
}

#[rstest]
#[case::short_of_capacity(UP)]
#[case::capacity_to_spare(DOWN)]
#[case::saturated((0.95, 9.0))]
#[case::in_balance((0.50, 1.0))]
fn c29_a_model_never_needs_capacity_and_has_some_to_spare(#[case] load: (f64, f64)) {
    let analysis = analysis(&[Row("a", 5.0, 3, [3, 0, 0])], load);

    assert!(!(analysis.should_scale_up && analysis.scale_down_safe), "{analysis:?}");
}

#[test]
fn c29_if_it_did_the_model_would_grow() {
    let row = Row("a", 5.0, 3, [3, 0, 0]);
    let mut both = analysis(&[row], DOWN);
    assert!(both.scale_down_safe);
    (both.should_scale_up, both.trigger) = (true, Some(Trigger::KvCache));

    assert_eq!(replicas_of(&both, &[state(&row)]), expected(&[("a", 4)]));
}

#[test]
fn c30_without_readings_every_variant_keeps_what_it_has() {
    let nothing = analyze(&[], &Thresholds::DEFAULT);
    let x = VariantState { desired: Some(7), ..VariantState::new("x", 3) };

    assert_eq!(replicas_of(&nothing, &[x]), expected(&[("x", 3)]));
}

#[rstest]
#[case::c31_as_many(3, 3, Action::NoChange)]
#[case::c31_more(3, 5, Action::ScaleUp)]
#[case::c31_as_many_again(2, 2, Action::NoChange)]
#[case::fewer(3, 2, Action::ScaleDown)]
fn a_target_says_in_which_direction_it_goes(#[case] current: u32, #[case] replicas: u32, #[case] action: Action) {
    let target = Target {
        variant: VariantKey { namespace: "llm".into(), name: "a".into() },
        model_id: "m".into(),
        accelerator: "A100".into(),
        current,
        replicas,
        reason: Reason::Steady,
        notes: Vec::new(),
        evidence: Evidence::Complete,
    };

    assert_eq!(target.action(), action);
}

#[test]
fn a_variant_without_readings_gets_no_target_and_blocks_nothing() {
    let rows = [Row("a", 5.0, 2, [2, 0, 0])];
    let loading = VariantState { desired: Some(4), pending: 1, ..VariantState::new("loading", 1) };

    assert_eq!(replicas_of(&analysis(&rows, UP), &[state(&rows[0]), loading]), expected(&[("a", 3)]));
}

#[test]
fn a_variant_that_is_not_known_counts_as_one_without_replicas() {
    let rows = [Row("a", 5.0, 1, [1, 0, 0]), Row("stranger", 5.0, 1, [0, 0, 0])];

    let replicas = replicas_of(&analysis(&rows, UP), &[state(&rows[0])]);

    assert_eq!(replicas, expected(&[("a", 1), ("stranger", 0)]));
}

#[rstest]
#[case::up_passes_over_a_variant_at_its_maximum(UP, "cheap", &[("cheap", 2), ("dear", 3)])]
#[case::down_passes_over_a_variant_at_its_minimum(DOWN, "dear", &[("cheap", 1), ("dear", 2)])]
fn a_variant_at_its_limit_is_passed_over(
    #[case] load: (f64, f64),
    #[case] limited: &str,
    #[case] replicas: &[(&str, u32)],
) {
    let rows = [Row("cheap", 5.0, 2, [2, 0, 0]), Row("dear", 20.0, 2, [2, 0, 0])];
    let limit = |row: &Row| {
        let bounds = if row.0 == limited { Bounds { min: Some(2), max: Some(2) } } else { Bounds::default() };
        VariantState { bounds, ..state(row) }
    };
    let states: Vec<_> = rows.iter().map(limit).collect();

    assert_eq!(replicas_of(&analysis(&rows, load), &states), expected(replicas));
}

#[rstest]
#[case::up(UP, &[("known", 3), ("unknown", 2)])]
#[case::down(DOWN, &[("known", 1), ("unknown", 2)])]
fn a_variant_without_a_usable_cost_is_the_last_choice(#[case] load: (f64, f64), #[case] replicas: &[(&str, u32)]) {
    let rows = [Row("unknown", f64::NAN, 2, [2, 0, 0]), Row("known", 1000.0, 2, [2, 0, 0])];
    let states: Vec<_> = rows.iter().map(state).collect();

    assert_eq!(replicas_of(&analysis(&rows, load), &states), expected(replicas));
}

#[test]
fn reasons_tell_who_moves_and_by_what_numbers() {
    let rows = [Row("cheap", 5.0, 2, [2, 0, 0]), Row("dear", 20.0, 2, [2, 0, 0])];
    let states = rows.map(|row| state(&row));

    let up = targets(&analysis(&rows, (0.75, 3.0)), &states);
    assert_eq!(
        up["cheap"].reason.to_string(),
        "the model needs capacity: spare KV cache 0.050 < 0.100 and spare queue 2.0 < 3.0"
    );
    assert_eq!(up["dear"].reason, Reason::OtherVariantScalesUp { variant: "cheap".into() });

    let down = targets(&analysis(&rows, DOWN), &states);
    assert_eq!(
        down["dear"].reason.to_string(),
        "one replica can go: spare KV cache would stay at 0.667 >= 0.100 and spare queue at 5.0 >= 3.0"
    );
    assert_eq!(down["cheap"].reason, Reason::OtherVariantScalesDown { variant: "dear".into() });

    let steady = targets(&analysis(&rows, (0.60, 1.0)), &states);
    assert_eq!(steady["cheap"].reason, Reason::Steady);

    let full = states.map(|it| VariantState { bounds: Bounds { min: None, max: Some(2) }, ..it });
    assert_eq!(targets(&analysis(&rows, UP), &full)["cheap"].reason, Reason::NoVariantCanGrow);
}

#[test]
fn a_blocked_variant_says_what_it_waits_for_itself_else_what_its_model_waits_for() {
    let rows = [Row("a", 5.0, 2, [2, 0, 0]), Row("b", 5.0, 2, [2, 4, 0]), Row("c", 5.0, 2, [3, 0, 0])];
    let states = rows.map(|row| state(&row));

    let blocked = targets(&analysis(&rows, UP), &states);

    let waits_for_b =
        Reason::InTransition { variant: "b".into(), unsettled: Unsettled::Replicas { desired: 4, current: 2 } };
    let waits_for_c =
        Reason::InTransition { variant: "c".into(), unsettled: Unsettled::Metrics { reporting: 2, current: 3 } };
    assert_eq!(blocked["a"].reason, waits_for_b);
    assert_eq!(blocked["b"].reason, waits_for_b);
    assert_eq!(blocked["c"].reason, waits_for_c);
}
