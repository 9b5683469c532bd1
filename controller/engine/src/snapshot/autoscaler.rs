//! The autoscaler that follows the published number.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::number::truncate;

/// What the objects of an autoscaler say of how, and when, it follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autoscaler {
    /// `HorizontalPodAutoscaler` or `ScaledObject`.
    pub kind: String,
    /// Its name; of several on one workload the first.
    pub name: String,
    /// Whether it reads what is published for this variant; one that scales by something else has limits all the same.
    pub follows: bool,
    /// Why it scales nothing at present (a `ScaledObject` that is paused), as a sentence without a full stop.
    pub paused: Option<String>,
    /// Who takes the workload to zero when its model is idle.
    pub zero: Zero,
    /// How it scales up.
    pub up: ScalingRules,
    /// How it scales down.
    pub down: ScalingRules,
    /// What its `HorizontalPodAutoscaler` says it did, as far as there is one.
    pub status: Option<AutoscalerStatus>,
}

/// Who takes a workload to zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Zero {
    /// Nobody: it keeps its lower limit.
    #[default]
    Never,
    /// The autoscaler, when it reads 0.
    Autoscaler,
    /// The controller, through the scale subresource: the autoscaler keeps one replica of a running workload, and leaves one
    /// without replicas alone.
    Controller,
}

/// One direction of an autoscaler, with the defaults of Kubernetes where it does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalingRules {
    /// For how long a number must last before it is followed (`stabilizationWindowSeconds`).
    pub window_seconds: u32,
    /// How far, as a share of the replicas there are, a number may be off before it is followed.
    pub tolerance: f64,
    /// Whether it never scales this way (`selectPolicy: Disabled`, or a `ScaledObject` paused in this direction).
    pub disabled: bool,
    /// Whether the policy that allows least counts; otherwise the one that allows most.
    pub smallest: bool,
    /// How much it may change at a time.
    pub policies: Vec<ScalingPolicy>,
}

/// How much may change in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicy {
    /// How much.
    pub change: Change,
    /// In how many seconds.
    pub period_seconds: u32,
}

/// A change of the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// So many replicas.
    Pods(u32),
    /// So much of what there is.
    Percent(u32),
}

/// What an autoscaler says it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerStatus {
    /// Replicas it wants.
    pub desired: u32,
    /// When it last changed the number of replicas.
    pub last_scale: Option<Timestamp>,
    /// Its conditions, by name.
    pub conditions: Vec<AutoscalerCondition>,
}

/// One condition of an autoscaler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerCondition {
    /// Its type: `AbleToScale`, `ScalingActive`, `ScalingLimited`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub holds: bool,
    /// Its reason, e.g. `ScaleUpStabilized`.
    pub reason: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Why an autoscaler does not follow a number, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Hold {
    /// The number has to last for its stabilisation window.
    Window {
        /// Until when.
        until: Timestamp,
        /// The window.
        window_seconds: u32,
    },
    /// The number is so near to the replicas there are that it is ignored.
    Tolerance {
        /// How near, in percent.
        percent: u32,
    },
    /// It never scales this way.
    Disabled,
    /// It scales nothing at present.
    Paused {
        /// Why, as a sentence without a full stop.
        why: String,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { until, window_seconds } => {
                write!(f, " until {}Z (its window of {window_seconds} s)", until.strftime("%T"))
            }
            Self::Tolerance { percent } => write!(f, ", which ignores changes within its tolerance of {percent} %"),
            Self::Disabled => f.write_str(", which never scales this way"),
            Self::Paused { why } => write!(f, ": {why}"),
        }
    }
}

/// What Kubernetes tolerates where nothing else is said.
pub const DEFAULT_TOLERANCE: f64 = 0.1;

/// Period of the policies that hold where none are given, in seconds.
const DEFAULT_PERIOD: u32 = 15;

impl Default for ScalingRules {
    /// Those of scaling up.
    fn default() -> Self {
        Self::up()
    }
}

impl ScalingRules {
    /// What holds for scaling up where nothing is said: at once, by four replicas or as many as there are, every 15 s.
    pub fn up() -> Self {
        let policy = |change| ScalingPolicy { change, period_seconds: DEFAULT_PERIOD };
        Self {
            window_seconds: 0,
            tolerance: DEFAULT_TOLERANCE,
            disabled: false,
            smallest: false,
            policies: vec![policy(Change::Pods(4)), policy(Change::Percent(100))],
        }
    }

    /// What holds for scaling down where nothing is said: after five minutes, by any number.
    pub fn down() -> Self {
        let policies = vec![ScalingPolicy { change: Change::Percent(100), period_seconds: DEFAULT_PERIOD }];
        Self { window_seconds: 300, policies, ..Self::up() }
    }

    /// The tolerance in whole percent.
    fn tolerance_percent(&self) -> u32 {
        u32::try_from(truncate((self.tolerance * 100.0).round())).unwrap_or(0)
    }

    /// The window, as a time.
    pub fn window(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.window_seconds))
    }
}

impl Autoscaler {
    /// The rules for going from `current` to `desired`.
    pub fn rules(&self, current: u32, desired: u32) -> &ScalingRules {
        if desired < current { &self.down } else { &self.up }
    }

    /// Whether `desired` is so near to `current` that the autoscaler does not move: above 10 replicas, ±1 is within the 10 %
    /// that Kubernetes tolerates unless `behavior` says otherwise.
    pub fn tolerates(&self, current: u32, desired: u32) -> bool {
        let (ratio, tolerance) = (f64::from(desired) / f64::from(current), self.rules(current, desired).tolerance);
        // As Kubernetes computes it: what is off by exactly the tolerance is tolerated.
        current > 0 && (1.0 - tolerance..=1.0 + tolerance).contains(&ratio)
    }

    /// What keeps it from going from `current` to the `desired` replicas that have been published `since` then; `None` when
    /// nothing is known to. Zero is not its business alone.
    pub fn holds(&self, current: u32, desired: u32, since: Timestamp, now: Timestamp) -> Option<Hold> {
        if !self.follows || current == desired || current == 0 || desired == 0 {
            return None;
        }
        if let Some(why) = &self.paused {
            return Some(Hold::Paused { why: why.clone() });
        }
        let rules = self.rules(current, desired);
        if rules.disabled {
            return Some(Hold::Disabled);
        }
        if self.tolerates(current, desired) {
            return Some(Hold::Tolerance { percent: rules.tolerance_percent() });
        }
        let until = since.saturating_add(rules.window()).unwrap_or(Timestamp::MAX);
        (now < until).then_some(Hold::Window { until, window_seconds: rules.window_seconds })
    }

    /// How people call it, e.g. `HPA llama-hpa`.
    pub fn label(&self) -> String {
        let kind = if self.kind == "HorizontalPodAutoscaler" { "HPA" } else { &self.kind };
        format!("{kind} {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_more_of_twenty(20, 21, true)]
    #[case::two_more_of_twenty(20, 22, true)]
    #[case::three_more_of_twenty(20, 23, false)]
    #[case::one_less_of_ten(10, 9, true)]
    #[case::one_less_of_nine(9, 8, false)]
    #[case::from_zero(0, 1, false)]
    fn an_autoscaler_ignores_what_is_within_its_tolerance(#[case] from: u32, #[case] to: u32, #[case] ignored: bool) {
        assert_eq!(Autoscaler::default().tolerates(from, to), ignored);
        let exact = ScalingRules { tolerance: 0.0, ..ScalingRules::up() };
        let exact = Autoscaler { up: exact.clone(), down: exact, ..Autoscaler::default() };
        assert!(!exact.tolerates(from, to));
    }

    #[rstest]
    #[case::growth_at_first(2, 3, 0, Some("until 22:17:20Z (its window of 240 s)"))]
    #[case::growth_later(2, 3, 239, Some("until 22:17:20Z (its window of 240 s)"))]
    #[case::growth_that_has_lasted(2, 3, 240, None)]
    #[case::shrinking_that_has_not_lasted(3, 2, 240, Some("until 22:18:20Z (its window of 300 s)"))]
    #[case::too_near(20, 21, 999, Some(", which ignores changes within its tolerance of 10 %"))]
    #[case::carried_out(3, 3, 0, None)]
    #[case::to_zero(1, 0, 0, None)]
    fn what_holds_a_change_back_is_told(
        #[case] from: u32,
        #[case] to: u32,
        #[case] second: i64,
        #[case] expect: Option<&str>,
    ) {
        let since = Timestamp::from_second(1_700_000_000).unwrap();
        let up = ScalingRules { window_seconds: 240, ..ScalingRules::up() };
        let hpa = Autoscaler { follows: true, up, down: ScalingRules::down(), ..Autoscaler::default() };
        let told =
            |it: &Autoscaler| Some(it.holds(from, to, since, since + SignedDuration::from_secs(second))?.to_string());
        assert_eq!(told(&hpa).as_deref().map(str::trim_start), expect);
        assert_eq!(told(&Autoscaler { follows: false, ..hpa.clone() }), None);
        let paused = Autoscaler { paused: Some("it is paused".to_owned()), ..hpa };
        assert_eq!(told(&paused).is_some(), from != to && to > 0);
    }

    #[test]
    fn an_autoscaler_that_says_nothing_waits_five_minutes_on_the_way_down_and_not_at_all_on_the_way_up() {
        let silent = Autoscaler { down: ScalingRules::down(), ..Autoscaler::default() };
        assert_eq!(silent.rules(1, 2).window(), SignedDuration::ZERO);
        assert_eq!(silent.rules(2, 1).window(), SignedDuration::from_mins(5));
    }
}
