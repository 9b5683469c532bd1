//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `not`.

use std::cmp::Ordering;

use super::{Call, Entry};
use crate::fault::Fault;
use crate::value::{Object, Value};

pub(super) const TABLE: &[Entry] = &[
    ("eq", 2, None, eq),
    ("ne", 2, Some(2), |call| Ok(Value::Bool(!equal(&call.any(0), &call.any(1))?))),
    ("lt", 2, Some(2), |call| ordered(call, Ordering::is_lt)),
    ("le", 2, Some(2), |call| ordered(call, Ordering::is_le)),
    ("gt", 2, Some(2), |call| ordered(call, Ordering::is_gt)),
    ("ge", 2, Some(2), |call| ordered(call, Ordering::is_ge)),
    ("not", 1, Some(1), |call| Ok(Value::Bool(!call.any(0).is_true()))),
];

/// True when the first equals any of the others.
fn eq(call: &Call<'_>) -> Result<Value, Fault> {
    for other in call.rest(1) {
        if equal(&call.any(0), other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Numbers of different Go kinds do not compare: `eq .Values.n 1` fails when the file says `n: 1`, a float.
fn equal(left: &Value, right: &Value) -> Result<bool, Fault> {
    match (left, right) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (Value::Int(a) | Value::Int64(a), Value::Int(b) | Value::Int64(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b) == Some(Ordering::Equal)),
        (Value::Object(Object::Time(a)), Value::Object(Object::Time(b))) => Ok(a == b),
        (Value::List(_) | Value::Map(_) | Value::Object(_), Value::List(_) | Value::Map(_) | Value::Object(_)) => {
            Err(Fault::new(format!("non-comparable types {}, {}", left.go_type(), right.go_type())))
        }
        _ => Err(Fault::new("incompatible types for comparison")),
    }
}

fn ordered(call: &Call<'_>, holds: fn(Ordering) -> bool) -> Result<Value, Fault> {
    let ordering = match (&call.any(0), &call.any(1)) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Int(a) | Value::Int64(a), Value::Int(b) | Value::Int64(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Nil | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Object(_), _) => {
            return Err(Fault::new("invalid type for comparison"));
        }
        _ => return Err(Fault::new("incompatible types for comparison")),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
}
