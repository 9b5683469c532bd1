//! Go's `fmt` for template values: `%v`, `print` and `printf`, mistakes included.
//!
//! Go never fails here: a verb that does not fit prints `%!d(string=x)`, and charts with such a mistake render that.

mod printf;

use std::fmt::Write as _;

pub(crate) use printf::sprintf;

use crate::bytes;
use crate::numbers;
use crate::value::{Object, Value};

/// `%v`, and what `{{ value }}` and `toString` print for everything but nil.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) | Value::Int64(value) => value.to_string(),
        Value::Float(value) => numbers::format_g(*value),
        Value::Str(text) => text.to_string(),
        Value::List(items) => bracket("", items.iter().map(display)),
        Value::Map(map) => bracket("map", map.borrow().iter().map(|(key, value)| format!("{key}:{}", display(value)))),
        Value::Object(Object::KubeVersion(kube)) => kube.version.clone(),
        Value::Object(Object::Version(version)) => version.to_string(),
        Value::Object(Object::Time(time)) => time.to_string(),
        Value::Object(Object::Struct(object)) => {
            let fields: Vec<String> = object.fields.iter().map(|(_, _, value)| display(value)).collect();
            format!("{{{}}}", fields.join(" "))
        }
        Value::Object(Object::Texts(texts)) => bracket("map", texts.iter().map(|(key, text)| format!("{key}:{text}"))),
        Value::Object(Object::ApiVersions(versions)) => bracket("", versions.iter().cloned()),
        Value::Object(Object::Files(files)) => bracket(
            "map",
            files.iter().map(|(name, data)| format!("{name}:{}", bracket("", data.iter().map(u8::to_string)))),
        ),
    }
}

fn bracket(prefix: &str, parts: impl Iterator<Item = String>) -> String {
    format!("{prefix}[{}]", parts.collect::<Vec<_>>().join(" "))
}

/// `print`: a space between two operands when neither is a string.
pub(crate) fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        let is_string = |value: &Value| matches!(value, Value::Str(_));
        if index > 0 && !is_string(value) && !is_string(&values[index - 1]) {
            out.push(' ');
        }
        out.push_str(&display(value));
    }
    out
}

/// `println`: a space between all operands and a line break.
pub(crate) fn sprintln(values: &[Value]) -> String {
    let mut out = values.iter().map(display).collect::<Vec<_>>().join(" ");
    out.push('\n');
    out
}

/// `%q` of a string: Go syntax in double quotes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            other if bytes::stray(other).is_some() => {
                let _ = write!(out, "\\x{:02x}", bytes::stray(other).unwrap_or(0));
            }
            other if other == ' ' || is_go_printable(other) => out.push(other),
            other => {
                let code = u32::from(other);
                // Writing to a String does not fail.
                let _ = match code {
                    0..=0x7f => write!(out, "\\x{code:02x}"),
                    0x80..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// An approximation of Go's `strconv.IsPrint` that is exact for ASCII and for what Rust itself calls printable.
fn is_go_printable(character: char) -> bool {
    match character {
        '\'' => true,
        ascii if ascii.is_ascii() => ascii.is_ascii_graphic(),
        other => !other.is_whitespace() && other.escape_debug().count() == 1,
    }
}
