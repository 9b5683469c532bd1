//! Where most of many values are.

use serde::{Deserialize, Serialize};

use crate::number::{ceil, float};

/// Where most of many values are; all 0 when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half are not above it.
    pub p50: f64,
    /// 95 % are not above it.
    pub p95: f64,
    /// 99 % are not above it.
    pub p99: f64,
}

impl Quantiles {
    /// Those of some values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = usize::try_from(ceil(share * float(values.len()))).unwrap_or(usize::MAX);
            values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

/// The mean of some values; 0 when there are none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    sum / float(count.max(1))
}

/// The middle of some values, the mean of the two middle ones if there is an even number; 0 when there are none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => f64::midpoint(values[middle - 1], *value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let quantiles = Quantiles::of((1..=100).rev().map(f64::from));
        assert_eq!(quantiles, Quantiles { p50: 50.0, p95: 95.0, p99: 99.0 });
        assert_eq!(Quantiles::of([7.0]), Quantiles { p50: 7.0, p95: 7.0, p99: 7.0 });
        assert_eq!(Quantiles::of([]), Quantiles::default());
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let medians = [vec![3.0, 1.0, 2.0], vec![4.0, 1.0, 2.0, 3.0], vec![]].map(median);
        assert_eq!(medians.map(|median| format!("{median:.1}")), ["2.0", "2.5", "0.0"]);
    }
}
