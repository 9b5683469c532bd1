//! Scalars and keys whose meaning is beyond doubt.

use serde_json::{Number, Value as Json};

/// Longer keys are errors in YAML.
const LONGEST_KEY: usize = 200;

/// The key at the beginning of a line, and what stands behind its colon.
pub(super) fn key(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (key, rest) = if let Some(quote) = quote {
        let (key, rest) = text[1..].split_once(quote)?;
        let rest = rest.strip_prefix(':').filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
        (Some(key).filter(|key| !key.contains('\\'))?, rest)
    } else {
        let end = text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
        let key = &text[..end];
        let word = key.bytes().all(is_plain) && matches!(plain_scalar(key), Some(Json::String(_)));
        (Some(key).filter(|_| word)?, &text[end + 1..])
    };
    (key.len() <= LONGEST_KEY).then(|| (key, rest.trim_start_matches(' ')))
}

/// A scalar that takes the rest of a line, which is not empty; a comment may follow.
pub(super) fn scalar(text: &str) -> Option<Json> {
    match text.as_bytes()[0] {
        b'"' => quoted(text, '"'),
        b'\'' => quoted(text, '\''),
        b'[' => list(without_comment(text)),
        b'{' => (without_comment(text) == "{}").then(|| Json::Object(serde_json::Map::new())),
        _ => {
            let text = without_comment(text);
            if text.contains(": ") || text.ends_with(':') { None } else { plain_scalar(text) }
        }
    }
}

fn without_comment(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(text, _)| text).trim_end_matches(' ')
}

fn quoted(text: &str, quote: char) -> Option<Json> {
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find([quote, '\\'])?;
        value.push_str(&rest[..end]);
        rest = &rest[end..];
        if let Some(escaped) = rest.strip_prefix('\\') {
            let (character, taken) = match (quote, escaped.as_bytes().first()?) {
                ('\'', _) => ('\\', 0),
                (_, b'"') => ('"', 1),
                (_, b'\\') => ('\\', 1),
                (_, b'n') => ('\n', 1),
                _ => return None,
            };
            value.push(character);
            rest = &escaped[taken..];
            continue;
        }
        rest = &rest[1..];
        if quote == '\'' && rest.starts_with(quote) {
            value.push(quote);
            rest = &rest[1..];
            continue;
        }
        let behind = rest.trim_start_matches(' ');
        return (behind.is_empty() || (behind.starts_with('#') && behind.len() < rest.len()))
            .then_some(Json::String(value));
    }
}

/// `[a, "b"]` of plain words and quoted text without commas.
fn list(text: &str) -> Option<Json> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    if inside.trim_matches(' ').is_empty() {
        return Some(Json::Array(Vec::new()));
    }
    let item = |item: &str| {
        let item = item.trim_matches(' ');
        match item.strip_prefix('"') {
            Some(quoted) => {
                let text = quoted.strip_suffix('"').filter(|text| !text.contains(['"', '\\']))?;
                Some(Json::from(text))
            }
            None => plain_scalar(item).filter(|_| item.bytes().all(is_plain)),
        }
    };
    inside.split(',').map(item).collect::<Option<_>>().map(Json::Array)
}

/// Characters that mean nothing anywhere.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
}

fn plain_scalar(text: &str) -> Option<Json> {
    let (first, rest) = text.as_bytes().split_first()?;
    match first {
        b'/' | b'_' => Some(Json::from(text)),
        b'~' if rest.is_empty() => Some(Json::Null),
        b'-' => match rest.first()? {
            byte if byte.is_ascii_alphabetic() => Some(Json::from(text)),
            b'-' if rest.get(1).is_some_and(u8::is_ascii_alphabetic) => Some(Json::from(text)),
            _ => number(text),
        },
        b'0'..=b'9' => number(text).or_else(|| is_no_number(text).then(|| Json::from(text))),
        byte if byte.is_ascii_alphabetic() => word(text),
        _ => None,
    }
}

fn word(text: &str) -> Option<Json> {
    match text {
        "true" => Some(Json::Bool(true)),
        "false" => Some(Json::Bool(false)),
        "null" => Some(Json::Null),
        _ => {
            let special = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
            let special = text.len() <= 5 && special.iter().any(|word| text.eq_ignore_ascii_case(word));
            (!special).then(|| Json::from(text))
        }
    }
}

/// Decimal numbers as most people write them.
fn number(text: &str) -> Option<Json> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_decimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 15 || !is_decimal(whole) || !is_decimal(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if digits.len() > whole.len() {
        return text.parse().ok().and_then(Number::from_f64).map(Json::Number);
    }
    // `-0` is 0 to some and a float to others.
    text.parse::<i64>().ok().filter(|value| *value != 0 || text == "0").map(Json::from)
}

/// Whether a text that begins with a digit is no number or time in any notation.
fn is_no_number(text: &str) -> bool {
    let is_version = || {
        let mut parts = text.split('.');
        text.split('.').count() > 2
            && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let tells = |byte: u8| match byte.to_ascii_lowercase() {
        b'/' | b'%' => true,
        // Exponents and times; behind a zero also digits and marks of other bases.
        b'e' | b't' | b'z' => false,
        b'a'..=b'f' | b'o' | b'x' => !text.starts_with('0'),
        letter => letter.is_ascii_alphabetic(),
    };
    text.bytes().any(tells) || is_version()
}
