//! Between counts of tokens and the reals they are multiplied by.

/// A count as a real number; exact up to 2⁵³, which is more tokens than any cluster holds.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 tokens a rounded number decides the same")]
pub(crate) fn float(count: i64) -> f64 {
    count as f64
}

/// Towards zero; at the ends of the range for what lies beyond, 0 for what is not a number.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as wanted")]
pub(crate) fn truncate(value: f64) -> i64 {
    value as i64
}

/// A count out of a reading that holds a whole number; the ends of the range for what lies beyond.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

/// The sum, in order of size, so that the order of the values does not matter.
pub(crate) fn sum(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.iter().sum()
}
