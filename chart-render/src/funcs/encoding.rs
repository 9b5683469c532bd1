//! YAML, JSON, base64 and digests.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use serde_json::{Map, Value as Json};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::{Object, Value};
use crate::{bytes, numbers, yaml};

pub(super) const TABLE: &[Entry] = &[
    ("toYaml", 1, Some(1), |call| text(yaml::to_yaml(&call.any(0).to_json()))),
    ("fromYaml", 1, Some(1), |call| Ok(from(yaml::parse(&call.str(0)?), THROUGH_YAML))),
    ("fromYamlArray", 1, Some(1), |call| Ok(from_array(yaml::parse(&call.str(0)?), THROUGH_YAML))),
    ("toJson", 1, Some(1), to_json),
    ("toRawJson", 1, Some(1), |call| text(json(&call.any(0), None))),
    ("toPrettyJson", 1, Some(1), |call| text(escape_html(&json(&call.any(0), Some(0))))),
    ("fromJson", 1, Some(1), |call| Ok(from(parse_json(call)?, ""))),
    ("mustFromJson", 1, Some(1), |call| parse_json(call)?.map(wide).map_err(Fault::new)),
    ("fromJsonArray", 1, Some(1), |call| Ok(from_array(parse_json(call)?, ""))),
    ("toYamlPretty", 1, Some(1), |call| text(yaml::to_yaml_pretty(&call.any(0).to_json()))),
    ("b64enc", 1, Some(1), |call| text(STANDARD.encode(bytes::of(&call.str(0)?)))),
    ("b64dec", 1, Some(1), |call| match STANDARD.decode(without_breaks(&call.str(0)?)) {
        Ok(decoded) => text(bytes::to_text(&decoded)),
        // Sprig hands back the message where the text should be.
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => {
            text(format!("illegal base64 data at input byte {at}"))
        }
        Err(_) => text(format!("illegal base64 data at input byte {}", call.str(0)?.len())),
    }),
    ("b32enc", 1, Some(1), |call| text(base32(&bytes::of(&call.str(0)?)))),
    ("b32dec", 1, Some(1), |call| {
        text(match base32_decoded(&without_breaks(&call.str(0)?)) {
            Ok(decoded) => bytes::to_text(&decoded),
            Err(at) => format!("illegal base32 data at input byte {at}"),
        })
    }),
    ("sha1sum", 1, Some(1), |call| text(format!("{:x}", Sha1::digest(bytes::of(&call.str(0)?))))),
    ("sha256sum", 1, Some(1), |call| text(format!("{:x}", Sha256::digest(bytes::of(&call.str(0)?))))),
    ("sha512sum", 1, Some(1), |call| text(format!("{:x}", Sha512::digest(bytes::of(&call.str(0)?))))),
    ("adler32sum", 1, Some(1), |call| text(adler32(&bytes::of(&call.str(0)?)).to_string())),
];

/// Go's decoders pass over line breaks.
fn without_breaks(text: &str) -> Vec<u8> {
    bytes::of(text).iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Five bytes become eight letters, the last group is filled up with `=`.
fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(5) {
        let mut padded = [0_u8; 5];
        padded[..group.len()].copy_from_slice(group);
        let bits = padded.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        let letters = (group.len() * 8).div_ceil(5);
        for index in 0..8 {
            let letter = BASE32[usize::try_from((bits >> (35 - 5 * index)) & 31).unwrap_or(0)];
            out.push(if index < letters { char::from(letter) } else { '=' });
        }
    }
    out
}

/// The bytes, or the place of the first letter that is none.
fn base32_decoded(text: &[u8]) -> Result<Vec<u8>, usize> {
    let known = |letter: &u8| *letter == b'=' || BASE32.contains(letter);
    if let Some(at) = text.iter().position(|letter| !known(letter)) {
        return Err(at);
    }
    let letters = text.iter().rposition(|letter| *letter != b'=').map_or(0, |last| last + 1);
    if !text.len().is_multiple_of(8) || matches!(letters % 8, 1 | 3 | 6) || text.len() - letters > 7 {
        return Err(text.len());
    }
    let mut out = Vec::new();
    for (group, letters) in text[..letters].chunks(8).enumerate() {
        let mut bits = 0_u64;
        for (index, letter) in letters.iter().enumerate() {
            let value = BASE32.iter().position(|known| known == letter).ok_or(group * 8 + index)?;
            bits |= (value as u64) << (35 - 5 * index);
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + letters.len() * 5 / 8]);
    }
    Ok(out)
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % MODULUS;
        (a, (b + a) % MODULUS)
    });
    (b << 16) | a
}

fn to_json(call: &Call<'_>) -> Result<Value, Fault> {
    text(escape_html(&json(&call.any(0), None)))
}

fn parse_json(call: &Call<'_>) -> Result<Result<Json, String>, Fault> {
    Ok(serde_json::from_str(&call.str(0)?).map_err(|error| error.to_string()))
}

fn wide(mut json: Json) -> Value {
    numbers::widen(&mut json);
    Value::from_json(&json)
}

/// What stands before a message about JSON that was YAML.
const THROUGH_YAML: &str = "error unmarshaling JSON: while decoding JSON: ";

/// Helm's `from…` functions never fail: the message goes under the key `Error`.
fn from(parsed: Result<Json, String>, context: &str) -> Value {
    match parsed {
        Ok(Json::Null) => Value::map([]),
        Ok(json @ Json::Object(_)) => wide(json),
        Ok(other) => error_map(&mismatch(&other, context, "map[string]interface {}")),
        Err(message) => error_map(&message),
    }
}

fn error_map(message: &str) -> Value {
    Value::map([("Error".to_owned(), Value::str(message))])
}

fn from_array(parsed: Result<Json, String>, context: &str) -> Value {
    match parsed {
        Ok(Json::Null) => Value::list(Vec::new()),
        Ok(json @ Json::Array(_)) => wide(json),
        Ok(other) => Value::list(vec![Value::str(mismatch(&other, context, "[]interface {}"))]),
        Err(message) => Value::list(vec![Value::str(message)]),
    }
}

fn mismatch(json: &Json, context: &str, wanted: &str) -> String {
    let kind = match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    format!("{context}json: cannot unmarshal {kind} into Go value of type {wanted}")
}

/// Go's encoder also escapes what could end a script element.
fn escape_html(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// JSON with Go's numbers; `depth` indents by two spaces.
fn json(value: &Value, depth: Option<usize>) -> String {
    write_json(&value.to_json(), value, depth)
}

fn write_json(json: &Json, value: &Value, depth: Option<usize>) -> String {
    let deeper = depth.map(|depth| depth + 1);
    let line = |depth: Option<usize>| depth.map_or(String::new(), |depth| format!("\n{}", "  ".repeat(depth)));
    match (json, value) {
        (_, Value::Float(float)) => numbers::format_json(*float),
        (Json::Array(items), Value::List(values)) if !items.is_empty() => {
            let parts: Vec<String> = items
                .iter()
                .zip(values.iter())
                .map(|(item, value)| format!("{}{}", line(deeper), write_json(item, value, deeper)))
                .collect();
            format!("[{}{}]", parts.join(","), line(depth))
        }
        (Json::Object(map), Value::Map(values)) if !map.is_empty() => {
            let values = values.borrow();
            let separator = if depth.is_some() { ": " } else { ":" };
            let parts: Vec<String> = map
                .iter()
                .filter_map(|(key, item)| {
                    let inner = write_json(item, values.get(key)?, deeper);
                    Some(format!("{}{}{separator}{inner}", line(deeper), go_string(key)))
                })
                .collect();
            format!("{{{}{}}}", parts.join(","), line(depth))
        }
        (Json::Object(_), Value::Object(Object::Texts(texts))) if !texts.is_empty() => {
            let map = Value::map(texts.iter().map(|(key, text)| (key.clone(), Value::str(text))));
            write_json(json, &map, depth)
        }
        // A struct keeps the order of its fields.
        (_, Value::Object(Object::Struct(object))) => {
            let field = |(_, key, value): &(&str, &str, Value)| {
                format!("{}:{}", go_string(key), write_json(&value.to_json(), value, None))
            };
            format!("{{{}}}", object.fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        (_, Value::Object(Object::KubeVersion(kube))) => {
            let [version, major, minor] = [&kube.version, &kube.major, &kube.minor].map(|part| go_string(part));
            format!("{{\"Version\":{version},\"Major\":{major},\"Minor\":{minor}}}")
        }
        (Json::String(text), _) => go_string(text),
        (Json::Object(map), _) if map.is_empty() => Json::Object(Map::new()).to_string(),
        (other, _) => other.to_string(),
    }
}

/// Go escapes the two line separators of Unicode as well, and replaces what is no UTF-8.
fn go_string(text: &str) -> String {
    let quoted = Json::from(text).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    if !bytes::has_any(&quoted) {
        return quoted;
    }
    let escaped = |character: char| bytes::stray(character).map_or(String::from(character), |_| "\\ufffd".to_owned());
    quoted.chars().map(escaped).collect()
}
