//! From capacity that is short, or to spare, to replicas: case by case.

use rstest::rstest;
use wva_engine::saturation::{Candidate, optimize};

fn cheap(current: u32) -> Candidate<'static> {
    Candidate::new("cheap", 5.0, 10_000.0, current)
}

fn mid(current: u32) -> Candidate<'static> {
    Candidate::new("mid", 10.0, 15_000.0, current)
}

fn dear(current: u32) -> Candidate<'static> {
    Candidate::new("dear", 15.0, 20_000.0, current)
}

#[rstest]
#[case::c70_the_cheapest_room(5000.0, &[cheap(2), dear(1)], &[3, 1])]
#[case::c71_also_when_it_has_replicas_on_their_way(5000.0, &[cheap(2), dear(1)], &[3, 1])]
#[case::c72_no_room_is_no_help(5000.0, &[Candidate::new("a", 1.0, 0.0, 0), Candidate::new("b", 10.0, 10_000.0, 1)], &[0, 2])]
#[case::c73_one_takes_all(25_000.0, &[cheap(1), mid(1)], &[4, 1])]
#[case::up_to_its_ceiling(25_000.0, &[Candidate { ceiling: 2, ..cheap(1) }, mid(1)], &[2, 2])]
#[case::one_that_nobody_follows_comes_last(5000.0, &[Candidate { refused: true, ..cheap(1) }, mid(1)], &[1, 2])]
#[case::of_equal_ones_the_first_by_name(1.0, &[Candidate::new("b", 1.0, 10.0, 1), Candidate::new("a", 1.0, 10.0, 1)], &[1, 2])]
fn what_is_short_is_bought_where_it_costs_least(
    #[case] required: f64,
    #[case] candidates: &[Candidate<'_>],
    #[case] expected: &[u32],
) {
    let targets = optimize(candidates, required, 0.0);

    assert_eq!(candidates.iter().map(|it| targets[it.variant]).collect::<Vec<_>>(), expected);
}

#[rstest]
#[case::c74_the_most_expensive_first(15_000.0, &[cheap(3), dear(2)], &[2, 2])]
#[case::c75_to_the_last_replica(30_000.0, &[cheap(1), dear(1)], &[1, 0])]
#[case::c76_the_cheapest_may_go_while_another_stays(15_000.0, &[cheap(1), dear(1)], &[0, 1])]
#[case::c77_several_of_several(50_000.0, &[cheap(2), mid(2), dear(2)], &[1, 2, 0])]
#[case::c78_whole_replicas_only(25_000.0, &[cheap(3), dear(2)], &[3, 1])]
#[case::c79_exactly_one(10_000.0, &[Candidate::new("v", 10.0, 10_000.0, 2)], &[1])]
#[case::down_to_its_floor(50_000.0, &[Candidate { floor: 2, ..cheap(3) }], &[2])]
#[case::never_the_last_of_all(50_000.0, &[cheap(1)], &[1])]
fn what_is_to_spare_is_given_up_where_it_costs_most(
    #[case] spare: f64,
    #[case] candidates: &[Candidate<'_>],
    #[case] expected: &[u32],
) {
    let targets = optimize(candidates, 0.0, spare);

    assert_eq!(candidates.iter().map(|it| targets[it.variant]).collect::<Vec<_>>(), expected);
}

#[test]
fn nothing_short_and_nothing_to_spare_changes_nothing() {
    assert_eq!(optimize(&[cheap(3)], 0.0, 0.0)["cheap"], 3);
}
