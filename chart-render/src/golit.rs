//! Numbers in Go's notation, as `strconv` reads them: prefixes tell the base, underscores may stand between digits.

/// `ParseInt(text, 0, 64)`: `0x1f`, `0o17`, `017` and `0b11` are read by their base, `1_000` is a thousand.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = without_underscores(unsigned)?;
    let lower = plain.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `ParseFloat(text, 64)`, without hexadecimal mantissas.
pub(crate) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = &text[..text.len() - unsigned.len()];
    if !unsigned.contains('_') {
        return text.parse().ok();
    }
    format!("{sign}{}", without_underscores(unsigned)?).parse().ok()
}

/// An underscore stands between digits or behind the prefix of a base, one at a time.
fn without_underscores(unsigned: &str) -> Option<String> {
    if !unsigned.contains('_') {
        return Some(unsigned.to_owned());
    }
    let bytes = unsigned.as_bytes();
    let has_prefix = bytes[0] == b'0' && bytes.get(1).is_some_and(|mark| b"xXoObB".contains(mark));
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let stands_well = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        // The letter of a prefix counts as a digit.
        let before = is_digit(before) && (before.is_some_and(u8::is_ascii_digit) || has_prefix);
        before && is_digit(bytes.get(at + 1))
    };
    let good = bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || stands_well(at));
    good.then(|| unsigned.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_by_their_prefix() {
        let cases = [
            ("0644", Some(420)),
            ("017", Some(15)),
            ("-0x1F", Some(-31)),
            ("0o17", Some(15)),
            ("0b11", Some(3)),
            ("1_000", Some(1000)),
            ("0_7", Some(7)),
            ("0x_1", Some(1)),
            ("0", Some(0)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("08", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("", None),
            ("+-1", None),
            ("1.0", None),
        ];
        for (text, number) in cases {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn floats_may_have_underscores_between_digits() {
        for (text, number) in [("1_0.5", Some(10.5)), ("-1e3", Some(-1000.0)), ("1_.5", None), ("x", None)] {
            assert_eq!(float(text), number, "{text}");
        }
    }
}
