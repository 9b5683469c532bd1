//! `toToml` and `fromToml`.

use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::gotime::Time;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[("toToml", 1, Some(1), to_toml), ("fromToml", 1, Some(1), from_toml)];

/// Helm prints the message where the text should be.
fn to_toml(call: &Call<'_>) -> Result<Value, Fault> {
    match call.any(0) {
        Value::Nil => Err(Fault::new("nothing cannot be written as TOML")),
        value => text(crate::toml::to_toml(&value).unwrap_or_else(str::to_owned)),
    }
}

/// A dict; of text that is no TOML, the message under the key `Error`.
fn from_toml(call: &Call<'_>) -> Result<Value, Fault> {
    let source = call.str(0)?;
    let read = DeTable::parse(&source)
        .map_err(|error| format!("toml: {}", error.message()))
        .and_then(|table| value(&DeValue::Table(table.into_inner())));
    Ok(read.unwrap_or_else(|message| Value::map([("Error".to_owned(), Value::str(message))])))
}

fn value(read: &DeValue<'_>) -> Result<Value, String> {
    Ok(match read {
        DeValue::String(text) => Value::str(text),
        DeValue::Integer(integer) => Value::Int64(
            i64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| format!("toml: {} is out of range for int64", integer.as_str()))?,
        ),
        DeValue::Float(float) => {
            Value::Float(float.as_str().parse().map_err(|_| format!("toml: {} is no number", float.as_str()))?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(datetime) => time(datetime)?,
        DeValue::Array(items) => Value::list(items.iter().map(|item| value(item.get_ref())).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let entry = |(key, item): (&toml::Spanned<_>, &toml::Spanned<_>)| -> Result<_, String> {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok((key.to_string(), value(item.get_ref())?))
            };
            Value::map(table.iter().map(entry).collect::<Result<Vec<_>, _>>()?)
        }
    })
}

/// A date, a time of day or both, in a zone or in none.
fn time(read: &Datetime) -> Result<Value, String> {
    let date = read.date.map_or((0, 1, 1), |date| (date.year, date.month, date.day));
    let clock = read
        .time
        .map_or((0, 0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0), time.nanosecond.unwrap_or(0)));
    let (minutes, zone) = match (read.offset, read.date, read.time) {
        (Some(Offset::Z), ..) => (0, "UTC"),
        (Some(Offset::Custom { minutes }), ..) => (minutes, ""),
        (None, Some(_), Some(_)) => (0, Time::LOCAL_DATETIME),
        (None, Some(_), None) => (0, Time::LOCAL_DATE),
        (None, None, _) => (0, Time::LOCAL_TIME),
    };
    Time::civil(date, clock, minutes, zone)
        .map(|time| Value::Object(crate::value::Object::Time(std::rc::Rc::new(time))))
        .ok_or_else(|| format!("toml: {read} is no moment"))
}
