//! Integer arithmetic (`int64`, whatever goes in) and the float forms.

use super::types::{to_float64, to_int64};
use super::{Call, Entry, text};
use crate::decimal::Decimal;
use crate::fault::Fault;
use crate::gofmt;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("add", 0, None, |call| Ok(Value::Int64(call.arguments.iter().map(to_int64).fold(0, i64::wrapping_add)))),
    ("add1", 1, Some(1), |call| Ok(Value::Int64(to_int64(&call.any(0)).wrapping_add(1)))),
    ("sub", 2, Some(2), |call| Ok(Value::Int64(to_int64(&call.any(0)).wrapping_sub(to_int64(&call.any(1)))))),
    ("mul", 1, None, |call| Ok(Value::Int64(call.arguments.iter().map(to_int64).fold(1, i64::wrapping_mul)))),
    ("div", 2, Some(2), |call| divide(call, i64::checked_div)),
    ("mod", 2, Some(2), |call| divide(call, i64::checked_rem)),
    ("max", 1, None, |call| Ok(Value::Int64(call.arguments.iter().map(to_int64).max().unwrap_or(0)))),
    ("min", 1, None, |call| Ok(Value::Int64(call.arguments.iter().map(to_int64).min().unwrap_or(0)))),
    ("addf", 0, None, |call| Ok(decimals(0.0, call.arguments, Decimal::add, |a, b| a + b))),
    ("add1f", 1, Some(1), |call| Ok(decimals(to_float64(&call.any(0)), &[Value::Int(1)], Decimal::add, |a, b| a + b))),
    ("mulf", 1, None, |call| Ok(decimals(to_float64(&call.any(0)), call.rest(1), Decimal::mul, |a, b| a * b))),
    ("subf", 1, None, |call| Ok(decimals(to_float64(&call.any(0)), call.rest(1), Decimal::sub, |a, b| a - b))),
    ("divf", 1, None, |call| {
        if call.rest(1).iter().any(|value| to_float64(value) == 0.0) {
            return Err(Fault::new("decimal division by 0"));
        }
        Ok(decimals(to_float64(&call.any(0)), call.rest(1), Decimal::div, |a, b| a / b))
    }),
    ("maxf", 1, None, |call| fold_float(call, f64::max)),
    ("minf", 1, None, |call| fold_float(call, f64::min)),
    ("ceil", 1, Some(1), |call| Ok(Value::Float(to_float64(&call.any(0)).ceil()))),
    ("floor", 1, Some(1), |call| Ok(Value::Float(to_float64(&call.any(0)).floor()))),
    ("round", 2, Some(3), round),
    ("toDecimal", 1, Some(1), |call| {
        // Octal, as file modes are written.
        Ok(Value::Int64(i64::from_str_radix(&gofmt::sprint(call.arguments), 8).unwrap_or(0)))
    }),
    ("seq", 0, None, sequence),
    ("until", 1, Some(1), |call| Ok(steps(0, call.int(0)?, if call.int(0)? < 0 { -1 } else { 1 }))),
    ("untilStep", 3, Some(3), |call| Ok(steps(call.int(0)?, call.int(1)?, call.int(2)?))),
];

fn divide(call: &Call<'_>, operation: fn(i64, i64) -> Option<i64>) -> Result<Value, Fault> {
    operation(to_int64(&call.any(0)), to_int64(&call.any(1)))
        .map(Value::Int64)
        .ok_or_else(|| Fault::new("runtime error: integer divide by zero"))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape every function returns")]
fn fold_float(call: &Call<'_>, operation: fn(f64, f64) -> f64) -> Result<Value, Fault> {
    let mut values = call.arguments.iter().map(to_float64);
    let first = values.next().unwrap_or(0.0);
    Ok(Value::Float(values.fold(first, operation)))
}

/// Half rounds up from the third argument on, 0.5 without it.
fn round(call: &Call<'_>) -> Result<Value, Fault> {
    let decimals = i32::try_from(call.int(1)?).map_err(|_| Fault::new("too many decimals"))?;
    let threshold = call.arguments.get(2).map_or(0.5, to_float64);
    let scale = 10_f64.powi(decimals);
    let scaled = to_float64(&call.any(0)) * scale;
    let rounded = if scaled.fract() >= threshold { scaled.ceil() } else { scaled.floor() };
    Ok(Value::Float(rounded / scale))
}

/// One operation on decimals after the other; what is too large for them is computed with floats.
fn decimals(
    first: f64,
    others: &[Value],
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    rough: fn(f64, f64) -> f64,
) -> Value {
    let others = others.iter().map(to_float64);
    let result = others.clone().try_fold(Decimal::of(first), |total, value| Some(exact(total?, Decimal::of(value)?)));
    match result.flatten() {
        Some(decimal) => Value::Float(decimal.to_f64()),
        None => Value::Float(others.fold(first, rough)),
    }
}

/// `seq 3` is `1 2 3`, `seq 2 4` is `2 3 4`, `seq 0 5 10` is `0 5 10`.
fn sequence(call: &Call<'_>) -> Result<Value, Fault> {
    let numbers = (0..call.arguments.len()).map(|index| call.int(index)).collect::<Result<Vec<_>, _>>()?;
    let direction = |from: i64, to: i64| if to < from { -1 } else { 1 };
    let (from, by, to) = match numbers[..] {
        [to] => (1, direction(1, to), to),
        [from, to] => (from, direction(from, to), to),
        [from, by, to] if to < from && by > 0 => (from, 0, to),
        [from, by, to] => (from, by, to),
        _ => return text(""),
    };
    let items = steps(from, to + direction(from, to), by);
    let Value::List(items) = items else { return text("") };
    text(items.iter().map(gofmt::display).collect::<Vec<_>>().join(" "))
}

fn steps(start: i64, end: i64, by: i64) -> Value {
    let mut items = Vec::new();
    let mut at = start;
    while (by > 0 && at < end) || (by < 0 && at > end) {
        items.push(Value::Int(at));
        at += by;
    }
    Value::list(items)
}
