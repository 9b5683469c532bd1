//! A few durations in three numbers.

use std::fmt;
use std::time::Duration;

/// Median, 90th percentile and maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Half of them took no longer.
    pub median: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
    /// None took longer.
    pub max: Duration,
}

impl Summary {
    /// Sums up durations; of none, all are zero. A percentile is the nearest rank: of 20, the 10th and the 18th.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let rank = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100).max(1);
            durations.get(rank - 1).copied().unwrap_or_default()
        };
        Self { median: rank(50), p90: rank(90), max: rank(100) }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p90, max } = self;
        write!(f, "{} / {} / {} ms", median.as_millis(), p90.as_millis(), max.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let summary = Summary::of((1..=20).map(Duration::from_millis).collect());
        assert_eq!(summary.to_string(), "10 / 18 / 20 ms");
        assert_eq!(Summary::of(vec![Duration::from_millis(7)]).to_string(), "7 / 7 / 7 ms");
        assert_eq!(Summary::of(Vec::new()), Summary::default());
    }
}
