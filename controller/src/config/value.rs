//! How the text of a configuration value is read. Strict: what could be meant in two ways is refused.

use std::time::Duration;

/// Nanoseconds of each unit of Go's duration syntax. `ms` stands before `m` because the first match wins.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads a duration in Go's syntax: decimal numbers, each with a unit, e.g. `60s`, `1h30m`, `1.5h`, `500ms`, or `0`.
///
/// # Errors
/// In words that complete the sentence "… is not a duration: ".
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| format!("{rest:?} does not begin with a number"))?;
        let Some((unit, scale)) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit)) else {
            return Err(if tail.is_empty() {
                format!("it has no unit; did you mean \"{text}s\"?")
            } else {
                format!("{tail:?} does not begin with a unit (ns, us, ms, s, m, h)")
            });
        };
        nanos += number * scale;
        rest = &tail[unit.len()..];
    }
    Duration::try_from_secs_f64(nanos / 1e9).map_err(|_| "it is too long".to_owned())
}

/// Writes a duration in Go's syntax with the units `h`, `m`, `s` and, below a second, `ms`.
pub fn format_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let mut text = String::new();
    for (unit, amount) in [("h", seconds / 3600), ("m", seconds / 60 % 60), ("s", seconds % 60)] {
        if amount > 0 {
            text.extend([&amount.to_string(), unit]);
        }
    }
    if millis > 0 {
        text.extend([&millis.to_string(), "ms"]);
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads a boolean: `true`, `t`, `yes`, `1`, `false`, `f`, `no` or `0`, in any case.
///
/// # Errors
/// In words that complete the sentence "… is not a boolean: ".
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "1" => Ok(true),
        "false" | "f" | "no" | "0" => Ok(false),
        _ => Err("use true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("60s", 60_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1.5h", 5_400_000)]
    #[case("500ms", 500)]
    #[case("1m0.5s", 60_500)]
    #[case("2000000us", 2_000)]
    #[case("0", 0)]
    #[case("0s", 0)]
    #[case("+5s", 5_000)]
    fn durations_in_go_syntax_are_read(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)));
    }

    #[rstest]
    #[case("60", "no unit")]
    #[case("1h30", "no unit")]
    #[case("", "empty")]
    #[case("-5s", "negative")]
    #[case("s", "number")]
    #[case("5 s", "unit")]
    #[case("5d", "unit")]
    #[case("1.2.3s", "number")]
    #[case("abc", "number")]
    #[case("99999999999999999999999h", "too long")]
    fn other_durations_are_refused_with_the_reason(#[case] text: &str, #[case] reason: &str) {
        let error = parse_duration(text).unwrap_err();
        assert!(error.contains(reason), "{error:?}");
    }

    #[rstest]
    #[case(90_000, "1m30s")]
    #[case(3_600_000, "1h")]
    #[case(1_500, "1s500ms")]
    #[case(0, "0s")]
    fn a_duration_written_is_read_back(#[case] millis: u64, #[case] text: &str) {
        let duration = Duration::from_millis(millis);
        assert_eq!(format_duration(duration), text);
        assert_eq!(parse_duration(text), Ok(duration));
    }

    #[rstest]
    #[case("True", Some(true))]
    #[case("T", Some(true))]
    #[case("1", Some(true))]
    #[case("FALSE", Some(false))]
    #[case("0", Some(false))]
    #[case("yes", Some(true))]
    #[case("No", Some(false))]
    #[case("on", None)]
    #[case("", None)]
    fn booleans_are_read_in_any_case(#[case] text: &str, #[case] expect: Option<bool>) {
        assert_eq!(parse_bool(text).ok(), expect);
    }
}
