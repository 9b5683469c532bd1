//! Dates and durations. `now` reads the clock, so that a chart which prints it renders differently every time, with
//! helm as with us.

use std::rc::Rc;

use jiff::SignedDuration;

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::gotime::{Time, duration_text, parse_duration};
use crate::value::{Object, Value};

pub(super) const TABLE: &[Entry] = &[
    ("now", 0, Some(0), |_| Ok(value(Time::now()))),
    ("date", 2, Some(2), |call| in_zone(call, &call.str(0)?, 1, "Local")),
    ("dateInZone", 3, Some(3), |call| in_zone(call, &call.str(0)?, 1, &call.str(2)?)),
    ("htmlDate", 1, Some(1), |call| in_zone(call, "2006-01-02", 0, "Local")),
    ("htmlDateInZone", 2, Some(2), |call| in_zone(call, "2006-01-02", 0, &call.str(1)?)),
    ("toDate", 2, Some(2), |call| {
        Ok(value(Time::parse(&call.str(0)?, &call.str(1)?).unwrap_or_else(|_| Time::zero())))
    }),
    ("mustToDate", 2, Some(2), |call| Time::parse(&call.str(0)?, &call.str(1)?).map(value).map_err(Fault::new)),
    ("dateModify", 2, Some(2), |call| Ok(modified(call)?.unwrap_or_else(|| call.any(1)))),
    ("mustDateModify", 2, Some(2), |call| {
        let duration = call.str(0)?;
        modified(call)?.ok_or_else(|| Fault::new(format!("time: invalid duration {duration:?}")))
    }),
    ("unixEpoch", 1, Some(1), |call| text(time(call, 0)?.seconds().to_string())),
    ("ago", 1, Some(1), |call| {
        let age = moment(&call.any(0)).age();
        text(duration_text(SignedDuration::from_secs(age.as_secs() + i64::from(age.subsec_nanos() >= 500_000_000))))
    }),
    ("duration", 1, Some(1), |call| {
        let seconds = match call.any(0) {
            Value::Str(text) => text.parse().unwrap_or(0),
            Value::Int64(seconds) => seconds,
            _ => 0,
        };
        text(duration_text(SignedDuration::from_secs(seconds)))
    }),
    ("durationRound", 1, Some(1), |call| {
        let duration = match call.any(0) {
            Value::Str(text) => parse_duration(&text).unwrap_or_default(),
            Value::Int64(nanos) => SignedDuration::from_nanos(nanos),
            Value::Object(Object::Time(time)) => time.age(),
            _ => SignedDuration::ZERO,
        };
        text(rounded(duration))
    }),
];

fn value(time: Time) -> Value {
    Value::Object(Object::Time(Rc::new(time)))
}

fn time(call: &Call<'_>, index: usize) -> Result<Rc<Time>, Fault> {
    match call.any(index) {
        Value::Object(Object::Time(time)) => Ok(time),
        other => Err(super::wrong_type("time.Time", &other)),
    }
}

/// A time, or whole seconds since 1970; for anything else Sprig takes the present.
fn moment(value: &Value) -> Time {
    let given = match value {
        Value::Object(Object::Time(time)) => Some((**time).clone()),
        Value::Int(seconds) | Value::Int64(seconds) => Time::unix(*seconds),
        _ => None,
    };
    given.unwrap_or_else(Time::now)
}

fn in_zone(call: &Call<'_>, layout: &str, index: usize, zone: &str) -> Result<Value, Fault> {
    text(moment(&call.any(index)).in_zone(zone).format(layout))
}

/// None when the duration cannot be read.
fn modified(call: &Call<'_>) -> Result<Option<Value>, Fault> {
    let time = time(call, 1)?;
    Ok(parse_duration(&call.str(0)?).and_then(|duration| time.add(duration)).map(value))
}

/// The largest unit that fits more than once.
fn rounded(duration: SignedDuration) -> String {
    const HOUR: u64 = 3600;
    let nanos = duration.as_nanos().unsigned_abs();
    let units = [(365 * 24 * HOUR, "y"), (30 * 24 * HOUR, "mo"), (24 * HOUR, "d"), (HOUR, "h"), (60, "m"), (1, "s")];
    let fits = units.iter().find(|(seconds, _)| nanos > u128::from(*seconds) * 1_000_000_000);
    fits.map_or("0s".to_owned(), |(seconds, unit)| format!("{}{unit}", nanos / (u128::from(*seconds) * 1_000_000_000)))
}

/// Methods of a time.
pub(crate) fn method(time: &Rc<Time>, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    let moment = time.moment();
    let int = |number: i64| Ok(Value::Int(number));
    match (name, arguments) {
        ("Format", [Value::Str(layout)]) => text(time.format(layout)),
        ("String", []) => text(time.to_string()),
        ("Unix", []) => Ok(Value::Int64(time.seconds())),
        ("UnixMilli", []) => Ok(Value::Int64(moment.timestamp().as_millisecond())),
        ("UTC", []) => Ok(value(time.in_zone("UTC"))),
        ("Local", []) => Ok(value(time.in_zone("Local"))),
        ("Year", []) => int(moment.year().into()),
        ("Day", []) => int(moment.day().into()),
        ("YearDay", []) => int(moment.day_of_year().into()),
        ("Hour", []) => int(moment.hour().into()),
        ("Minute", []) => int(moment.minute().into()),
        ("Second", []) => int(moment.second().into()),
        // A Go type of its own that prints as its name.
        ("Month", []) => text(time.format("January")),
        ("Weekday", []) => text(time.format("Monday")),
        _ => Err(Fault::new(format!(
            "chart-render has no method {name} of time.Time with {} arguments",
            arguments.len()
        ))),
    }
}
