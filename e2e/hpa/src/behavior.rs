//! How fast an autoscaler may follow its metrics: stabilisation windows first, then rate policies, then the bounds.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};

/// Rules of both directions with all defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behavior {
    up: Rules,
    down: Rules,
    /// Whether nothing was said. The step up is then limited by what there is now, whenever the last one was.
    unsaid: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    window: Duration,
    select: Select,
    policies: Vec<Policy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Select {
    /// The policy that allows the largest change.
    Max,
    /// The policy that allows the smallest change.
    Min,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    amount: Amount,
    period: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Pods(i32),
    Percent(i32),
}

/// What an autoscaler remembers from one evaluation to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// `None` before the first evaluation.
    recommendations: Option<Vec<(Timestamp, i32)>>,
    /// Replicas added and removed, by time.
    ups: Vec<(Timestamp, i32)>,
    downs: Vec<(Timestamp, i32)>,
}

/// The result of stabilisation, for the condition `AbleToScale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// The recommendation is followed.
    Ready,
    /// A lower recommendation of the scale-up window was applied.
    ScaleUpStabilized,
    /// A higher recommendation of the scale-down window was applied.
    ScaleDownStabilized,
}

/// What kept the desired count from being the recommended one, for the condition `ScalingLimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Nothing did.
    WithinRange,
    /// The lower bound.
    TooFewReplicas,
    /// The upper bound.
    TooManyReplicas,
    /// The policies of scaling up.
    UpTooFast,
    /// The policies of scaling down.
    DownTooFast,
}

/// The count to set and what led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The count to set.
    pub replicas: i32,
    /// Whether a window held it back.
    pub stability: Stability,
    /// What else did.
    pub limit: Limit,
}

/// Lowest and highest number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// `minReplicas`.
    pub min: i32,
    /// `maxReplicas`.
    pub max: i32,
}

impl Behavior {
    /// Up: at once, 4 pods or 100 % per 15 s, whichever is more; without any `behavior` to twice as many, or to 4, at each
    /// evaluation. Down: after 5 min, everything at once.
    pub fn of(behavior: Option<&HorizontalPodAutoscalerBehavior>) -> Self {
        const PERIOD: Duration = Duration::from_secs(15);
        let everything = Policy { amount: Amount::Percent(100), period: PERIOD };
        let four = Policy { amount: Amount::Pods(4), period: PERIOD };
        let up = behavior.and_then(|behavior| behavior.scale_up.as_ref());
        let down = behavior.and_then(|behavior| behavior.scale_down.as_ref());
        Self {
            up: Rules::of(up, Duration::ZERO, &[four, everything]),
            down: Rules::of(down, Duration::from_mins(5), &[everything]),
            unsaid: behavior.is_none(),
        }
    }

    /// Follows `recommendation` as far as the rules allow, and remembers it.
    pub fn apply(
        &self,
        memory: &mut Memory,
        current: i32,
        recommendation: i32,
        bounds: Bounds,
        now: Timestamp,
    ) -> Decision {
        let (stabilized, stability) = self.stabilize(memory, current, recommendation, now);
        let (replicas, limit) = self.limit(memory, current, stabilized, bounds, now);
        Decision { replicas, stability, limit }
    }

    /// Goes no higher than the lowest recommendation of the scale-up window and no lower than the highest of the
    /// scale-down window; between the two the current count stays.
    fn stabilize(&self, memory: &mut Memory, current: i32, recommendation: i32, now: Timestamp) -> (i32, Stability) {
        let longest = self.up.window.max(self.down.window);
        // A new autoscaler starts with the size it finds: it must not shrink what it knows nothing about at once.
        let recommendations = memory.recommendations.get_or_insert_with(|| vec![(now, current)]);
        recommendations.retain(|(at, _)| age(*at, now) < longest);
        let within = |window| recommendations.iter().filter(move |(at, _)| age(*at, now) < window).map(|(_, n)| *n);
        let lowest = within(self.up.window).fold(recommendation, i32::min);
        let highest = within(self.down.window).fold(recommendation, i32::max);
        recommendations.push((now, recommendation));
        let stabilized = current.max(lowest).min(highest);
        let stability = match stabilized.cmp(&recommendation) {
            std::cmp::Ordering::Less => Stability::ScaleUpStabilized,
            std::cmp::Ordering::Equal => Stability::Ready,
            std::cmp::Ordering::Greater => Stability::ScaleDownStabilized,
        };
        (stabilized, stability)
    }

    fn limit(&self, memory: &Memory, current: i32, desired: i32, bounds: Bounds, now: Timestamp) -> (i32, Limit) {
        let Bounds { min, max } = bounds;
        if desired > current {
            let fastest = if self.unsaid {
                current.saturating_mul(2).max(4)
            } else {
                self.up.highest(current, memory, now).max(current)
            };
            let (allowed, limit) =
                if max > fastest { (fastest, Limit::UpTooFast) } else { (max, Limit::TooManyReplicas) };
            if desired > allowed {
                return (allowed, limit);
            }
        } else if desired < current {
            let fastest = self.down.lowest(current, memory, now).min(current);
            let (allowed, limit) =
                if min < fastest { (fastest, Limit::DownTooFast) } else { (min, Limit::TooFewReplicas) };
            if desired < allowed {
                return (allowed, limit);
            }
        }
        // Without a change of direction the bounds still hold: they may have been edited.
        if desired > max {
            (max, Limit::TooManyReplicas)
        } else if desired < min {
            (min, Limit::TooFewReplicas)
        } else {
            (desired, Limit::WithinRange)
        }
    }
}

impl Rules {
    fn of(rules: Option<&HPAScalingRules>, window: Duration, policies: &[Policy]) -> Self {
        let seconds =
            rules.and_then(|rules| rules.stabilization_window_seconds).and_then(|window| u64::try_from(window).ok());
        let listed = rules.and_then(|rules| rules.policies.as_ref()).filter(|policies| !policies.is_empty());
        Self {
            window: seconds.map_or(window, Duration::from_secs),
            select: match rules.and_then(|rules| rules.select_policy.as_deref()) {
                Some("Min") => Select::Min,
                Some("Disabled") => Select::Disabled,
                _ => Select::Max,
            },
            policies: listed.map_or_else(|| policies.to_vec(), |listed| listed.iter().map(Policy::of).collect()),
        }
    }

    /// The most replicas the policies allow now. Each starts from the count at the beginning of its period.
    fn highest(&self, current: i32, memory: &Memory, now: Timestamp) -> i32 {
        let allowed = self.policies.iter().map(|policy| {
            let start = memory.at_start(current, policy.period, now);
            match policy.amount {
                Amount::Pods(pods) => start.saturating_add(pods),
                Amount::Percent(percent) => percent_of(start, 100_i64 + i64::from(percent), Rounding::Up),
            }
        });
        match self.select {
            Select::Disabled => current,
            Select::Max => allowed.max().unwrap_or(current),
            Select::Min => allowed.min().unwrap_or(current),
        }
    }

    /// The fewest replicas the policies allow now.
    fn lowest(&self, current: i32, memory: &Memory, now: Timestamp) -> i32 {
        let allowed = self.policies.iter().map(|policy| {
            let start = memory.at_start(current, policy.period, now);
            match policy.amount {
                Amount::Pods(pods) => start.saturating_sub(pods),
                Amount::Percent(percent) => percent_of(start, 100_i64 - i64::from(percent), Rounding::Down),
            }
        });
        match self.select {
            Select::Disabled => current,
            Select::Max => allowed.min().unwrap_or(current),
            Select::Min => allowed.max().unwrap_or(current),
        }
    }
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// 150 % of 3 are 5 rounded up, 90 % of 5 are 4 rounded down.
fn percent_of(count: i32, percent: i64, rounding: Rounding) -> i32 {
    let hundredths = i64::from(count) * percent;
    let count = match rounding {
        Rounding::Up => hundredths.div_euclid(100) + i64::from(hundredths.rem_euclid(100) != 0),
        Rounding::Down => hundredths / 100,
    };
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl Policy {
    fn of(policy: &HPAScalingPolicy) -> Self {
        let amount = if policy.type_ == "Percent" { Amount::Percent(policy.value) } else { Amount::Pods(policy.value) };
        Self { amount, period: Duration::from_secs(u64::try_from(policy.period_seconds).unwrap_or_default()) }
    }
}

impl Memory {
    /// Remembers a change that was carried out.
    pub fn scaled(&mut self, from: i32, to: i32, now: Timestamp) {
        /// No policy looks back further: `periodSeconds` is at most half an hour.
        const LONGEST_PERIOD: Duration = Duration::from_mins(30);
        for changes in [&mut self.ups, &mut self.downs] {
            changes.retain(|(at, _)| age(*at, now) < LONGEST_PERIOD);
        }
        if to > from {
            self.ups.push((now, to - from));
        } else if to < from {
            self.downs.push((now, from - to));
        }
    }

    /// How many replicas there were a period ago: changes of others count as having been there.
    fn at_start(&self, current: i32, period: Duration, now: Timestamp) -> i32 {
        let sum = |changes: &[(Timestamp, i32)]| {
            changes.iter().filter(|(at, _)| age(*at, now) < period).map(|(_, count)| *count).sum::<i32>()
        };
        current - sum(&self.ups) + sum(&self.downs)
    }
}

fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const BOUNDS: Bounds = Bounds { min: 1, max: 100 };

    /// An autoscaler with a clock that is set by hand; it carries out every decision.
    struct Script {
        behavior: Behavior,
        memory: Memory,
        current: i32,
    }

    impl Script {
        fn new(current: i32, behavior: Value) -> Self {
            let behavior: HorizontalPodAutoscalerBehavior = serde_json::from_value(behavior).unwrap();
            Self { behavior: Behavior::of(Some(&behavior)), memory: Memory::default(), current }
        }

        fn at(&mut self, second: i64, recommendation: i32) -> Decision {
            let now = Timestamp::from_second(1_800_000_000 + second).unwrap();
            let decision = self.behavior.apply(&mut self.memory, self.current, recommendation, BOUNDS, now);
            self.memory.scaled(self.current, decision.replicas, now);
            self.current = decision.replicas;
            decision
        }
    }

    #[test]
    fn by_default_up_is_immediate_and_doubles_or_adds_four_every_fifteen_seconds() {
        let mut script = Script::new(1, json!({}));
        assert_eq!(script.at(0, 60), Decision { replicas: 5, stability: Stability::Ready, limit: Limit::UpTooFast });
        assert_eq!(script.at(5, 60).replicas, 5);
        assert_eq!(script.at(15, 60).replicas, 10);
        assert_eq!(script.at(30, 60).replicas, 20);
        assert_eq!(
            script.at(45, 21),
            Decision { replicas: 21, stability: Stability::Ready, limit: Limit::WithinRange }
        );
    }

    #[test]
    fn without_any_behavior_up_goes_to_four_and_doubles_at_each_evaluation() {
        let mut script = Script::new(1, json!({}));
        script.behavior = Behavior::of(None);
        let seen: Vec<_> = [0, 5, 10, 15].map(|second| script.at(second, 60).replicas).into();
        assert_eq!(seen, [4, 8, 16, 32]);
        assert_eq!(
            script.at(20, 60),
            Decision { replicas: 60, stability: Stability::Ready, limit: Limit::WithinRange }
        );
        assert_eq!(
            script.at(25, 2).stability,
            Stability::ScaleDownStabilized,
            "the window of 5 minutes holds all the same"
        );
    }

    #[test]
    fn by_default_down_waits_five_minutes_for_the_highest_recommendation() {
        let mut script = Script::new(10, json!({}));
        script.at(0, 10);
        let held = script.at(15, 2);
        assert_eq!(
            held,
            Decision { replicas: 10, stability: Stability::ScaleDownStabilized, limit: Limit::WithinRange }
        );
        assert_eq!(script.at(299, 2).replicas, 10);
        assert_eq!(script.at(300, 2).replicas, 2);
    }

    #[test]
    fn a_new_autoscaler_does_not_shrink_at_once_but_grows_at_once() {
        assert_eq!(Script::new(5, json!({})).at(0, 1).replicas, 5);
        assert_eq!(Script::new(5, json!({})).at(0, 7).replicas, 7);
    }

    #[test]
    fn a_scale_up_window_takes_the_lowest_recommendation() {
        let mut script = Script::new(2, json!({"scaleUp": {"stabilizationWindowSeconds": 60}}));
        script.at(0, 2);
        assert_eq!(
            script.at(15, 6),
            Decision { replicas: 2, stability: Stability::ScaleUpStabilized, limit: Limit::WithinRange }
        );
        assert_eq!(script.at(45, 4).replicas, 2);
        assert_eq!(script.at(60, 6).replicas, 4);
        assert_eq!(script.at(104, 6).replicas, 4);
        assert_eq!(script.at(105, 6).replicas, 6);
    }

    #[test]
    fn scale_down_policies_limit_the_rate_per_period() {
        let rules = json!({"scaleDown": {
            "stabilizationWindowSeconds": 0,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        }});
        let mut script = Script::new(5, rules);
        assert_eq!(script.at(0, 1), Decision { replicas: 4, stability: Stability::Ready, limit: Limit::DownTooFast });
        assert_eq!(script.at(30, 1).replicas, 4);
        assert_eq!(script.at(60, 1).replicas, 3);
    }

    fn policies(direction: &str, select: &str) -> Value {
        json!({direction: {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": select,
            "policies": [
                {"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 50, "periodSeconds": 60},
            ],
        }})
    }

    #[rstest]
    #[case::up_max("scaleUp", "Max", 10, 50, 15)]
    #[case::up_min("scaleUp", "Min", 10, 50, 12)]
    #[case::up_disabled("scaleUp", "Disabled", 10, 50, 10)]
    #[case::down_max("scaleDown", "Max", 10, 1, 5)]
    #[case::down_min("scaleDown", "Min", 10, 1, 8)]
    #[case::down_disabled("scaleDown", "Disabled", 10, 1, 10)]
    #[case::percent_up_rounds_up("scaleUp", "Max", 5, 50, 8)]
    #[case::percent_down_keeps_the_rest("scaleDown", "Max", 5, 1, 2)]
    fn the_select_policy_chooses_between_policies(
        #[case] direction: &str,
        #[case] select: &str,
        #[case] current: i32,
        #[case] recommendation: i32,
        #[case] expected: i32,
    ) {
        assert_eq!(Script::new(current, policies(direction, select)).at(0, recommendation).replicas, expected);
    }

    #[rstest]
    #[case::above_max(90, 150, 100, Limit::TooManyReplicas)]
    #[case::below_min(3, 0, 1, Limit::TooFewReplicas)]
    #[case::inside(3, 2, 2, Limit::WithinRange)]
    fn bounds_hold_whatever_the_metrics_say(
        #[case] current: i32,
        #[case] recommendation: i32,
        #[case] expected: i32,
        #[case] limit: Limit,
    ) {
        let mut script = Script::new(current, json!({"scaleDown": {"stabilizationWindowSeconds": 0}}));
        let decision = script.at(0, recommendation);
        assert_eq!((decision.replicas, decision.limit), (expected, limit));
    }
}
