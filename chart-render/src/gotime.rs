//! Moments and durations as Go's `time` has them, for the date functions of charts.

mod layout;
mod parse;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

/// A moment in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Time {
    moment: Zoned,
    /// The name of a zone that only its offset is known of; empty for none.
    fixed_name: Option<String>,
}

impl Time {
    /// The zones of TOML's times that name none: of a date with a time, a date, a time.
    pub(crate) const LOCAL_DATETIME: &'static str = "datetime-local";
    pub(crate) const LOCAL_DATE: &'static str = "date-local";
    pub(crate) const LOCAL_TIME: &'static str = "time-local";

    /// Year, month, day; hour, minute, second, nanosecond; the zone's distance to UTC in minutes and its name. None when
    /// the calendar has no such day.
    pub(crate) fn civil(
        (year, month, day): (u16, u8, u8),
        (hour, minute, second, nanosecond): (u8, u8, u8, u32),
        minutes: i16,
        zone: &str,
    ) -> Option<Self> {
        let small = |number: u8| i8::try_from(number).ok();
        let date = jiff::civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
        // A leap second is the last second of its minute.
        let second = small(second.min(59))?;
        let clock =
            jiff::civil::Time::new(small(hour)?, small(minute)?, second, i32::try_from(nanosecond).ok()?).ok()?;
        let offset = Offset::from_seconds(i32::from(minutes) * 60).ok()?;
        let moment = date.to_datetime(clock).to_zoned(TimeZone::fixed(offset)).ok()?.timestamp();
        Some(Self::fixed(moment, offset, zone))
    }

    /// As TOML has it.
    pub(crate) fn toml(&self) -> String {
        match self.fixed_name.as_deref() {
            Some(Self::LOCAL_DATETIME) => self.format("2006-01-02T15:04:05.999999999"),
            Some(Self::LOCAL_DATE) => self.format("2006-01-02"),
            Some(Self::LOCAL_TIME) => self.format("15:04:05.999999999"),
            _ => self.rfc3339(),
        }
    }

    pub(crate) fn now() -> Self {
        Self::at(Timestamp::now(), TimeZone::system())
    }

    /// Seconds since 1970, in local time.
    pub(crate) fn unix(seconds: i64) -> Option<Self> {
        Timestamp::from_second(seconds).ok().map(|moment| Self::at(moment, TimeZone::system()))
    }

    /// What Go gives for a text that is no date.
    pub(crate) fn zero() -> Self {
        let moment = jiff::civil::date(1, 1, 1).to_zoned(TimeZone::UTC).map(|moment| moment.timestamp());
        Self::at(moment.unwrap_or(Timestamp::UNIX_EPOCH), TimeZone::UTC)
    }

    fn at(moment: Timestamp, zone: TimeZone) -> Self {
        Self { moment: moment.to_zoned(zone), fixed_name: None }
    }

    fn fixed(moment: Timestamp, offset: Offset, name: &str) -> Self {
        Self { moment: moment.to_zoned(TimeZone::fixed(offset)), fixed_name: Some(name.to_owned()) }
    }

    /// The same moment elsewhere: `Local`, `UTC` or a name of the time zone database; UTC when it is unknown.
    pub(crate) fn in_zone(&self, name: &str) -> Self {
        let zone = match name {
            "Local" => TimeZone::system(),
            "" | "UTC" => TimeZone::UTC,
            other => TimeZone::get(other).unwrap_or(TimeZone::UTC),
        };
        Self { moment: self.moment.with_time_zone(zone), fixed_name: None }
    }

    pub(crate) fn add(&self, duration: SignedDuration) -> Option<Self> {
        let moment = self.moment.checked_add(duration).ok()?;
        Some(Self { moment, fixed_name: self.fixed_name.clone() })
    }

    /// Time from this moment to now.
    pub(crate) fn age(&self) -> SignedDuration {
        Timestamp::now().duration_since(self.moment.timestamp())
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.moment.timestamp().as_second()
    }

    pub(crate) fn moment(&self) -> &Zoned {
        &self.moment
    }

    /// Name of the zone; of an unnamed one its offset.
    fn zone_name(&self) -> String {
        match &self.fixed_name {
            Some(name) if !name.is_empty() => name.clone(),
            Some(_) => layout::offset(self.moment.offset().seconds(), false, 2),
            None => self.moment.strftime("%Z").to_string(),
        }
    }

    /// The time by a layout such as `2006-01-02T15:04:05Z07:00`.
    pub(crate) fn format(&self, layout: &str) -> String {
        layout::format(self, layout)
    }

    /// The reverse of [`Time::format`]; a text without a zone is local time.
    pub(crate) fn parse(layout: &str, text: &str) -> Result<Self, String> {
        parse::parse(layout, text)
            .ok_or_else(|| format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as {layout:?}"))
    }

    /// As JSON has it.
    pub(crate) fn rfc3339(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

/// A duration as Go writes it: `1h30m0s`, `1.5s`, `250ms`.
pub(crate) fn duration_text(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let nanos = duration.as_nanos().unsigned_abs();
    let fraction = |value: u128, unit: u128| {
        let text = format!("{}.{:0width$}", value / unit, value % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let rest = fraction(nanos % 60_000_000_000, 1_000_000_000);
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, minutes) => format!("{sign}{minutes}m{rest}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

/// Reads a duration as Go does: `-1h30m`, `1.5s`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    let mut whole = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|character: char| !(character.is_ascii_digit() || character == '.'))?;
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        match number.parse::<i128>() {
            Ok(number) => whole = whole.checked_add(number.checked_mul(nanos)?)?,
            #[expect(clippy::cast_precision_loss, reason = "a unit has at most 13 digits")]
            Err(_) => total += number.parse::<f64>().ok()? * nanos as f64,
        }
        rest = behind;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a part of a nanosecond is dropped, as in Go")]
    let nanos = i64::try_from(whole.checked_add(total as i128)?).ok()?;
    Some(SignedDuration::from_nanos(if negative { -nanos } else { nanos }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_like_go() {
        for (text, canonical) in
            [("90m", "1h30m0s"), ("-1.5h", "-1h30m0s"), ("1500ms", "1.5s"), ("250us", "250µs"), ("0", "0s")]
        {
            assert_eq!(parse_duration(text).map(duration_text).as_deref(), Some(canonical), "{text}");
        }
        assert!(parse_duration("5").is_none());
        assert!(parse_duration("5x").is_none());
    }

    #[test]
    fn layouts_read_and_write_like_go() {
        let time = Time::parse("02/01/2006 15:04:05.000 -0700", "05/06/2021 07:08:09.123 +0200").expect("date");
        assert_eq!(time.to_string(), "2021-06-05 07:08:09.123 +0200 +0200");
        assert_eq!(
            time.format("Monday, 2 January 2006 3:04PM .0 .999 Z07 002 Janet"),
            "Saturday, 5 June 2021 7:08AM .1 .123 +02 156 Janet"
        );
        assert_eq!(time.in_zone("UTC").rfc3339(), "2021-06-05T05:08:09.123Z");
        assert!(Time::parse("2006-01-02", "2023-02-29").is_err());
    }
}
