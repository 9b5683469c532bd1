//! Strings: Sprig's, and Go's `print` family.

use super::types::to_string;
use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::gofmt;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("print", 0, None, |call| text(gofmt::sprint(call.arguments))),
    ("println", 0, None, |call| text(gofmt::sprintln(call.arguments))),
    ("printf", 1, None, |call| text(gofmt::sprintf(&call.str(0)?, call.rest(1)))),
    ("html", 0, None, |call| text(gotmpl::html_escape(&gofmt::sprint(call.arguments)))),
    ("urlquery", 0, None, |call| text(gotmpl::url_encode(&gofmt::sprint(call.arguments)))),
    ("quote", 0, None, |call| text(joined(call, gofmt::quote))),
    ("squote", 0, None, |call| text(joined(call, |value| format!("'{value}'")))),
    ("cat", 0, None, |call| text(joined(call, str::to_owned))),
    ("upper", 1, Some(1), |call| text(call.str(0)?.to_uppercase())),
    ("lower", 1, Some(1), |call| text(call.str(0)?.to_lowercase())),
    ("title", 1, Some(1), |call| text(title(&call.str(0)?))),
    ("trim", 1, Some(1), |call| text(call.str(0)?.trim())),
    ("trimAll", 2, Some(2), |call| text(call.str(1)?.trim_matches(|c| call.str(0).is_ok_and(|set| set.contains(c))))),
    ("trimSuffix", 2, Some(2), |call| {
        let (suffix, value) = (call.str(0)?, call.str(1)?);
        text(value.strip_suffix(&*suffix).unwrap_or(&value))
    }),
    ("trimPrefix", 2, Some(2), |call| {
        let (prefix, value) = (call.str(0)?, call.str(1)?);
        text(value.strip_prefix(&*prefix).unwrap_or(&value))
    }),
    ("contains", 2, Some(2), |call| Ok(Value::Bool(call.str(1)?.contains(&*call.str(0)?)))),
    ("hasPrefix", 2, Some(2), |call| Ok(Value::Bool(call.str(1)?.starts_with(&*call.str(0)?)))),
    ("hasSuffix", 2, Some(2), |call| Ok(Value::Bool(call.str(1)?.ends_with(&*call.str(0)?)))),
    ("replace", 3, Some(3), |call| text(call.str(2)?.replace(&*call.str(0)?, &call.str(1)?))),
    ("repeat", 2, Some(2), |call| {
        let count = usize::try_from(call.int(0)?).map_err(|_| Fault::new("negative Repeat count"))?;
        text(call.str(1)?.repeat(count))
    }),
    ("nospace", 1, Some(1), |call| text(call.str(0)?.replace(char::is_whitespace, ""))),
    ("trunc", 2, Some(2), trunc),
    ("substr", 3, Some(3), substr),
    ("abbrev", 2, Some(2), abbrev),
    ("indent", 2, Some(2), |call| text(indent(call.int(0)?, &call.str(1)?))),
    ("nindent", 2, Some(2), |call| text(format!("\n{}", indent(call.int(0)?, &call.str(1)?)))),
    ("splitList", 2, Some(2), |call| Ok(Value::list(split(&call.str(1)?, &call.str(0)?)))),
    ("join", 2, Some(2), |call| {
        let separator = call.str(0)?;
        let parts: Vec<String> = match call.any(1) {
            Value::List(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(to_string).collect(),
            Value::Nil => Vec::new(),
            other => vec![to_string(&other)],
        };
        text(parts.join(&separator))
    }),
    ("base", 1, Some(1), |call| text(base(&call.str(0)?))),
    ("dir", 1, Some(1), |call| text(call.str(0)?.rsplit_once('/').map_or(".", |(dir, _)| dir))),
    ("ext", 1, Some(1), |call| {
        text(
            base(&call.str(0)?)
                .rfind('.')
                .map_or(String::new(), |at| base(&call.str(0).unwrap_or_default())[at..].to_owned()),
        )
    }),
];

/// All arguments but nil, with spaces between.
fn joined(call: &Call<'_>, each: impl Fn(&str) -> String) -> String {
    let present = call.arguments.iter().filter(|value| !matches!(value, Value::Nil));
    present.map(|value| each(&to_string(value))).collect::<Vec<_>>().join(" ")
}

/// Upper case behind everything but letters, digits and underscores, as Go's `strings.Title`: `it's` is `It'S`.
fn title(value: &str) -> String {
    let mut after_separator = true;
    let mut out = String::new();
    for character in value.chars() {
        if after_separator {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
        after_separator = match character {
            ascii if ascii.is_ascii() => !(ascii.is_ascii_alphanumeric() || ascii == '_'),
            other => other.is_whitespace(),
        };
    }
    out
}

/// The first `n` bytes, or the last when `n` is negative.
fn trunc(call: &Call<'_>) -> Result<Value, Fault> {
    let (count, value) = (call.int(0)?, call.str(1)?);
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let bytes = value.as_bytes();
    let part = match count {
        ..0 => &bytes[bytes.len().saturating_sub(size)..],
        _ => &bytes[..size.min(bytes.len())],
    };
    text(String::from_utf8_lossy(part))
}

fn substr(call: &Call<'_>) -> Result<Value, Fault> {
    let (start, end, value) = (call.int(0)?, call.int(1)?, call.str(2)?);
    let length = value.len();
    let from = usize::try_from(start).unwrap_or(0);
    let to = usize::try_from(end).unwrap_or(length).min(length);
    match value.as_bytes().get(from..to) {
        Some(part) => text(String::from_utf8_lossy(part)),
        None => Err(Fault::new("slice bounds out of range")),
    }
}

fn abbrev(call: &Call<'_>) -> Result<Value, Fault> {
    let (width, value) = (usize::try_from(call.int(0)?).unwrap_or(0), call.str(1)?);
    if width < 4 || value.len() <= width {
        return text(&value);
    }
    text(format!("{}...", String::from_utf8_lossy(&value.as_bytes()[..width - 3])))
}

/// Every line gets the spaces, empty ones too.
fn indent(spaces: i64, value: &str) -> String {
    let pad = " ".repeat(usize::try_from(spaces).unwrap_or(0));
    format!("{pad}{}", value.replace('\n', &format!("\n{pad}")))
}

fn split(value: &str, separator: &str) -> Vec<Value> {
    if separator.is_empty() {
        return value.chars().map(|character| Value::str(character.to_string())).collect();
    }
    value.split(separator).map(Value::str).collect()
}

fn base(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".".to_owned(),
        (_, true) => "/".to_owned(),
        _ => trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned(),
    }
}
