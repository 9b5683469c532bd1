//! Numbers that are given as such, or as a percentage of a total.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What becomes of the part of a percentage that is no whole one.
#[derive(Clone, Copy)]
pub(super) enum Rounding {
    Up,
    Down,
}

/// `value` of `total`; never negative.
pub(super) fn resolve(value: &IntOrString, total: i32, rounding: Rounding) -> i32 {
    match value {
        IntOrString::Int(count) => (*count).max(0),
        IntOrString::String(text) => {
            let percent: i32 = text.trim_end_matches('%').parse().unwrap_or_default();
            let hundredths = i64::from(total) * i64::from(percent.max(0));
            let count = match rounding {
                Rounding::Up => (hundredths + 99) / 100,
                Rounding::Down => hundredths / 100,
            };
            i32::try_from(count).unwrap_or(i32::MAX)
        }
    }
}
