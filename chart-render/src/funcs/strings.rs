//! Strings: Sprig's, and Go's `print` family.

use std::fmt::Write as _;
use std::rc::Rc;

use super::types::{to_string, to_strings};
use super::{Call, Entry, text};
use crate::bytes;
use crate::fault::Fault;
use crate::gofmt;
use crate::value::{Object, Value};

pub(super) const TABLE: &[Entry] = &[
    ("print", 0, None, |call| text(gofmt::sprint(call.arguments))),
    ("println", 0, None, |call| text(gofmt::sprintln(call.arguments))),
    ("printf", 1, None, |call| text(gofmt::sprintf(&call.str(0)?, call.rest(1)))),
    ("html", 0, None, |call| text(gotmpl::html_escape(&shown(call)))),
    ("urlquery", 0, None, |call| text(gotmpl::url_encode(&shown(call)))),
    ("quote", 0, None, |call| text(joined(call, gofmt::quote))),
    ("squote", 0, None, |call| text(joined(call, |value| format!("'{value}'")))),
    ("cat", 0, None, |call| text(joined(call, str::to_owned))),
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
    ("nospace", 1, Some(1), |call| text(without_blanks(&call.str(0)?))),
    ("js", 0, None, |call| text(escaped_for_js(&shown(call)))),
    ("split", 2, Some(2), |call| Ok(numbered(&split(&call.str(1)?, &call.str(0)?, None)))),
    ("splitn", 3, Some(3), |call| {
        // A negative count means all, and zero nothing.
        let limit = usize::try_from(call.int(1)?).ok();
        Ok(numbered(&split(&call.str(2)?, &call.str(0)?, limit)))
    }),
    ("plural", 3, Some(3), |call| text(if call.int(2)? == 1 { call.str(0)? } else { call.str(1)? })),
    ("hello", 0, Some(0), |_| text("Hello!")),
    ("splitList", 2, Some(2), |call| Ok(Value::list(split(&call.str(1)?, &call.str(0)?, None)))),
    ("join", 2, Some(2), |call| {
        let separator = call.str(0)?;
        text(to_strings(&call.any(1)).join(&separator))
    }),
];

/// The arguments as an action shows them: nothing is `<no value>`.
fn shown(call: &Call<'_>) -> String {
    let show = |value: &Value| if matches!(value, Value::Nil) { Value::str("<no value>") } else { value.clone() };
    gofmt::sprint(&call.arguments.iter().map(show).collect::<Vec<_>>())
}

/// All arguments but nil, with spaces between.
fn joined(call: &Call<'_>, each: impl Fn(&str) -> String) -> String {
    let present = call.arguments.iter().filter(|value| !matches!(value, Value::Nil));
    present.map(|value| each(&to_string(value))).collect::<Vec<_>>().join(" ")
}

/// The parts between separators, the last one with all that is left; between characters when there is no separator.
fn split(value: &str, separator: &str, limit: Option<usize>) -> Vec<Value> {
    if separator.is_empty() {
        let mut characters = value.chars();
        let singles = limit.map_or(usize::MAX, |limit| limit.saturating_sub(1));
        let mut parts: Vec<Value> =
            characters.by_ref().take(singles).map(|character| Value::str(character.to_string())).collect();
        if !characters.as_str().is_empty() && limit != Some(0) {
            parts.push(Value::str(characters.as_str()));
        }
        return parts;
    }
    match limit {
        None => value.split(separator).map(Value::str).collect(),
        Some(limit) => value.splitn(limit, separator).map(Value::str).collect(),
    }
}

/// Sprig takes each byte for a character here, and only gives the text back unharmed when it removes nothing.
fn without_blanks(value: &str) -> String {
    let bytes = bytes::of(value);
    let kept: Vec<char> = bytes.iter().map(|byte| char::from(*byte)).filter(|byte| !byte.is_whitespace()).collect();
    if kept.len() == bytes.len() { value.to_owned() } else { kept.into_iter().collect() }
}

/// Text fit for a JavaScript string.
fn escaped_for_js(value: &str) -> String {
    let mut out = String::new();
    for character in value.chars() {
        match character {
            '\\' | '\'' | '"' => out.extend(['\\', character]),
            // Writing to a String does not fail.
            '<' | '>' | '&' | '=' | '\0'..' ' => drop(write!(out, "\\u{:04X}", u32::from(character))),
            other => out.push(other),
        }
    }
    out
}

/// `{_0: a, _1: b}`.
fn numbered(parts: &[Value]) -> Value {
    let numbered = parts.iter().enumerate().map(|(index, part)| (format!("_{index}"), to_string(part)));
    Value::Object(Object::Texts(Rc::new(numbered.collect())))
}
