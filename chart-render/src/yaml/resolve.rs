//! What the text of a scalar is to go-yaml, which reads YAML 1.1: `yes` is true, `0644` is 420, `1_000` is 1000.
//!
//! The writer asks the same rules: a string that would be misread is written in double quotes.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// `~`, `null` and nothing.
    Null,
    /// A boolean of YAML 1.1.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// A whole number above those.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A date, or a date and a time; its text stays what it is.
    Time,
    /// Everything else.
    Text,
}

static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(([Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2}))|( +([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?))?$").ok()
});
static BASE_60: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());

/// What a plain scalar without a tag means.
pub(super) fn plain(text: &str) -> Meaning {
    if let Some(meaning) = word(text) {
        return meaning;
    }
    match text.as_bytes()[0] {
        b'.' => float(text).map_or(Meaning::Text, Meaning::Float),
        b'+' | b'-' | b'0'..=b'9' if is_time(text) => Meaning::Time,
        b'+' | b'-' | b'0'..=b'9' => number(&text.replace('_', "")),
        _ => Meaning::Text,
    }
}

/// Whether the text, written without quotes, reads back as the same string.
pub(super) fn is_plain_string(text: &str) -> bool {
    plain(text) == Meaning::Text && !is_base_60(text)
}

/// Whether a text is a date or a time.
pub(super) fn is_time(text: &str) -> bool {
    if text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    let Some(parts) = DATE.as_ref().and_then(|pattern| pattern.captures(text)) else { return false };
    let part = |index: usize| parts.get(index).and_then(|part| part.as_str().parse::<i16>().ok()).unwrap_or(0);
    let small = |index: usize| i8::try_from(part(index)).unwrap_or(0);
    let is_clock = |at: usize| part(at) < 24 && part(at + 1) < 60 && part(at + 2) < 60;
    Date::new(part(1), small(2), small(3)).is_ok() && is_clock(6) && is_clock(12)
}

/// Words with a meaning.
fn word(text: &str) -> Option<Meaning> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Meaning::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Meaning::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Meaning::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Meaning::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// What a text without underscores that begins like a number means.
fn number(text: &str) -> Meaning {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let whole = |value: i128| match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Some(Meaning::Int(value)),
        // A sign is taken with numbers that fit only.
        (_, Ok(value)) if digits.len() == text.len() => Some(Meaning::Uint(value)),
        _ => None,
    };
    let magnitude = magnitude(digits).map(i128::from);
    magnitude
        .and_then(|value| whole(if negative { -value } else { value }))
        .or_else(|| float(text).map(Meaning::Float))
        // go-yaml's own reading of binary numbers takes a sign behind the mark.
        .or_else(|| i64::from_str_radix(text.strip_prefix("0b")?, 2).ok().map(Meaning::Int))
        .unwrap_or(Meaning::Text)
}

/// What Go's `ParseUint(text, 0, 64)` takes: decimal, and `0x`, `0o`, `0b` or a leading zero.
fn magnitude(digits: &str) -> Option<u64> {
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if body.starts_with(['+', '-']) { None } else { u64::from_str_radix(body, radix).ok() }
}

/// Digits with a point among them or none, and an exponent if there is one; none when it is beyond all floats.
fn float(text: &str) -> Option<f64> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text: &'_ str| text.strip_prefix(['+', '-']).map_or(text.len(), str::len);
    let body = &text[text.len() - unsigned(text)..];
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(&exponent[exponent.len() - unsigned(exponent)..])),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_float = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    text.parse::<f64>().ok().filter(|value| is_float && value.is_finite())
}

fn is_base_60(text: &str) -> bool {
    // Compiling the pattern takes longer than all else, and few texts look like a time.
    text.contains(':') && BASE_60.as_ref().is_some_and(|pattern| pattern.is_match(text))
}
