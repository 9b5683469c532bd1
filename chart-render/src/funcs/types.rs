//! Conversions and questions about types.

use super::{Entry, text};
use crate::gofmt;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("kindOf", 1, Some(1), |call| text(call.any(0).kind())),
    ("kindIs", 2, Some(2), |call| Ok(Value::Bool(*call.str(0)? == *call.any(1).kind()))),
    ("typeOf", 1, Some(1), |call| text(call.any(0).go_type())),
    ("typeIs", 2, Some(2), |call| Ok(Value::Bool(*call.str(0)? == *call.any(1).go_type()))),
    ("typeIsLike", 2, Some(2), |call| {
        let (name, value) = (call.str(0)?, call.any(1));
        Ok(Value::Bool(*name == *value.go_type() || *name == format!("*{}", value.go_type())))
    }),
    ("deepEqual", 2, Some(2), |call| Ok(Value::Bool(call.any(0).deep_equal(&call.any(1))))),
    ("deepCopy", 1, Some(1), |call| Ok(call.any(0).deep_copy())),
    ("int", 1, Some(1), |call| Ok(Value::Int(to_int64(&call.any(0))))),
    ("int64", 1, Some(1), |call| Ok(Value::Int64(to_int64(&call.any(0))))),
    ("float64", 1, Some(1), |call| Ok(Value::Float(to_float64(&call.any(0))))),
    ("toString", 1, Some(1), |call| text(to_string(&call.any(0)))),
    ("toStrings", 1, Some(1), |call| {
        let items = match call.any(0) {
            Value::List(items) => items
                .iter()
                .filter(|item| !matches!(item, Value::Nil))
                .map(|item| Value::str(to_string(item)))
                .collect(),
            Value::Nil => Vec::new(),
            other => vec![Value::str(to_string(&other))],
        };
        Ok(Value::list(items))
    }),
];

/// Sprig's `strval`: strings as they are, the rest as `%v`.
pub(super) fn to_string(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => gofmt::display(other),
    }
}

/// What does not convert is 0.
#[expect(clippy::cast_possible_truncation, reason = "Go truncates a float the same way")]
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(integer) | Value::Int64(integer) => *integer,
        Value::Float(float) => *float as i64,
        Value::Bool(flag) => i64::from(*flag),
        Value::Str(text) => parse_int(text),
        _ => 0,
    }
}

/// Leading zeros are decimal here, and a fraction of zeros is dropped: `"010"` is 10 and `"8.0"` is 8.
fn parse_int(text: &str) -> i64 {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.chars().all(|digit| digit == '0') => whole,
        _ => text,
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, whole.strip_prefix('+').unwrap_or(whole)),
    };
    let lower = digits.to_ascii_lowercase();
    let radix =
        |prefix: &str, radix: u32| lower.strip_prefix(prefix).and_then(|body| i64::from_str_radix(body, radix).ok());
    let parsed = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or_else(|| lower.parse().ok());
    parsed.map_or(0, |integer| sign * integer)
}

#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(integer) | Value::Int64(integer) => *integer as f64,
        Value::Float(float) => *float,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Str(text) => text.parse().unwrap_or(0.0),
        _ => 0.0,
    }
}
