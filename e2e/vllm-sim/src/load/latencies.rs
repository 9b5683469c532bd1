//! Latencies in constant memory.

use std::time::Duration;

/// Each bucket's bound is this much above the one before: percentiles are exact to 5 %.
const GROWTH: f64 = 1.05;
/// Bound of the first bucket, in seconds.
const FIRST: f64 = 0.001;
/// 1 ms · 1.05^310 is about an hour.
const BUCKETS: usize = 311;

/// A distribution of latencies from a millisecond to an hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies {
    bounds: Vec<f64>,
    counts: Vec<u64>,
    count: u32,
    sum: Duration,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        let bounds: Vec<f64> = std::iter::successors(Some(FIRST), |bound| Some(bound * GROWTH)).take(BUCKETS).collect();
        Self { counts: vec![0; bounds.len() + 1], bounds, count: 0, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let seconds = latency.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.count += 1;
        self.sum += latency;
        self.max = self.max.max(latency);
    }

    /// The latency that `percent` of the requests did not exceed, at most 5 % too high; `None` before the first one.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let wanted = f64::from(self.count) * percent / 100.0;
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate() {
            below += f64::from(u32::try_from(*count).unwrap_or(u32::MAX));
            if *count > 0 && below >= wanted {
                let bound = self.bounds.get(index).map_or(self.max, |bound| Duration::from_secs_f64(*bound));
                return Some(bound.min(self.max));
            }
        }
        None
    }

    /// The mean; `None` before the first one.
    pub fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }

    /// The longest; `None` before the first one.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::median(50.0, 500)]
    #[case::tail(99.0, 990)]
    #[case::all(100.0, 1000)]
    fn percentiles_are_exact_to_five_percent(#[case] percent: f64, #[case] millis: u64) {
        let mut latencies = Latencies::default();
        (1..=1000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let found = latencies.percentile(percent).unwrap().as_secs_f64() * 1000.0;
        let exact = Duration::from_millis(millis).as_secs_f64() * 1000.0;
        assert!((exact..=exact * 1.05).contains(&found), "{found}");
    }

    #[test]
    fn nothing_measured_is_no_latency() {
        let empty = Latencies::default();
        assert_eq!((empty.percentile(50.0), empty.mean(), empty.max()), (None, None, None));
    }
}
