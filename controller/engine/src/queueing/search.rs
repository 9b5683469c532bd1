//! Finding where a curve that only rises, or only falls, has a value.

use super::Error;

/// Two numbers are the same when they differ by less than this share.
const TOLERANCE: f32 = 1e-6;

/// Where the value is, seen from the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The curve is beyond the value already where the range begins.
    Below,
    /// In the range.
    Inside,
    /// The curve has not reached the value where the range ends.
    Above,
}

/// Finds the argument at which `curve` is `value`, by halving the range; one of its ends when the value is outside.
///
/// # Errors
///
/// When the range is empty, or the curve has no value somewhere.
pub fn search(
    curve: impl Fn(f32) -> Result<f32, Error>,
    (mut low, mut high): (f32, f32),
    value: f32,
) -> Result<(f32, Position), Error> {
    if low.is_nan() || high.is_nan() || low > high {
        return Err(Error::Invalid);
    }
    let (at_low, at_high) = (curve(low)?, curve(high)?);
    if is_same(at_low, value) {
        return Ok((low, Position::Inside));
    }
    if is_same(at_high, value) {
        return Ok((high, Position::Inside));
    }
    // A flat curve counts as rising: a value above it is reached nowhere, and exceeded nowhere.
    let rises = at_low <= at_high;
    let is_before = |at: f32| if rises { value < at } else { value > at };
    if is_before(at_low) {
        return Ok((low, Position::Below));
    }
    if !is_before(at_high) {
        return Ok((high, Position::Above));
    }
    let middle = loop {
        let middle = f32::midpoint(low, high);
        if middle <= low || middle >= high {
            // No number is in between.
            break middle;
        }
        let at_middle = curve(middle)?;
        if is_same(at_middle, value) {
            break middle;
        }
        if is_before(at_middle) {
            high = middle;
        } else {
            low = middle;
        }
    };
    Ok((middle, Position::Inside))
}

fn is_same(x: f32, value: f32) -> bool {
    x.total_cmp(&value).is_eq() || (value != 0.0 && ((x - value) / value).abs() <= TOLERANCE)
}
