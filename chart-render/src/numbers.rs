//! How Go prints and reads numbers.
//!
//! Every number of a values file is a `float64`, so these rules decide what a chart prints: `1000000` comes out as
//! `1e+06` from `{{ .Values.n }}`, as `1000000` from `toYaml`, and `0.80` as `0.8` from both.

use serde_json::{Number, Value as Json};

/// Go's `%v` and `%g` of a `float64`: the shortest digits that read back, with an exponent below 1e-4 and from the
/// seventh digit before the point on: `123456` but `1e+06`.
pub(crate) fn format_g(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let (mantissa, exponent) = scientific(value);
    if !(-4..6).contains(&exponent) {
        return with_exponent(&mantissa, exponent);
    }
    format!("{value}")
}

/// A `float64` as a key of JSON that sigs.k8s.io/yaml makes of YAML: with the digits of a `float32`.
pub(crate) fn format_key(value: f64) -> String {
    let short = value.to_string().parse::<f32>().unwrap_or(f32::NAN);
    if short.is_nan() {
        return ".nan".to_owned();
    }
    if short.is_infinite() {
        return if short > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    format_g(short.to_string().parse().unwrap_or(value))
}

/// A part of a whole.
#[expect(clippy::cast_precision_loss, reason = "counts that are far from the limits of a float's digits")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// A whole number as a `float64`.
#[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}

/// A `float64` as Go's `encoding/json` writes it: exponents only below 1e-6 and from 1e21 on.
pub(crate) fn format_json(value: f64) -> String {
    let (mantissa, exponent) = scientific(value);
    if value != 0.0 && !(-6..21).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{}", exponent.abs());
    }
    format!("{value}")
}

/// JSON for a float as it looks after Go has written and read it again: whole numbers that fit are integers, made of
/// the shortest digits and zeros (`12345678901234567000`).
pub(crate) fn to_json(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 2e19 {
        let digits = format!("{value}");
        if let Ok(integer) = digits.parse::<i64>() {
            return Json::from(integer);
        }
        if let Ok(integer) = digits.parse::<u64>() {
            return Json::from(integer);
        }
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// Every number of a YAML document as Helm sees it: a `float64`.
pub(crate) fn widen(json: &mut Json) {
    match json {
        Json::Number(number) => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(widen),
        Json::Object(map) => map.values_mut().for_each(widen),
        _ => {}
    }
}

/// The reverse, for readers that want integers (schema validation, manifest objects).
pub(crate) fn narrow(json: &mut Json) {
    match json {
        Json::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                *json = to_json(float);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(narrow),
        Json::Object(map) => map.values_mut().for_each(narrow),
        _ => {}
    }
}

/// Shortest mantissa (`-1.25`) and decimal exponent.
pub(crate) fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

/// Go writes exponents with a sign and at least two digits.
pub(crate) fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
