//! From a metric to a number of replicas: `wanted = ceil(current × value / target)`, unless that is within the
//! tolerance.

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};

use crate::quantity;

/// How far the ratio of a metric to its target may be from 1 before anything happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    down: f64,
    up: f64,
}

/// 10 %, as Kubernetes has it.
const DEFAULT: f64 = 0.1;

impl Tolerance {
    /// That of each direction, as far as it is said.
    pub fn of(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> Self {
        let rule = |rules: Option<&HPAScalingRules>| {
            let milli = rules?.tolerance.as_ref().and_then(|tolerance| quantity::milli(tolerance).ok())?;
            #[expect(clippy::cast_precision_loss, reason = "tolerances are small numbers")]
            Some(milli as f64 / 1000.0)
        };
        Self {
            down: rule(behavior.and_then(|behavior| behavior.scale_down.as_ref())).unwrap_or(DEFAULT),
            up: rule(behavior.and_then(|behavior| behavior.scale_up.as_ref())).unwrap_or(DEFAULT),
        }
    }

    pub(crate) fn covers(self, ratio: f64) -> bool {
        (1.0 - self.down..=1.0 + self.up).contains(&ratio)
    }
}

/// A metric of type Value. The ratio applies to the ready pods: a metric of 6 for a target of 2 with 2 ready pods asks
/// for 6. From zero the ratio itself is the answer.
pub fn by_value(current: i32, ready: i32, value_milli: i64, target_milli: i64, tolerance: Tolerance) -> i32 {
    let ratio = ratio(value_milli, target_milli);
    if current == 0 {
        return ceil(ratio);
    }
    if tolerance.covers(ratio) { current } else { ceil(ratio * f64::from(ready)) }
}

/// A metric of type `AverageValue`: as many replicas as bring the share of each to the target. 10 for a target of 3 asks
/// for 4.
pub fn by_average(current: i32, value_milli: i64, target_milli: i64, tolerance: Tolerance) -> i32 {
    let per_replica = ratio(value_milli, target_milli.saturating_mul(i64::from(current)));
    if tolerance.covers(per_replica) { current } else { ceil(ratio(value_milli, target_milli)) }
}

/// A metric of type `Pods`: the mean over the pods that are ready and report, `values` in thousandths, against the target. A
/// ready pod that reports nothing counts as if it were on target on the way down and as idle on the way up, and so does one
/// that is not ready on the way up; whatever then is within the tolerance, or would go the other way, changes nothing.
pub fn by_pods(
    current: i32,
    values: &[i64],
    silent: i32,
    unready: i32,
    target_milli: i64,
    tolerance: Tolerance,
) -> i32 {
    if values.is_empty() {
        return current;
    }
    let counted = |pods: i32| i64::from(pods).saturating_add(i64::try_from(values.len()).unwrap_or(i64::MAX));
    let sum: i64 = values.iter().fold(0, |sum, value| sum.saturating_add(*value));
    let share = |sum: i64, pods: i64| ratio(sum, target_milli.saturating_mul(pods));
    let seen = share(sum, counted(0));
    if silent == 0 && (unready == 0 || seen <= 1.0) {
        return if tolerance.covers(seen) { current } else { ceil(seen * as_float(counted(0))) };
    }
    let (sum, pods) = if seen < 1.0 {
        (sum.saturating_add(target_milli.saturating_mul(i64::from(silent))), counted(silent))
    } else {
        (sum, counted(silent.saturating_add(unready)))
    };
    let careful = share(sum, pods);
    let turned = (seen < 1.0 && careful > 1.0) || (seen > 1.0 && careful < 1.0);
    if tolerance.covers(careful) || turned {
        return current;
    }
    let wanted = ceil(careful * as_float(pods));
    let backwards = (careful < 1.0 && wanted > current) || (careful > 1.0 && wanted < current);
    if backwards { current } else { wanted }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of pods are small")]
fn as_float(pods: i64) -> f64 {
    pods as f64
}

#[expect(clippy::cast_precision_loss, reason = "metric values stay far below 2^53 thousandths")]
pub(crate) fn ratio(value: i64, target: i64) -> f64 {
    value as f64 / target as f64
}

#[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate, and NaN (0 of 0) becomes 0")]
pub(crate) fn ceil(value: f64) -> i32 {
    value.ceil() as i32
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const TEN_PERCENT: Tolerance = Tolerance { down: 0.1, up: 0.1 };

    #[rstest]
    #[case::on_target(3, 3, 3_000, 3_000, 3)]
    #[case::twice_the_target(2, 2, 6_000, 3_000, 4)]
    #[case::half_the_target(4, 4, 1_500, 3_000, 2)]
    #[case::at_the_upper_edge(10, 10, 3_300, 3_000, 10)]
    #[case::just_above_the_edge(10, 10, 3_301, 3_000, 12)]
    #[case::at_the_lower_edge(10, 10, 2_700, 3_000, 10)]
    #[case::only_ready_pods_count(4, 2, 6_000, 3_000, 4)]
    #[case::from_zero(0, 0, 5_000, 2_000, 3)]
    #[case::stays_at_zero(0, 0, 0, 2_000, 0)]
    fn value_metrics_scale_by_their_ratio(
        #[case] current: i32,
        #[case] ready: i32,
        #[case] value: i64,
        #[case] target: i64,
        #[case] expected: i32,
    ) {
        assert_eq!(by_value(current, ready, value, target, TEN_PERCENT), expected);
    }

    #[rstest]
    #[case::target_one_means_the_value_itself(1, 3_000, 1_000, 3)]
    #[case::down_to_the_value(5, 2_000, 1_000, 2)]
    #[case::rounded_up(1, 10_000, 3_000, 4)]
    #[case::within_tolerance(10, 10_900, 1_000, 10)]
    #[case::beyond_tolerance(10, 11_100, 1_000, 12)]
    #[case::from_zero(0, 2_000, 1_000, 2)]
    #[case::nothing_of_nothing(0, 0, 1_000, 0)]
    #[case::down_to_zero(2, 0, 1_000, 0)]
    fn average_metrics_ask_for_as_many_as_share_the_value(
        #[case] current: i32,
        #[case] value: i64,
        #[case] target: i64,
        #[case] expected: i32,
    ) {
        assert_eq!(by_average(current, value, target, TEN_PERCENT), expected);
    }

    #[rstest]
    #[case::all_report(2, &[900, 700], 0, 0, 500, 4)]
    #[case::within_tolerance(2, &[540, 520], 0, 0, 500, 2)]
    #[case::half(4, &[200, 200, 300, 300], 0, 0, 500, 2)]
    #[case::starting_pods_count_as_idle_on_the_way_up(4, &[900, 900], 0, 2, 500, 4)]
    #[case::so_full_that_they_do_not_suffice(3, &[1000, 1000], 0, 1, 500, 4)]
    #[case::starting_pods_do_not_hinder_the_way_down(3, &[100, 100], 0, 1, 500, 1)]
    #[case::a_silent_pod_counts_as_on_target_on_the_way_down(3, &[200, 200], 1, 0, 500, 2)]
    #[case::a_silent_pod_counts_as_idle_on_the_way_up(3, &[600, 600], 1, 0, 500, 3)]
    #[case::nobody_reports(3, &[], 3, 0, 500, 3)]
    fn pod_metrics_scale_by_their_mean(
        #[case] current: i32,
        #[case] values: &[i64],
        #[case] silent: i32,
        #[case] unready: i32,
        #[case] target: i64,
        #[case] expected: i32,
    ) {
        assert_eq!(by_pods(current, values, silent, unready, target, TEN_PERCENT), expected);
    }

    /// Replicas an autoscaler asks for at each step of a rollout of 20 replicas with a surge of 25 %, while the number it follows
    /// stays: `status.replicas` is what it compares the number with.
    fn through_a_rollout(reported: &[i32], tolerance: Tolerance) -> Vec<i32> {
        reported.iter().map(|&reported| by_average(reported, 20_000, 1_000, tolerance)).collect()
    }

    const EXACT: Tolerance = Tolerance { down: 0.0, up: 0.0 };

    #[test]
    fn in_a_rolling_update_the_surplus_pods_become_replicas_by_the_tolerance_and_not_without_it() {
        let reported = [20, 25, 23, 22, 21, 20];
        assert_eq!(through_a_rollout(&reported, TEN_PERCENT), [20, 20, 20, 22, 21, 20]);
        assert_eq!(through_a_rollout(&reported, EXACT), [20; 6]);
    }

    #[rstest]
    #[case::one_more(21)]
    #[case::two_more(22)]
    #[case::one_less(19)]
    fn one_more_or_less_of_twenty_arrives_without_a_tolerance_and_not_with_the_usual_one(#[case] wanted: i64) {
        assert_eq!(by_average(20, wanted * 1_000, 1_000, TEN_PERCENT), 20);
        assert_eq!(i64::from(by_average(20, wanted * 1_000, 1_000, EXACT)), wanted);
    }

    #[test]
    fn an_autoscaler_may_set_its_own_tolerances() {
        let behavior =
            serde_json::from_value(json!({"scaleUp": {"tolerance": "0"}, "scaleDown": {"tolerance": "50m"}})).unwrap();
        let tolerance = Tolerance::of(Some(&behavior));
        assert_eq!(tolerance, Tolerance { down: 0.05, up: 0.0 });
        assert_eq!(by_average(10, 10_900, 1_000, tolerance), 11);
        assert_eq!(Tolerance::of(None), TEN_PERCENT);
    }
}
