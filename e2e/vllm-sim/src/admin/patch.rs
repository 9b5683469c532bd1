//! Reading the body of `POST /admin/config`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{HistogramPin, Overrides};
use crate::duration;
use crate::metrics::names;

/// Why a body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPatch {
    /// Not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("the body must be a JSON object, for example {{\"kv_cache_usage\": 0.9}}")]
    NotAnObject,
    /// A key that does not exist.
    #[error("unknown field `{field}`; known fields: {}", FIELDS.join(", "))]
    UnknownField {
        /// The key.
        field: String,
    },
    /// A value that the field cannot take.
    #[error("field `{field}`: expected {expected}, got {got}")]
    Invalid {
        /// The key, with the path below it where it has one.
        field: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
}

const FIELDS: [&str; 13] = [
    "kv_cache_usage",
    "num_requests_running",
    "num_requests_waiting",
    "counters",
    "histograms",
    "metrics_delay",
    "metrics_stale",
    "metrics_status",
    "metrics_absent",
    "metrics_missing",
    "request_failure_rate",
    "request_failure_status",
    "ready",
];

impl Overrides {
    /// The overrides after applying `body`.
    pub fn patched(&self, body: &[u8]) -> Result<Self, InvalidPatch> {
        let value: Value = serde_json::from_slice(body).map_err(|error| InvalidPatch::NotJson(error.to_string()))?;
        let Value::Object(fields) = value else { return Err(InvalidPatch::NotAnObject) };
        let mut patched = self.clone();
        for (field, value) in &fields {
            patched.set(field, value)?;
        }
        Ok(patched)
    }

    fn set(&mut self, field: &str, value: &Value) -> Result<(), InvalidPatch> {
        let default = Self::default();
        match field {
            "kv_cache_usage" => self.kv_cache_usage = nullable(value, |v| fraction(field, v))?,
            "num_requests_running" => self.num_requests_running = nullable(value, |v| count(field, v))?,
            "num_requests_waiting" => self.num_requests_waiting = nullable(value, |v| count(field, v))?,
            "counters" => match nullable(value, |v| object(field, v))? {
                Some(pins) => patch_counters(&mut self.counters, pins)?,
                None => self.counters.clear(),
            },
            "histograms" => match nullable(value, |v| object(field, v))? {
                Some(pins) => patch_histograms(&mut self.histograms, pins)?,
                None => self.histograms.clear(),
            },
            "metrics_delay" => {
                self.metrics_delay = nullable(value, |v| delay(field, v))?.unwrap_or(default.metrics_delay);
            }
            "metrics_stale" => self.metrics_stale = nullable(value, |v| boolean(field, v))?.unwrap_or_default(),
            "metrics_status" => self.metrics_status = nullable(value, |v| status(field, v))?,
            "metrics_absent" => self.metrics_absent = nullable(value, |v| boolean(field, v))?.unwrap_or_default(),
            "metrics_missing" => {
                self.metrics_missing = nullable(value, |v| series(field, v))?.unwrap_or_default().into_iter().collect();
            }
            "request_failure_rate" => {
                self.request_failure_rate = nullable(value, |v| fraction(field, v))?.unwrap_or_default();
            }
            "request_failure_status" => {
                self.request_failure_status =
                    nullable(value, |v| status(field, v))?.unwrap_or(default.request_failure_status);
            }
            "ready" => self.ready = nullable(value, |v| boolean(field, v))?,
            _ => return Err(InvalidPatch::UnknownField { field: field.to_owned() }),
        }
        Ok(())
    }
}

fn patch_counters(counters: &mut BTreeMap<String, f64>, pins: &Map<String, Value>) -> Result<(), InvalidPatch> {
    for (name, value) in pins {
        let field = format!("counters.{name}");
        known_name(&field, name, &names::COUNTERS)?;
        match nullable(value, |v| non_negative(&field, v))? {
            Some(pin) => counters.insert(name.clone(), pin),
            None => counters.remove(name),
        };
    }
    Ok(())
}

fn patch_histograms(
    histograms: &mut BTreeMap<String, HistogramPin>,
    pins: &Map<String, Value>,
) -> Result<(), InvalidPatch> {
    for (name, value) in pins {
        let field = format!("histograms.{name}");
        known_name(&field, name, &names::PINNABLE_HISTOGRAMS)?;
        match nullable(value, |v| histogram(&field, v))? {
            Some(pin) => histograms.insert(name.clone(), pin),
            None => histograms.remove(name),
        };
    }
    Ok(())
}

// === one function per kind of value ===

/// `null` means "back to the default".
fn nullable<'v, T>(
    value: &'v Value,
    read: impl FnOnce(&'v Value) -> Result<T, InvalidPatch>,
) -> Result<Option<T>, InvalidPatch> {
    if value.is_null() { Ok(None) } else { read(value).map(Some) }
}

fn invalid(field: &str, expected: impl Into<String>, got: &Value) -> InvalidPatch {
    InvalidPatch::Invalid { field: field.to_owned(), expected: expected.into(), got: got.to_string() }
}

fn fraction(field: &str, value: &Value) -> Result<f64, InvalidPatch> {
    value.as_f64().filter(|n| (0.0..=1.0).contains(n)).ok_or_else(|| invalid(field, "a number from 0 to 1", value))
}

fn non_negative(field: &str, value: &Value) -> Result<f64, InvalidPatch> {
    value.as_f64().filter(|n| *n >= 0.0).ok_or_else(|| invalid(field, "a number, at least 0", value))
}

fn count(field: &str, value: &Value) -> Result<u32, InvalidPatch> {
    value
        .as_u64()
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| invalid(field, "a whole number, at least 0", value))
}

fn boolean(field: &str, value: &Value) -> Result<bool, InvalidPatch> {
    value.as_bool().ok_or_else(|| invalid(field, "true or false", value))
}

fn status(field: &str, value: &Value) -> Result<u16, InvalidPatch> {
    value
        .as_u64()
        .and_then(|n| u16::try_from(n).ok())
        .filter(|n| (400..=599).contains(n))
        .ok_or_else(|| invalid(field, "an HTTP error status, 400 to 599", value))
}

fn delay(field: &str, value: &Value) -> Result<std::time::Duration, InvalidPatch> {
    value
        .as_str()
        .and_then(|text| duration::parse(text).ok())
        .ok_or_else(|| invalid(field, "a duration with a unit, for example \"2s\" or \"250ms\"", value))
}

fn object<'v>(field: &str, value: &'v Value) -> Result<&'v Map<String, Value>, InvalidPatch> {
    value.as_object().ok_or_else(|| invalid(field, "an object of metric names", value))
}

fn series(field: &str, value: &Value) -> Result<Vec<String>, InvalidPatch> {
    let expected = "a list of metric names, for example [\"vllm:kv_cache_usage_perc\"]";
    let fault = || invalid(field, expected, value);
    let mut list = Vec::new();
    for (index, item) in value.as_array().ok_or_else(fault)?.iter().enumerate() {
        let name = item.as_str().ok_or_else(fault)?;
        known_name(&format!("{field}[{index}]"), name, &names::ALL)?;
        list.push(name.to_owned());
    }
    Ok(list)
}

fn histogram(field: &str, value: &Value) -> Result<HistogramPin, InvalidPatch> {
    let read = || {
        let fields = value.as_object().filter(|fields| fields.len() == 2)?;
        let sum = fields.get("sum")?.as_f64().filter(|sum| *sum >= 0.0)?;
        let count = u32::try_from(fields.get("count")?.as_u64()?).ok()?;
        (count > 0 || sum == 0.0).then_some(HistogramPin { sum, count })
    };
    read().ok_or_else(|| invalid(field, "{\"sum\": number, \"count\": whole number}", value))
}

fn known_name(field: &str, name: &str, known: &[&str]) -> Result<(), InvalidPatch> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(InvalidPatch::Invalid {
        field: field.to_owned(),
        expected: format!("one of the names {}", known.join(", ")),
        got: format!("`{name}`"),
    })
}
