//! Dynamo's planner, throughput mode: as many workers as the rate it predicts needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::fixed::for_rate;
use super::super::{Act, Autoscaler, View};
use crate::number::{float, seconds};

/// How the next rate is predicted from those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Predictor {
    /// It is the last one.
    Constant,
    /// A Kalman filter of level and trend.
    Kalman,
}

/// The planner in throughput mode.
#[derive(Debug)]
pub(in crate::policy) struct DynamoRate {
    pause: Duration,
    filter: Filter,
    predictor: Predictor,
    /// Requests per second that a worker of each variant takes, as the planner's profile says.
    capacity: Vec<f64>,
    next: Duration,
}

impl DynamoRate {
    pub(in crate::policy) fn new(pause_seconds: f64, predictor: Predictor, capacity: Vec<f64>) -> Self {
        let pause = seconds(pause_seconds);
        Self { pause, filter: Filter::default(), predictor, capacity, next: pause }
    }
}

impl Autoscaler for DynamoRate {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + self.pause;
        // What came through the frontend since the last decision.
        let until = |moment: Duration| view.workload.arrivals.partition_point(|arrival| arrival.at <= moment);
        let arrived = until(view.now) - until(view.now.saturating_sub(self.pause));
        let rate = float(arrived) / self.pause.as_secs_f64();
        let predicted = match self.predictor {
            Predictor::Constant => rate,
            Predictor::Kalman => self.filter.next(rate),
        };
        let wanted = for_rate(&View { capacity: &self.capacity, ..*view }, predicted.max(0.0));
        Act {
            scale: wanted.iter().copied().enumerate().collect(),
            wanted: Some(wanted),
            reasons: vec![format!("{predicted:.2} requests per second are expected, {rate:.2} were seen")],
        }
    }
}

/// A Kalman filter of a level and its trend, with variances of 1.0 and 0.1 of their steps and 10 of what is seen.
#[derive(Debug, Default)]
struct Filter {
    state: Option<([f64; 2], [[f64; 2]; 2])>,
}

impl Filter {
    /// Takes a value in; what the next one is expected to be.
    fn next(&mut self, seen: f64) -> f64 {
        const STEP: [f64; 2] = [1.0, 0.1];
        const SEEN: f64 = 10.0;
        let ([level, trend], [[a, b], [c, d]]) = self.state.unwrap_or(([seen, 0.0], [[10.0, 0.0], [0.0, 10.0]]));
        // Predict: the level moves by the trend.
        let (level, [[a, b], [c, d]]) = (level + trend, [[a + b + c + d + STEP[0], b + d], [c + d, d + STEP[1]]]);
        // Correct by what was seen.
        let (error, total) = (seen - level, a + SEEN);
        let gain = [a / total, c / total];
        let state = [level + gain[0] * error, trend + gain[1] * error];
        let covariance = [[(1.0 - gain[0]) * a, (1.0 - gain[0]) * b], [c - gain[1] * a, d - gain[1] * b]];
        self.state = Some((state, covariance));
        state[0] + state[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_settles_on_a_constant_rate_and_foresees_a_ramp() {
        let mut filter = Filter::default();
        let last = (0..30).map(|_| filter.next(5.0)).last().unwrap_or_default();
        assert!((last - 5.0).abs() < 0.01, "{last}");
        let mut filter = Filter::default();
        let last = (0..60).map(|step| filter.next(f64::from(step))).last().unwrap_or_default();
        assert!((last - 60.0).abs() < 0.5, "after 0 to 59 comes 60, not {last}");
    }
}
