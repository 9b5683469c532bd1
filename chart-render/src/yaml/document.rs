//! Reads YAML into JSON by Helm's rules.
//!
//! Keys become strings after YAML has read them: `n:` is `"false"` and `1:` is `"1"`; only quotes keep them as they
//! are. Of two equal keys the last one counts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Options};

use super::quick;
use crate::numbers;

/// The documents of a stream, by the lines `---` between them.
pub(crate) fn documents(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let mut at = 0;
        for line in current.split_inclusive('\n') {
            if at > 0 && line.strip_prefix("---").is_some_and(|behind| behind.trim().is_empty()) {
                rest = Some(&current[at + line.len()..]);
                return Some(&current[..at]);
            }
            at += line.len();
        }
        rest = None;
        Some(current)
    })
}

/// Reads the first document, whatever stands behind it; an empty one is null.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    quick::parse(text).map_or_else(|| parse_in_full(first_document(text)), Ok)
}

/// The text up to the line that ends its first document: `...`, or the `---` of the next one.
fn first_document(text: &str) -> &str {
    let is_mark = |line: &str, mark: &str| {
        line.strip_prefix(mark).is_some_and(|behind| behind.is_empty() || behind.starts_with([' ', '\t', '\r', '\n']))
    };
    let (mut begun, mut at) = (false, 0);
    for line in text.split_inclusive('\n') {
        let starts = is_mark(line, "---");
        if begun && (starts || is_mark(line, "...")) {
            return &text[..at];
        }
        // Comments and directives before the first mark belong to the document behind it.
        begun |= starts || !(line.trim().is_empty() || line.starts_with(['#', '%', '\u{feff}']));
        at += line.len();
    }
    text
}

/// Stands behind the last character of a text to see what that belongs to.
const MARK: &str = "\u{e000}";

/// Reads text as templates build it, which may end within a block scalar: without a line break at the very end such a
/// scalar has none either.
pub(crate) fn parse_fragment(text: &str) -> Result<Json, String> {
    if !text.ends_with('\n') && text.contains(['|', '>']) {
        let marked = parse(&format!("{text}{MARK}"));
        if let Some(json) = marked.ok().and_then(|mut json| cut_mark(&mut json).then_some(json)) {
            return Ok(json);
        }
    }
    parse(text)
}

/// Takes the mark and the line break that the reader has put behind it off the one text that ends so.
fn cut_mark(json: &mut Json) -> bool {
    match json {
        Json::String(text) => match text.strip_suffix('\n').and_then(|text| text.strip_suffix(MARK)) {
            Some(inside) => {
                text.truncate(inside.len());
                true
            }
            None => false,
        },
        Json::Array(items) => items.iter_mut().any(cut_mark),
        Json::Object(map) => map.values_mut().any(cut_mark),
        _ => false,
    }
}

/// Reads one document of any YAML.
pub(super) fn parse_in_full(text: &str) -> Result<Json, String> {
    let mut options = Options::default();
    options.legacy_octal_numbers = true;
    options.emit_comments = false;
    // The visitor below sees every entry, so the last of two equal keys counts.
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    // It also merges what `<<` names where that stands, as go-yaml does. In quotes it is a key like any other.
    options.merge_keys = MergeKeyPolicy::AsOrdinary;
    let text = if text.contains("\"<<\"") || text.contains("'<<'") {
        Cow::Owned(text.replace("\"<<\"", &format!("\"{QUOTED}<<\"")).replace("'<<'", &format!("'{QUOTED}<<'")))
    } else {
        Cow::Borrowed(text)
    };
    let document: Document = serde_saphyr::from_str_with_options(&text, options).map_err(|error| error.to_string())?;
    Ok(document.0)
}

/// Stands before a `<<` in quotes.
const QUOTED: char = '\u{e001}';

struct Document(Json);

struct DocumentVisitor;

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom(format!("{value} is no JSON number")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Document(item)) = items.next_element()? {
            list.push(without_mark(item));
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some((Document(key), Document(value))) = entries.next_entry()? {
            let key = match key {
                Json::String(text) if text == "<<" => {
                    merge(&mut map, value).map_err(A::Error::custom)?;
                    continue;
                }
                Json::String(text) if text.contains(QUOTED) => text.replace(QUOTED, ""),
                Json::String(text) => text,
                Json::Bool(flag) => flag.to_string(),
                Json::Number(number) => match number.as_f64() {
                    Some(float) if number.is_f64() => numbers::format_g(float),
                    _ => number.to_string(),
                },
                other => return Err(A::Error::custom(format!("unsupported map key: {other}"))),
            };
            map.insert(key, without_mark(value));
        }
        Ok(Json::Object(map))
    }
}

fn without_mark(value: Json) -> Json {
    match value {
        Json::String(text) if text.contains(QUOTED) => Json::String(text.replace(QUOTED, "")),
        other => other,
    }
}

/// The entries of one map, or of several of which the first wins, over those that stand before.
fn merge(map: &mut Map<String, Json>, value: Json) -> Result<(), &'static str> {
    match value {
        Json::Object(other) => map.extend(other),
        Json::Array(others) => {
            for other in others.into_iter().rev() {
                let Json::Object(other) = other else { return Err(NO_MAP) };
                map.extend(other);
            }
        }
        _ => return Err(NO_MAP),
    }
    Ok(())
}

const NO_MAP: &str = "map merge requires map or sequence of maps as the value";
