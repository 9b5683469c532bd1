//! Reads a date by a layout.

use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{Offset, TimeZone};

use super::Time;
use super::layout::{Piece, pieces};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What a text said, with Go's values for what it did not say.
struct Found {
    year: i16,
    month: i8,
    day: i8,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    zone: Option<String>,
}

pub(super) fn parse(layout: &str, text: &str) -> Option<Time> {
    let mut found = Found {
        year: 0,
        month: 1,
        day: 1,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanos: 0,
        afternoon: None,
        offset: None,
        zone: None,
    };
    let pieces = pieces(layout);
    let mut rest = text;
    for (index, piece) in pieces.iter().enumerate() {
        rest = found.take(*piece, rest)?;
        let seconds = matches!(piece, Piece::Second { .. });
        if seconds && !matches!(pieces.get(index + 1), Some(Piece::Fraction { .. })) {
            // Fractions are read even where the layout has none.
            rest = found.take_fraction(rest).unwrap_or(rest);
        }
    }
    if rest.is_empty() { found.time() } else { None }
}

impl Found {
    /// Reads one piece from the front of the text; what is left comes back.
    fn take<'t>(&mut self, piece: Piece, text: &'t str) -> Option<&'t str> {
        let (value, rest) = match piece {
            Piece::Text(' ') => return Some(text.trim_start_matches(' ')),
            Piece::Text(character) => return text.strip_prefix(character),
            Piece::Month => name(&MONTHS, usize::MAX, text)?,
            Piece::ShortMonth => name(&MONTHS, 3, text)?,
            Piece::Weekday => return name(&WEEKDAYS, usize::MAX, text).map(|(_, rest)| rest),
            Piece::ShortWeekday => return name(&WEEKDAYS, 3, text).map(|(_, rest)| rest),
            Piece::Year => number(text, 4, 4)?,
            Piece::YearDay { .. } => number(text.trim_start_matches(' '), 1, 3)?,
            Piece::ShortYear
            | Piece::MonthNumber { padded: true }
            | Piece::Day { pad: Some('0') }
            | Piece::Hour12 { padded: true }
            | Piece::Minute { padded: true }
            | Piece::Second { padded: true } => number(text, 2, 2)?,
            Piece::Hour
            | Piece::MonthNumber { .. }
            | Piece::Hour12 { .. }
            | Piece::Minute { .. }
            | Piece::Second { .. } => number(text, 1, 2)?,
            Piece::Day { .. } => number(text.trim_start_matches(' '), 1, 2)?,
            Piece::Meridiem { upper } => {
                let word = text.get(..2)?;
                self.afternoon = match (word, upper) {
                    ("AM", true) | ("am", false) => Some(false),
                    ("PM", true) | ("pm", false) => Some(true),
                    _ => return None,
                };
                return Some(&text[2..]);
            }
            Piece::Zone => return self.take_zone(text),
            Piece::Offset { zulu, colon, parts } => return self.take_offset(text, zulu, colon, parts),
            Piece::Fraction { digits, fixed: true, .. } => {
                let end = 1 + digits;
                let behind = text.get(end..)?;
                return self.take_fraction(&text[..end]).filter(|left| left.is_empty()).map(|_| behind);
            }
            Piece::Fraction { .. } => return Some(self.take_fraction(text).unwrap_or(text)),
        };
        let small = i8::try_from(value);
        match piece {
            Piece::Year => self.year = i16::try_from(value).ok()?,
            Piece::ShortYear => self.year = i16::try_from(value + if value >= 69 { 1900 } else { 2000 }).ok()?,
            Piece::Month | Piece::ShortMonth | Piece::MonthNumber { .. } => self.month = small.ok()?,
            Piece::YearDay { .. } => self.year_day = i16::try_from(value).ok(),
            Piece::Day { .. } => self.day = small.ok()?,
            Piece::Minute { .. } => self.minute = small.ok()?,
            Piece::Second { .. } => self.second = small.ok()?,
            _ => self.hour = small.ok()?,
        }
        Some(rest)
    }

    fn take_fraction<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let digits = text.strip_prefix(['.', ','])?;
        let count = digits.len() - digits.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        if count == 0 {
            return None;
        }
        self.nanos = format!("{:0<9}", &digits[..count.min(9)]).parse().ok()?;
        Some(&digits[count..])
    }

    /// An abbreviation of three or four capitals; only `UTC` says more than its name.
    fn take_zone<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let count = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_uppercase()).len();
        if !(3..=5).contains(&count) {
            return None;
        }
        let (name, rest) = text.split_at(count);
        if name == "UTC" {
            self.offset = Some(0);
        }
        self.zone = Some(name.to_owned());
        Some(rest)
    }

    fn take_offset<'t>(&mut self, text: &'t str, zulu: bool, colon: bool, parts: u8) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix('Z').filter(|_| zulu) {
            self.offset = Some(0);
            self.zone = Some("UTC".to_owned());
            return Some(rest);
        }
        let (sign, mut rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let mut seconds = 0;
        for (index, unit) in [3600, 60, 1].into_iter().take(usize::from(parts)).enumerate() {
            if colon && index > 0 {
                rest = rest.strip_prefix(':')?;
            }
            let (value, behind) = number(rest, 2, 2)?;
            seconds += unit * i32::try_from(value).ok()?;
            rest = behind;
        }
        self.offset = Some(sign * seconds);
        Some(rest)
    }

    fn time(self) -> Option<Time> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?,
            None => Date::new(self.year, self.month, self.day).ok()?,
        };
        let clock = Clock::new(hour, self.minute, self.second, self.nanos).ok()?;
        let civil = DateTime::from_parts(date, clock);
        match (self.offset, self.zone) {
            (Some(0), zone) if zone.as_deref().is_none_or(|name| name == "UTC") => {
                Some(Time { moment: civil.to_zoned(TimeZone::UTC).ok()?, fixed_name: None })
            }
            (Some(seconds), zone) => {
                let offset = Offset::from_seconds(seconds).ok()?;
                let moment = offset.to_timestamp(civil).ok()?;
                // Go keeps the local zone's name when the local zone has that offset then.
                let local = moment.to_zoned(TimeZone::system());
                match zone {
                    None if local.offset() == offset => Some(Time { moment: local, fixed_name: None }),
                    zone => Some(Time::fixed(moment, offset, zone.as_deref().unwrap_or(""))),
                }
            }
            (None, Some(zone)) => {
                let local = civil.to_zoned(TimeZone::system()).ok()?;
                if local.strftime("%Z").to_string() == zone {
                    return Some(Time { moment: local, fixed_name: None });
                }
                Some(Time::fixed(Offset::UTC.to_timestamp(civil).ok()?, Offset::UTC, &zone))
            }
            (None, None) => Some(Time { moment: civil.to_zoned(TimeZone::system()).ok()?, fixed_name: None }),
        }
    }
}

fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// Position of a name from 1, whatever its case; names may be cut to `length`.
fn name<'t>(names: &[&str], length: usize, text: &'t str) -> Option<(i64, &'t str)> {
    for (position, name) in (1..).zip(names) {
        let wanted = &name[..length.min(name.len())];
        if text.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted)) {
            return Some((position, &text[wanted.len()..]));
        }
    }
    None
}
