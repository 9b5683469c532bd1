//! Conversions and questions about types.

use super::{Entry, text};
use crate::value::{Object, Value};
use crate::{gofmt, golit};

pub(super) const TABLE: &[Entry] = &[
    ("kindOf", 1, Some(1), |call| text(call.any(0).kind())),
    ("kindIs", 2, Some(2), |call| Ok(Value::Bool(*call.str(0)? == *call.any(1).kind()))),
    ("typeOf", 1, Some(1), |call| text(call.any(0).go_type())),
    ("typeIs", 2, Some(2), |call| Ok(Value::Bool(*call.str(0)? == *call.any(1).go_type()))),
    ("typeIsLike", 2, Some(2), |call| {
        let (name, value) = (call.str(0)?, call.any(1));
        Ok(Value::Bool(*name == *value.go_type() || format!("*{name}") == value.go_type()))
    }),
    ("deepEqual", 2, Some(2), |call| Ok(Value::Bool(call.any(0).deep_equal(&call.any(1))))),
    ("deepCopy", 1, Some(1), |call| Ok(call.any(0).deep_copy())),
    ("int", 1, Some(1), |call| Ok(Value::Int(to_int64(&call.any(0))))),
    ("int64", 1, Some(1), |call| Ok(Value::Int64(to_int64(&call.any(0))))),
    ("float64", 1, Some(1), |call| Ok(Value::Float(to_float64(&call.any(0))))),
    ("toString", 1, Some(1), |call| text(to_string(&call.any(0)))),
    ("toStrings", 1, Some(1), |call| Ok(Value::list(to_strings(&call.any(0)).iter().map(Value::str).collect()))),
    ("atoi", 1, Some(1), |call| Ok(Value::Int(decimal(&call.str(0)?)))),
];

/// Sprig's `strval`: strings as they are, the rest as `%v`.
pub(super) fn to_string(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => gofmt::display(other),
    }
}

/// Sprig's `strslice`: the items as text without nil, and of a single value that one.
pub(super) fn to_strings(value: &Value) -> Vec<String> {
    match value {
        Value::Nil => Vec::new(),
        Value::List(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(to_string).collect(),
        Value::Object(Object::ApiVersions(versions)) => versions.to_vec(),
        other => vec![to_string(other)],
    }
}

/// What does not convert is 0.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(integer) | Value::Int64(integer) => *integer,
        Value::Float(float) => truncated(*float),
        Value::Bool(flag) => i64::from(*flag),
        Value::Str(text) => golit::integer(without_zero_fraction(text)).unwrap_or(0),
        _ => 0,
    }
}

/// Without its fraction; what an `int64` cannot hold is the smallest one, as amd64 has it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn truncated(float: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&float) { float as i64 } else { i64::MIN }
}

/// `8.00` is 8; `8.` stays what it is.
fn without_zero_fraction(text: &str) -> &str {
    match text.trim_end_matches('0').strip_suffix('.') {
        Some(whole) if text.ends_with('0') => whole,
        _ => text,
    }
}

/// Go's `Atoi`: decimal, whatever zeros lead; what is too large is the largest.
fn decimal(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(integer) | Value::Int64(integer) => *integer as f64,
        Value::Float(float) => *float,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Str(text) => golit::float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}
