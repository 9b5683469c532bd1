//! Resource quantities such as `250m`, `4`, `16Gi` or `1e3`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A text that is not a quantity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a quantity; examples: 250m, 4, 16Gi, 1e3")]
pub struct InvalidQuantity(String);

/// The quantity in thousandths, rounded up as Kubernetes does: `250m` is 250, `1.0005` is 1001, `1Ki` is 1 024 000.
pub fn milli(quantity: &Quantity) -> Result<i64, InvalidQuantity> {
    let text = quantity.0.trim();
    let invalid = || InvalidQuantity(quantity.0.clone());
    let number_end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (numerator, denominator) = factor(suffix).ok_or_else(invalid)?;
    let (digits, decimals) = decimal(number).ok_or_else(invalid)?;
    let scale = 10_i128.checked_pow(decimals).ok_or_else(invalid)?.checked_mul(denominator).ok_or_else(invalid)?;
    let value = digits.checked_mul(numerator).and_then(|value| value.checked_mul(1000)).ok_or_else(invalid)?;
    let rounded = value.div_euclid(scale) + i128::from(value.rem_euclid(scale) != 0);
    i64::try_from(rounded).map_err(|_| invalid())
}

/// The canonical text of thousandths: 2000 is `2`, 1500 is `1500m`.
pub fn from_milli(milli: i64) -> Quantity {
    Quantity(if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") })
}

/// `-1.50` as digits and their decimals: (-150, 2).
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, u32::try_from(fraction.len()).ok()?))
}

/// What a suffix multiplies by, as a fraction.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent);
    let (numerator, denominator) = match suffix {
        "" => (1, 1),
        "n" => (1, power(10, 9)?),
        "u" => (1, power(10, 6)?),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (power(1024, 1)?, 1),
        "Mi" => (power(1024, 2)?, 1),
        "Gi" => (power(1024, 3)?, 1),
        "Ti" => (power(1024, 4)?, 1),
        "Pi" => (power(1024, 5)?, 1),
        "Ei" => (power(1024, 6)?, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = power(10, exponent.unsigned_abs())?;
            if exponent < 0 { (1, size) } else { (size, 1) }
        }
    };
    Some((numerator, denominator))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("4", 4_000)]
    #[case::thousandths("250m", 250)]
    #[case::decimal("0.5", 500)]
    #[case::rounded_up("1.0005", 1_001)]
    #[case::nano_rounded_up("1n", 1)]
    #[case::binary("1Ki", 1_024_000)]
    #[case::gibibytes("2Gi", 2_147_483_648_000)]
    #[case::exponent("1e3", 1_000_000)]
    #[case::negative("-1500m", -1_500)]
    fn quantities_are_read_in_thousandths(#[case] text: &str, #[case] expected: i64) {
        assert_eq!(milli(&Quantity(text.to_owned())), Ok(expected));
    }

    #[rstest]
    #[case("")]
    #[case("four")]
    #[case("1.2.3")]
    #[case("5 apples")]
    #[case("999999999999E")]
    fn nonsense_is_refused(#[case] text: &str) {
        assert!(milli(&Quantity(text.to_owned())).is_err());
    }

    #[test]
    fn thousandths_are_written_in_canonical_form() {
        assert_eq!(from_milli(2000).0, "2");
        assert_eq!(from_milli(1500).0, "1500m");
    }
}
