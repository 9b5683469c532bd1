//! Durations on the command line (`90s`, `1m30s`) and ages in tables (`12s`, `3h`).

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Reads a duration with a unit; `0` needs none.
///
/// # Errors
/// When the text is no duration, with a sentence that says what one looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wanted = || "give a number with a unit, such as 500ms, 90s or 1m30s".to_owned();
    if text.parse::<f64>().is_ok() {
        return Err(format!("the unit is missing: did you mean {text}s?"));
    }
    let parsed: SignedDuration = text.parse().map_err(|_| wanted())?;
    Duration::try_from(parsed).map_err(|_| wanted())
}

/// As [`parse`], but a bare number counts seconds: so `--request-timeout` has it in kubectl.
///
/// # Errors
/// As [`parse`].
pub fn parse_as_kubectl(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs).or_else(|_| parse(text))
}

/// Reads how far to look back: a duration above 0 and up to a year.
///
/// # Errors
/// As [`parse`], and when it is out of these limits.
pub fn look_back(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    let length = parse(text)?;
    if length.is_zero() || length > LONGEST {
        return Err("give a time above 0 and up to a year, such as 2h".to_owned());
    }
    Ok(length)
}

/// A time of day as a clock of `zone` shows it; with the date when that is more than half a day from `now`.
pub fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let far = now.duration_since(at).abs() > SignedDuration::from_hours(12);
    at.to_zoned(zone.clone()).strftime(if far { "%m-%d %H:%M" } else { "%T" }).to_string()
}

/// The time from `then` to `now` in its largest unit, as kubectl shows ages: 119 s are `1m`.
/// A `then` in the future (clocks differ) is `0s`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", Some(Duration::ZERO))]
    #[case("60s", Some(Duration::from_mins(1)))]
    #[case("1m30s", Some(Duration::from_secs(90)))]
    #[case("500ms", Some(Duration::from_millis(500)))]
    #[case("30", None)]
    #[case("-5s", None)]
    #[case("soon", None)]
    fn a_duration_has_a_unit(#[case] text: &str, #[case] expect: Option<Duration>) {
        assert_eq!(parse(text).ok(), expect, "{:?}", parse(text));
    }

    #[test]
    fn a_look_back_is_neither_nothing_nor_for_ever() {
        assert_eq!(look_back("24h"), Ok(Duration::from_hours(24)));
        for text in ["0", "9000h", "1", "-1h"] {
            assert!(look_back(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bare_number_counts_seconds_where_kubectl_has_it_so() {
        assert_eq!(parse_as_kubectl("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_as_kubectl("1m"), Ok(Duration::from_mins(1)));
        assert!(parse_as_kubectl("-1").is_err());
    }

    #[rstest]
    #[case(-3, "0s")]
    #[case(59, "59s")]
    #[case(119, "1m")]
    #[case(7_200, "2h")]
    #[case(200_000, "2d")]
    fn an_age_is_given_in_its_largest_unit(#[case] seconds: i64, #[case] expect: &str) {
        let then = Timestamp::from_second(1_000_000).unwrap();
        assert_eq!(age(then, then + SignedDuration::from_secs(seconds)), expect);
    }
}
