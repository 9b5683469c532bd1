//! Which plain scalars YAML 1.1 reads as something other than a string, by go-yaml's rules.
//!
//! A string that would be misread is written in double quotes.

use std::sync::LazyLock;

use regex::Regex;

/// Words with a meaning: the booleans of YAML 1.1, null and the special floats.
const WORDS: &[&str] = &[
    "", "~", "null", "Null", "NULL", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N",
    "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF",
    "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[0-9]{4}-([0-9]{1,2})-([0-9]{1,2})(([Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2}))|( +([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?))?$").ok()
});
static BASE_60: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());

/// Whether the text, written without quotes, reads back as the same string.
pub(super) fn is_plain_string(text: &str) -> bool {
    if WORDS.contains(&text) {
        return false;
    }
    let Some(first) = text.chars().next() else { return false };
    match first {
        '.' => !is_float(text),
        '+' | '-' | '0'..='9' => {
            let plain = text.replace('_', "");
            !(is_date(text) || is_integer(&plain) || is_float(&plain) || is_base_60(text))
        }
        _ => true,
    }
}

/// Digits with a point among them or none, and an exponent if there is one.
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned(text).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(unsigned(exponent))),
        None => (unsigned(text), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_base_60(text: &str) -> bool {
    // Compiling the pattern takes longer than all else, and few texts look like a time.
    text.contains(':') && BASE_60.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn is_date(text: &str) -> bool {
    if text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    let Some(parts) = DATE.as_ref().and_then(|pattern| pattern.captures(text)) else { return false };
    let part = |index: usize| parts.get(index).and_then(|part| part.as_str().parse::<u32>().ok()).unwrap_or(0);
    (1..=12).contains(&part(1)) && (1..=31).contains(&part(2)) && part(5).max(part(11)) < 24
}

/// What Go's `ParseInt(text, 0, 64)` and `ParseUint` take: decimal, and `0x`, `0o`, `0b` or a leading zero.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    !body.starts_with(['+', '-']) && u64::from_str_radix(body, radix).is_ok()
}
