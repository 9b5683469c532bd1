//! Go's layouts: a date is written as the moment Mon Jan 2 15:04:05 MST 2006 would be.

use std::fmt::Write as _;

use super::Time;

/// A piece of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(char),
    Year,
    ShortYear,
    Month,
    ShortMonth,
    MonthNumber {
        padded: bool,
    },
    Weekday,
    ShortWeekday,
    Day {
        pad: Option<char>,
    },
    YearDay {
        pad: char,
    },
    Hour,
    Hour12 {
        padded: bool,
    },
    Minute {
        padded: bool,
    },
    Second {
        padded: bool,
    },
    Meridiem {
        upper: bool,
    },
    Zone,
    /// `Z` stands for UTC where `zulu`; `colon` between hours, minutes and seconds.
    Offset {
        zulu: bool,
        colon: bool,
        parts: u8,
    },
    /// Digits behind a point or comma; trailing zeros are left out where not `fixed`.
    Fraction {
        separator: char,
        digits: usize,
        fixed: bool,
    },
}

const FIXED: &[(&str, Piece)] = &[
    ("January", Piece::Month),
    ("Monday", Piece::Weekday),
    ("MST", Piece::Zone),
    ("2006", Piece::Year),
    ("002", Piece::YearDay { pad: '0' }),
    ("__2", Piece::YearDay { pad: ' ' }),
    ("01", Piece::MonthNumber { padded: true }),
    ("02", Piece::Day { pad: Some('0') }),
    ("03", Piece::Hour12 { padded: true }),
    ("04", Piece::Minute { padded: true }),
    ("05", Piece::Second { padded: true }),
    ("06", Piece::ShortYear),
    ("15", Piece::Hour),
    ("PM", Piece::Meridiem { upper: true }),
    ("pm", Piece::Meridiem { upper: false }),
    ("-07:00:00", Piece::Offset { zulu: false, colon: true, parts: 3 }),
    ("-070000", Piece::Offset { zulu: false, colon: false, parts: 3 }),
    ("-07:00", Piece::Offset { zulu: false, colon: true, parts: 2 }),
    ("-0700", Piece::Offset { zulu: false, colon: false, parts: 2 }),
    ("-07", Piece::Offset { zulu: false, colon: false, parts: 1 }),
    ("Z07:00:00", Piece::Offset { zulu: true, colon: true, parts: 3 }),
    ("Z070000", Piece::Offset { zulu: true, colon: false, parts: 3 }),
    ("Z07:00", Piece::Offset { zulu: true, colon: true, parts: 2 }),
    ("Z0700", Piece::Offset { zulu: true, colon: false, parts: 2 }),
    ("Z07", Piece::Offset { zulu: true, colon: false, parts: 1 }),
    ("1", Piece::MonthNumber { padded: false }),
    ("2", Piece::Day { pad: None }),
    ("3", Piece::Hour12 { padded: false }),
    ("4", Piece::Minute { padded: false }),
    ("5", Piece::Second { padded: false }),
];

/// Takes a layout apart.
pub(super) fn pieces(layout: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let (piece, length) = piece(rest, first);
        pieces.push(piece);
        rest = &rest[length..];
    }
    pieces
}

fn piece(rest: &str, first: char) -> (Piece, usize) {
    if let Some((word, piece)) = FIXED.iter().find(|(word, _)| rest.starts_with(word)) {
        return (*piece, word.len());
    }
    // `Jan` and `Mon` within a longer word are text: `Janet`, `Money`.
    let ends = |at: usize| !rest[at..].starts_with(|next: char| next.is_ascii_lowercase());
    if rest.starts_with("Jan") && ends(3) {
        return (Piece::ShortMonth, 3);
    }
    if rest.starts_with("Mon") && ends(3) {
        return (Piece::ShortWeekday, 3);
    }
    if rest.starts_with("_2") && !rest.starts_with("_2006") {
        return (Piece::Day { pad: Some(' ') }, 2);
    }
    if matches!(first, '.' | ',') {
        let digits = &rest[1..];
        for digit in ['0', '9'] {
            let count = digits.len() - digits.trim_start_matches(digit).len();
            let ends = !digits[count..].starts_with(|next: char| next.is_ascii_digit());
            if count > 0 && ends {
                return (Piece::Fraction { separator: first, digits: count, fixed: digit == '0' }, 1 + count);
            }
        }
    }
    (Piece::Text(first), first.len_utf8())
}

/// Writes a time by a layout.
pub(super) fn format(time: &Time, layout: &str) -> String {
    let mut out = String::new();
    for piece in pieces(layout) {
        write(time, piece, &mut out);
    }
    out
}

fn write(time: &Time, piece: Piece, out: &mut String) {
    let moment = time.moment();
    let hour12 = (moment.hour() + 11) % 12 + 1;
    // Writing to a String does not fail.
    let _ = match piece {
        Piece::Text(character) => {
            out.push(character);
            Ok(())
        }
        Piece::Year => write!(out, "{:04}", moment.year()),
        Piece::ShortYear => write!(out, "{:02}", moment.year().rem_euclid(100)),
        Piece::Month => write!(out, "{}", moment.strftime("%B")),
        Piece::ShortMonth => write!(out, "{}", moment.strftime("%b")),
        Piece::MonthNumber { padded: true } => write!(out, "{:02}", moment.month()),
        Piece::MonthNumber { padded: false } => write!(out, "{}", moment.month()),
        Piece::Weekday => write!(out, "{}", moment.strftime("%A")),
        Piece::ShortWeekday => write!(out, "{}", moment.strftime("%a")),
        Piece::Day { pad: None } => write!(out, "{}", moment.day()),
        Piece::Day { pad: Some('0') } => write!(out, "{:02}", moment.day()),
        Piece::Day { pad: Some(_) } => write!(out, "{:2}", moment.day()),
        Piece::YearDay { pad: '0' } => write!(out, "{:03}", moment.day_of_year()),
        Piece::YearDay { .. } => write!(out, "{:3}", moment.day_of_year()),
        Piece::Hour => write!(out, "{:02}", moment.hour()),
        Piece::Hour12 { padded: true } => write!(out, "{hour12:02}"),
        Piece::Hour12 { padded: false } => write!(out, "{hour12}"),
        Piece::Minute { padded: true } => write!(out, "{:02}", moment.minute()),
        Piece::Minute { padded: false } => write!(out, "{}", moment.minute()),
        Piece::Second { padded: true } => write!(out, "{:02}", moment.second()),
        Piece::Second { padded: false } => write!(out, "{}", moment.second()),
        Piece::Meridiem { upper } => out.write_str(match (moment.hour() < 12, upper) {
            (true, true) => "AM",
            (true, false) => "am",
            (false, true) => "PM",
            (false, false) => "pm",
        }),
        Piece::Zone => out.write_str(&time.zone_name()),
        Piece::Offset { zulu: true, .. } if moment.offset().seconds() == 0 => out.write_str("Z"),
        Piece::Offset { colon, parts, .. } => out.write_str(&offset(moment.offset().seconds(), colon, parts)),
        Piece::Fraction { separator, digits, fixed } => {
            let nanos = format!("{:09}", moment.subsec_nanosecond());
            let shown = &nanos[..digits.min(9)];
            let shown = if fixed { shown } else { shown.trim_end_matches('0') };
            if shown.is_empty() { Ok(()) } else { write!(out, "{separator}{shown}") }
        }
    };
}

/// `+02:00`, `+0200`, `+02`.
pub(super) fn offset(seconds: i32, colon: bool, parts: u8) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.abs();
    let numbers = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    let shown: Vec<String> = numbers[..usize::from(parts)].iter().map(|number| format!("{number:02}")).collect();
    format!("{sign}{}", shown.join(if colon { ":" } else { "" }))
}
