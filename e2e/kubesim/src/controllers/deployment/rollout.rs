//! The arithmetic of a rollout: how many pods the new and the old `ReplicaSets` should have next.

use k8s_openapi::{api::apps::v1::DeploymentSpec, apimachinery::pkg::util::intstr::IntOrString};

use crate::controllers::share::{Rounding, resolve};

/// What a `ReplicaSet` asks for and what of it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    pub(super) replicas: i32,
    pub(super) available: i32,
}

/// How far a rolling update may deviate from the desired size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Margin {
    pub(super) surge: i32,
    pub(super) unavailable: i32,
}

impl Margin {
    /// Percentages of `desired`: surge rounds up, unavailability down. Of 10 pods 25 % are 3 more and 2 fewer. When
    /// both come to nothing one pod may be missing, or the rollout could never move.
    pub(super) fn of(spec: &DeploymentSpec) -> Self {
        let desired = spec.replicas.unwrap_or(1);
        let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        let margin = Self {
            surge: resolve(surge, desired, Rounding::Up),
            unavailable: resolve(unavailable, desired, Rounding::Down),
        };
        if margin.surge == 0 && margin.unavailable == 0 { Self { unavailable: 1, ..margin } } else { margin }
    }
}

/// The size of the new `ReplicaSet`: as much as the surge leaves room for, never above the desired size.
/// With 3 desired, surge 1 and 3 old pods the new one gets 1.
pub(super) fn grow_new(desired: i32, margin: Margin, new: Size, old: &[Size]) -> i32 {
    if new.replicas >= desired {
        return desired;
    }
    let total = new.replicas + old.iter().map(|size| size.replicas).sum::<i32>();
    let room = (desired + margin.surge - total).max(0);
    new.replicas + room.min(desired - new.replicas)
}

/// The sizes of the old `ReplicaSets` (oldest first): first pods that do not serve go, then as many that do as the
/// available ones exceed the minimum.
pub(super) fn shrink_old(desired: i32, margin: Margin, new: Size, old: &[Size]) -> Vec<i32> {
    let mut sizes: Vec<i32> = old.iter().map(|size| size.replicas).collect();
    let total = new.replicas + sizes.iter().sum::<i32>();
    let minimum = desired - margin.unavailable;
    let new_unavailable = (new.replicas - new.available).max(0);
    let mut broken_budget = total - minimum - new_unavailable;
    if broken_budget <= 0 {
        return sizes;
    }
    for (size, now) in sizes.iter_mut().zip(old) {
        let broken = (now.replicas - now.available).max(0).min(broken_budget);
        *size -= broken;
        broken_budget -= broken;
    }
    let available = new.available + old.iter().map(|size| size.available).sum::<i32>();
    let mut serving_budget = (available - minimum).max(0);
    for size in &mut sizes {
        let step = (*size).min(serving_budget);
        *size -= step;
        serving_budget -= step;
    }
    sizes
}

/// Spreads a change of the desired size over `ReplicaSets` in the middle of a rollout, in proportion to their sizes, so
/// that the risk stays as it was. `sizes` are the current ones, largest first as the remainder goes to the first;
/// `allowed` is the desired size plus surge, or 0 when the Deployment goes to 0.
pub(super) fn spread(sizes: &[i32], allowed: i32) -> Vec<i32> {
    let total: i32 = sizes.iter().sum();
    let to_add = allowed - total;
    if total == 0 || to_add == 0 {
        return sizes.to_vec();
    }
    let mut added = 0;
    let mut next: Vec<i32> = sizes
        .iter()
        .map(|size| {
            let share = rounded_share(*size, allowed, total) - size;
            let left = to_add - added;
            let share = if to_add > 0 { share.clamp(0, left.max(0)) } else { share.clamp(left.min(0), 0) };
            added += share;
            size + share
        })
        .collect();
    if let Some(first) = next.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    next
}

/// `size` * `allowed` / `total`, rounded to the nearest.
fn rounded_share(size: i32, allowed: i32, total: i32) -> i32 {
    let twice = 2 * i64::from(size) * i64::from(allowed) + i64::from(total);
    i32::try_from(twice / (2 * i64::from(total))).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn percent(surge: &str, unavailable: &str, replicas: i32) -> DeploymentSpec {
        serde_json::from_value(serde_json::json!({
            "replicas": replicas, "selector": {}, "template": {},
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
        }))
        .unwrap()
    }

    #[rstest]
    #[case::surge_up_unavailable_down("25%", "25%", 10, Margin { surge: 3, unavailable: 2 })]
    #[case::one_pod_gets_a_surge("25%", "25%", 1, Margin { surge: 1, unavailable: 0 })]
    #[case::nothing_would_never_move("0%", "0%", 4, Margin { surge: 0, unavailable: 1 })]
    #[case::all_at_once("100%", "100%", 4, Margin { surge: 4, unavailable: 4 })]
    fn margins_are_rounded_in_favour_of_service(
        #[case] surge: &str,
        #[case] unavailable: &str,
        #[case] replicas: i32,
        #[case] expected: Margin,
    ) {
        assert_eq!(Margin::of(&percent(surge, unavailable, replicas)), expected);
    }

    const fn size(replicas: i32, available: i32) -> Size {
        Size { replicas, available }
    }

    #[rstest]
    #[case::first_rollout_is_immediate(3, 1, size(0, 0), &[], 3)]
    #[case::surge_of_one(3, 1, size(0, 0), &[size(3, 3)], 1)]
    #[case::no_room_yet(3, 1, size(1, 0), &[size(3, 3)], 1)]
    #[case::room_after_an_old_one_went(3, 1, size(1, 1), &[size(2, 2)], 2)]
    #[case::never_above_desired(3, 5, size(2, 2), &[size(1, 1)], 3)]
    #[case::shrinks_with_the_deployment(2, 1, size(5, 5), &[], 2)]
    fn the_new_set_grows_into_the_surge(
        #[case] desired: i32,
        #[case] surge: i32,
        #[case] new: Size,
        #[case] old: &[Size],
        #[case] expected: i32,
    ) {
        assert_eq!(grow_new(desired, Margin { surge, unavailable: 0 }, new, old), expected);
    }

    #[rstest]
    #[case::waits_for_the_new_pod(3, 0, size(1, 0), &[size(3, 3)], vec![3])]
    #[case::one_for_one(3, 0, size(1, 1), &[size(3, 3)], vec![2])]
    #[case::may_go_below(4, 2, size(0, 0), &[size(4, 4)], vec![2])]
    #[case::broken_pods_go_first(3, 0, size(1, 0), &[size(1, 0), size(3, 3)], vec![0, 3])]
    #[case::the_oldest_shrinks_first(4, 0, size(3, 3), &[size(2, 2), size(1, 1)], vec![0, 1])]
    #[case::all_done(3, 0, size(3, 3), &[size(1, 1)], vec![0])]
    fn old_sets_shrink_while_enough_pods_serve(
        #[case] desired: i32,
        #[case] unavailable: i32,
        #[case] new: Size,
        #[case] old: &[Size],
        #[case] expected: Vec<i32>,
    ) {
        assert_eq!(shrink_old(desired, Margin { surge: 1, unavailable }, new, old), expected);
    }

    #[rstest]
    #[case::doubling_keeps_the_ratio(&[6, 3], 18, vec![12, 6])]
    #[case::the_first_takes_the_half(&[5, 5], 13, vec![7, 6])]
    #[case::shrinking_keeps_the_ratio(&[6, 3], 3, vec![2, 1])]
    #[case::to_zero(&[2, 1], 0, vec![0, 0])]
    fn a_change_of_size_is_spread_in_proportion(
        #[case] sizes: &[i32],
        #[case] allowed: i32,
        #[case] expected: Vec<i32>,
    ) {
        let spread = spread(sizes, allowed);
        assert_eq!(spread.iter().sum::<i32>(), allowed);
        assert_eq!(spread, expected);
    }

    #[test]
    fn a_rollout_comes_to_its_end_from_any_size_without_leaving_the_margin() {
        for desired in 1..=12 {
            let margin = Margin::of(&percent("25%", "25%", desired));
            let (mut new, mut old) = (size(0, 0), size(desired, desired));
            let mut rounds = 0;
            while (new.replicas, old.replicas) != (desired, 0) {
                new.replicas = grow_new(desired, margin, new, &[old]);
                let kept = shrink_old(desired, margin, new, &[old])[0];
                old = size(kept, kept);
                assert!(new.available + old.available >= desired - margin.unavailable);
                assert!(new.replicas + old.replicas <= desired + margin.surge);
                new.available = new.replicas;
                rounds += 1;
                assert!(rounds < 50, "stuck at {new:?} {old:?}");
            }
        }
    }
}
