//! YAML, JSON, base64 and digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256, Sha512};

use super::{Call, Entry, text};
use crate::fault::Fault;
use crate::value::Value;
use crate::{numbers, yaml};

pub(super) const TABLE: &[Entry] = &[
    ("toYaml", 1, Some(1), |call| text(yaml::to_yaml(&call.any(0).to_json()))),
    ("fromYaml", 1, Some(1), |call| Ok(from(yaml::parse(&call.str(0)?), Json::is_object))),
    ("fromYamlArray", 1, Some(1), |call| Ok(from_array(yaml::parse(&call.str(0)?)))),
    ("toJson", 1, Some(1), to_json),
    ("toRawJson", 1, Some(1), |call| text(json(&call.any(0), None))),
    ("toPrettyJson", 1, Some(1), |call| text(escape_html(&json(&call.any(0), Some(0))))),
    ("fromJson", 1, Some(1), |call| Ok(from(parse_json(call)?, Json::is_object))),
    ("mustFromJson", 1, Some(1), |call| parse_json(call)?.map(wide).map_err(Fault::new)),
    ("fromJsonArray", 1, Some(1), |call| Ok(from_array(parse_json(call)?))),
    ("b64enc", 1, Some(1), |call| text(STANDARD.encode(call.str(0)?.as_bytes()))),
    ("b64dec", 1, Some(1), |call| match STANDARD.decode(call.str(0)?.as_bytes()) {
        Ok(bytes) => text(String::from_utf8_lossy(&bytes)),
        // Sprig hands back the message where the text should be.
        Err(error) => text(error.to_string()),
    }),
    ("sha256sum", 1, Some(1), |call| text(format!("{:x}", Sha256::digest(call.str(0)?.as_bytes())))),
    ("sha512sum", 1, Some(1), |call| text(format!("{:x}", Sha512::digest(call.str(0)?.as_bytes())))),
    ("adler32sum", 1, Some(1), |call| text(adler32(call.str(0)?.as_bytes()).to_string())),
];

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

/// Helm's `from…` functions never fail: the message goes under the key `Error`.
fn from(parsed: Result<Json, String>, fits: fn(&Json) -> bool) -> Value {
    match parsed {
        Ok(Json::Null) => Value::map([]),
        Ok(json) if fits(&json) => wide(json),
        Ok(_) => Value::map([("Error".to_owned(), Value::str("error unmarshaling: not an object"))]),
        Err(message) => Value::map([("Error".to_owned(), Value::str(message))]),
    }
}

fn from_array(parsed: Result<Json, String>) -> Value {
    match parsed {
        Ok(Json::Null) => Value::list(Vec::new()),
        Ok(json) if json.is_array() => wide(json),
        Ok(_) => Value::list(vec![Value::str("error unmarshaling: not a list")]),
        Err(message) => Value::list(vec![Value::str(message)]),
    }
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
        (Json::String(text), _) => go_string(text),
        (Json::Object(map), _) if map.is_empty() => Json::Object(Map::new()).to_string(),
        (other, _) => other.to_string(),
    }
}

/// Go escapes the two line separators of Unicode as well.
fn go_string(text: &str) -> String {
    Json::from(text).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}
