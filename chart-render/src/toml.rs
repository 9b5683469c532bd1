//! TOML as Go's `BurntSushi/toml` writes it, which is what `toToml` prints: keys in their order, those with a scalar or a
//! list first, tables behind them, two spaces for each level.

use std::fmt::Write as _;

use crate::numbers;
use crate::value::{Object, Value};

/// What TOML can say of a value.
enum Node {
    Nothing,
    /// A scalar, written out.
    Word(String),
    List(Vec<Self>),
    Table(Vec<(String, Self)>),
}

/// The text; the message where there is none. Nothing has no TOML.
pub(crate) fn to_toml(value: &Value) -> Result<String, &'static str> {
    let node = Node::of(value);
    if node.is_tables() {
        return Err("toml: top-level values must be Go maps or structs");
    }
    if node.has_holes() {
        return Err("toml: cannot encode array with nil element");
    }
    let mut out = String::new();
    match node {
        Node::Table(entries) => write_table(&mut out, &mut Vec::new(), &entries),
        other => write_inline(&mut out, &other),
    }
    Ok(out)
}

impl Node {
    fn of(value: &Value) -> Self {
        let texts = |texts: &[String]| Self::List(texts.iter().map(|text| Self::Word(quoted(text))).collect());
        match value {
            Value::Nil => Self::Nothing,
            Value::Bool(flag) => Self::Word(flag.to_string()),
            Value::Int(integer) | Value::Int64(integer) => Self::Word(integer.to_string()),
            Value::Float(float) => Self::Word(float_text(*float)),
            Value::Str(text) => Self::Word(quoted(text)),
            Value::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Map(map) => {
                Self::Table(map.borrow().iter().map(|(key, value)| (key.clone(), Self::of(value))).collect())
            }
            Value::Object(object) => match object {
                Object::ApiVersions(versions) => texts(versions),
                // The annotations of a chart that has none.
                Object::Texts(map) if map.is_empty() => Self::Nothing,
                Object::Texts(map) => {
                    Self::Table(map.iter().map(|(key, text)| (key.clone(), Self::Word(quoted(text)))).collect())
                }
                // Go has a list of bytes there.
                Object::Files(files) => {
                    let bytes = |data: &[u8]| data.iter().map(|byte| Self::Word(byte.to_string())).collect();
                    Self::Table(files.iter().map(|(path, data)| (path.clone(), Self::List(bytes(data)))).collect())
                }
                Object::KubeVersion(kube) => {
                    let fields = [("Version", &kube.version), ("Major", &kube.major), ("Minor", &kube.minor)];
                    Self::Table(fields.map(|(name, text)| (name.to_owned(), Self::Word(quoted(text)))).into())
                }
                Object::Struct(object) => {
                    let field = |(name, _, value): &(&str, &str, Value)| ((*name).to_owned(), Self::of(value));
                    Self::Table(object.fields.iter().map(field).collect())
                }
                Object::Version(version) => Self::Word(quoted(&version.to_string())),
                Object::Time(time) => Self::Word(time.toml()),
            },
        }
    }

    /// Whether it is a list of tables and of nothing else, which has a notation of its own.
    fn is_tables(&self) -> bool {
        matches!(self, Self::List(items) if !items.is_empty() && items.iter().all(|item| matches!(item, Self::Table(_))))
    }

    /// Whether a list somewhere in it holds nothing at a place.
    fn has_holes(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(|item| matches!(item, Self::Nothing) || item.has_holes()),
            Self::Table(entries) => entries.iter().any(|(_, node)| node.has_holes()),
            Self::Nothing | Self::Word(_) => false,
        }
    }

    /// Whether it stands behind the scalars of its table.
    fn is_behind(&self) -> bool {
        matches!(self, Self::Table(_)) || self.is_tables()
    }
}

fn write_table(out: &mut String, path: &mut Vec<String>, entries: &[(String, Node)]) {
    let (behind, before): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, node)| node.is_behind());
    for (key, node) in before.into_iter().chain(behind) {
        path.push(key_text(key));
        let indent = "  ".repeat(path.len() - 1);
        match node {
            Node::Nothing => {}
            Node::Table(entries) => {
                if path.len() == 1 {
                    blank_line(out);
                }
                let _ = writeln!(out, "{indent}[{}]", path.join("."));
                write_table(out, path, entries);
            }
            Node::List(tables) if node.is_tables() => {
                for table in tables {
                    blank_line(out);
                    let _ = writeln!(out, "{indent}[[{}]]", path.join("."));
                    if let Node::Table(entries) = table {
                        write_table(out, path, entries);
                    }
                }
            }
            other => {
                let _ = write!(out, "{indent}{} = ", key_text(key));
                write_inline(out, other);
                out.push('\n');
            }
        }
        path.pop();
    }
}

fn blank_line(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

/// On one line, within a list.
fn write_inline(out: &mut String, node: &Node) {
    match node {
        Node::Nothing => {}
        Node::Word(word) => *out += word,
        Node::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                *out += if index > 0 { ", " } else { "" };
                write_inline(out, item);
            }
            out.push(']');
        }
        Node::Table(entries) => {
            let (behind, before): (Vec<_>, Vec<_>) = entries.iter().partition(|(_, node)| node.is_behind());
            let last = entries.len().saturating_sub(1);
            out.push('{');
            for (index, (key, node)) in before.into_iter().chain(behind).enumerate() {
                if matches!(node, Node::Nothing) {
                    continue;
                }
                let _ = write!(out, "{} = ", key_text(key));
                write_inline(out, node);
                // Where nothing is last, a comma stays behind, as in Go.
                *out += if index < last { ", " } else { "" };
            }
            out.push('}');
        }
    }
}

fn key_text(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// The shortest digits, with a point or an exponent.
fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = numbers::format_g(float);
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}
