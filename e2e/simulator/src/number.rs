//! Conversions between whole numbers, fractions and times that the simulation needs.

use std::time::Duration;

/// A time of so many seconds; none below zero, nor one that is no number.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

/// A count as a fraction.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// A count as a fraction.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn float64(count: u64) -> f64 {
    count as f64
}

/// The least whole number that is not below `value`; 0 for what is no number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
pub(crate) fn ceil(value: f64) -> u32 {
    value.ceil() as u32
}

/// The largest whole number that is not above `value`; 0 for what is no number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
pub(crate) fn floor(value: f64) -> u32 {
    value.floor() as u32
}

/// The same as an index.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
pub(crate) fn index(value: f64) -> usize {
    value.floor() as usize
}

/// A length as a count.
pub(crate) fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A count of replicas as Kubernetes has it.
pub(crate) fn signed(replicas: u32) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}

/// Back from a count of replicas as Kubernetes has it.
pub(crate) fn unsigned(replicas: i32) -> u32 {
    u32::try_from(replicas).unwrap_or(0)
}
