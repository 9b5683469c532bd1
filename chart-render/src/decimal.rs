//! Decimal arithmetic: Sprig's float functions compute with the digits as they are written, so `addf 0.1 0.2` is 0.3.

use crate::numbers;

/// Digits after the point that a division keeps.
const DIVISION_DIGITS: i32 = 16;

/// `digits × 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as the float; none for what is no number.
    pub(crate) fn of(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let (mantissa, exponent) = numbers::scientific(value);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
        let places = i32::try_from(fraction.len()).ok()?;
        Some(Self { digits: format!("{whole}{fraction}").parse().ok()?, exponent: exponent - places })
    }

    pub(crate) fn to_f64(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// The digits for a smaller exponent.
    fn at(self, exponent: i32) -> Option<i128> {
        let by = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        self.digits.checked_mul(10_i128.checked_pow(by)?)
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        Some(Self { digits: self.at(exponent)?.checked_add(other.at(exponent)?)?, exponent })
    }

    pub(crate) fn sub(self, other: Self) -> Option<Self> {
        self.add(Self { digits: -other.digits, ..other })
    }

    pub(crate) fn mul(self, other: Self) -> Option<Self> {
        Some(Self { digits: self.digits.checked_mul(other.digits)?, exponent: self.exponent + other.exponent })
    }

    /// Rounded to sixteen digits after the point, half away from zero.
    pub(crate) fn div(self, other: Self) -> Option<Self> {
        // self / other = (self.digits / other.digits) × 10^(difference); bring the quotient to the wanted exponent.
        let shift = self.exponent - other.exponent + DIVISION_DIGITS;
        let scale = 10_i128.checked_pow(shift.unsigned_abs())?;
        let (numerator, denominator) = if shift >= 0 {
            (self.digits.checked_mul(scale)?, other.digits)
        } else {
            (self.digits, other.digits.checked_mul(scale)?)
        };
        let quotient = numerator.checked_div(denominator)?;
        let rest = numerator.checked_rem(denominator)?;
        let half = rest.unsigned_abs().checked_mul(2)? >= denominator.unsigned_abs();
        let away = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
        Some(Self { digits: quotient + if half { away } else { 0 }, exponent: -DIVISION_DIGITS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: f64) -> Decimal {
        Decimal::of(value).expect("decimal")
    }

    #[test]
    fn sums_and_products_are_exact() {
        assert_eq!(of(0.1).add(of(0.2)).map(Decimal::to_f64), Some(0.3));
        assert_eq!(of(1.1).sub(of(0.3)).map(Decimal::to_f64), Some(0.8));
        assert_eq!(of(1.1).mul(of(1.1)).map(Decimal::to_f64), Some(1.21));
    }

    #[test]
    fn quotients_have_sixteen_digits() {
        assert_eq!(of(1.0).div(of(3.0)).map(Decimal::to_f64), Some(0.333_333_333_333_333_3));
        assert_eq!(of(-2.0).div(of(3.0)).map(Decimal::to_f64), Some(-0.666_666_666_666_666_7));
        assert_eq!(of(1.0).div(of(0.0)), None);
    }

    #[test]
    fn what_is_too_large_is_left_to_floats() {
        assert_eq!(of(1e300).mul(of(1e300)).map(Decimal::to_f64), Some(f64::INFINITY));
        assert_eq!(of(1e300).add(of(1.0)), None);
    }
}
