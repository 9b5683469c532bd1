//! How long ago, in the short form of `kubectl`.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Age of an object.
pub(super) fn of(object: &Value, now: Timestamp) -> Value {
    since(object["metadata"]["creationTimestamp"].as_str(), now)
}

/// Time since an RFC 3339 time.
pub(super) fn since(time: Option<&str>, now: Timestamp) -> Value {
    let Some(time) = time.and_then(|time| time.parse::<Timestamp>().ok()) else { return json!("<unknown>") };
    json!(short(now.as_second() - time.as_second()))
}

/// Two units where they still matter: `45s`, `9m30s`, `2h5m`, `3d4h`, `120d`.
pub(super) fn short(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |large: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{small_unit}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => pair(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0s")]
    #[case(119, "119s")]
    #[case(150, "2m30s")]
    #[case(540, "9m")]
    #[case(3600, "60m")]
    #[case(3 * 3600 + 300, "3h5m")]
    #[case(24 * 3600, "24h")]
    #[case(3 * 86_400 + 4 * 3600, "3d4h")]
    #[case(400 * 86_400, "400d")]
    #[case(-5, "<invalid>")]
    fn ages_are_short(#[case] seconds: i64, #[case] expected: &str) {
        assert_eq!(short(seconds), expected);
    }
}
