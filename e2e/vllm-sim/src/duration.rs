//! Durations as people write them: `5s`, `250ms`, `1m30s`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration; write a number with a unit (ms, s, m, h), for example 500ms, 5s or 1m30s")]
pub struct InvalidDuration {
    text: String,
}

/// Parses one or more numbers, each with a unit of `ms`, `s`, `m` or `h`. A bare `0` is allowed, any other number
/// without a unit is not.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| InvalidDuration { text: text.to_owned() })
}

/// Writes a duration the way [`parse`] reads it, in seconds or milliseconds.
pub fn format(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::seconds("5s", Some(5000))]
    #[case::milliseconds("250ms", Some(250))]
    #[case::fraction("1.5s", Some(1500))]
    #[case::compound("1m30s", Some(90_000))]
    #[case::bare_zero("0", Some(0))]
    #[case::bare_number("5", None)]
    #[case::unknown_unit("5d", None)]
    #[case::negative("-5s", None)]
    #[case::empty("", None)]
    #[case::unit_only("s", None)]
    fn a_duration_needs_a_unit(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(parse(text).ok(), millis.map(Duration::from_millis));
    }
}
