//! Request bodies: JSON, YAML and the Kubernetes protobuf envelope, all to the same JSON value.

mod places;

use bytes::Bytes;
use serde_json::Value;

pub(super) use self::places::{Places, places};
use super::failure::Failure;
use super::protobuf;

/// A body, and what a map of its fields does not show.
#[derive(Debug, Clone, Default)]
pub(super) struct Decoded {
    pub(super) value: Value,
    /// Fields that are given twice, in the words of whoever reads such bodies.
    pub(super) twice: Vec<String>,
    /// The text, where fields have an order.
    pub(super) json: Option<Bytes>,
}

impl Decoded {
    fn plain(value: Value) -> Self {
        Self { value, ..Self::default() }
    }
}

/// Decodes the object in the body of a request that is about one of `kind`.
pub(super) fn decode(content_type: &str, body: &Bytes, kind: &str) -> Result<Decoded, Failure> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let known = ["", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
    if !body.is_empty()
        && !known.contains(&media_type)
        && !media_type.ends_with("patch+json")
        && !media_type.ends_with("+yaml")
    {
        return Err(unsupported_media_type());
    }
    parse(media_type, body).map_err(|fault| match fault {
        Fault::Refused(failure) => failure,
        Fault::Json(text) => unrecognized(kind, &format!("json parse error: {text}"), &shown(body, media_type)),
        Fault::Yaml(text) => Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): yaml: {text} ({})",
            shown(body, media_type)
        )),
    })
}

fn unrecognized(kind: &str, why: &str, body: &str) -> Failure {
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; {why} ({body})"
    ))
}

/// A body as such messages show it.
fn shown(body: &[u8], media_type: &str) -> String {
    match body {
        [] => "<empty>".to_owned(),
        [first, ..] if *first == b'{' && !media_type.contains("yaml") => String::from_utf8_lossy(body).into_owned(),
        _ => hex(&body[..body.len().min(32)]),
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Decodes the body of a patch.
pub(super) fn decode_patch(content_type: &str, body: &Bytes) -> Result<Decoded, Failure> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    parse(media_type, body).map_err(|fault| match fault {
        Fault::Refused(failure) => failure,
        Fault::Json(text) => Failure::bad_request(format!("error decoding patch: {text}")),
        Fault::Yaml(text) => Failure::bad_request(format!("error decoding YAML: {text}")),
    })
}

/// Decodes the options of a deletion; an empty body is `Null`.
pub(super) fn decode_options(content_type: &str, body: &Bytes) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    parse(media_type, body).map(|decoded| decoded.value).map_err(|fault| match fault {
        Fault::Refused(failure) => failure,
        Fault::Json(text) => Failure::bad_request(format!("couldn't get version/kind; json parse error: {text}")),
        Fault::Yaml(text) => Failure::bad_request(format!("couldn't get version/kind; yaml: {text}")),
    })
}

/// Why a body cannot be read.
enum Fault {
    Refused(Failure),
    Json(String),
    Yaml(String),
}

fn parse(media_type: &str, body: &Bytes) -> Result<Decoded, Fault> {
    if media_type == "application/vnd.kubernetes.protobuf" {
        let decoded = protobuf::decode(body).map(Decoded::plain);
        return decoded.map_err(|why| Fault::Refused(Failure::bad_request(why)));
    }
    if media_type.ends_with("cbor") {
        return Err(Fault::Refused(unsupported_media_type()));
    }
    // Apply patches and unlabelled bodies may be YAML; JSON is tried first because it is what clients send.
    if media_type.contains("yaml") || media_type.is_empty() {
        return json(body).or_else(|_| yaml(body)).map_err(|error| Fault::Yaml(first_words(&error)));
    }
    json(body).map_err(|error| Fault::Json(go_json_error(body, &error)))
}

fn json(body: &Bytes) -> Result<Decoded, serde_json::Error> {
    let (value, doubled) = places::parse(body)?;
    let twice = if doubled { places(body).twice } else { Vec::new() };
    let twice = twice.iter().map(|field| format!("duplicate field {field:?}")).collect();
    Ok(Decoded { value, twice, json: Some(body.clone()) })
}

/// YAML, of whose doubled keys the first is told.
fn yaml(body: &[u8]) -> Result<Decoded, String> {
    let first = serde_saphyr::from_slice(body);
    let error = match first {
        Ok(value) => return Ok(Decoded::plain(value)),
        Err(error) => error.to_string(),
    };
    let Some((_, key)) = error.lines().next().unwrap_or_default().split_once("duplicate mapping key: ") else {
        return Err(error);
    };
    let key = key.split(", set ").next().unwrap_or(key);
    let line = error.split_once("line ").and_then(|(_, rest)| rest.split([' ', ',', ':']).next()).unwrap_or_default();
    let twice = vec![format!("line {line}: key {:?} already set in map", key.trim())];
    let options = serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    let value = serde_saphyr::from_slice_with_options(body, options).map_err(|error| error.to_string())?;
    Ok(Decoded { value, twice, json: None })
}

/// The sentence of a YAML error, without the place and the picture of it.
fn first_words(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    match line.strip_prefix("error: line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, sentence)) => sentence.to_owned(),
        None => line.to_owned(),
    }
}

/// A JSON error in the words of Go's decoder, as far as they follow from the place.
fn go_json_error(body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    if error.is_eof() || body.is_empty() {
        return "unexpected end of JSON input".to_owned();
    }
    let at = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let odd = at.chars().nth(error.column().saturating_sub(1)).unwrap_or('?');
    let what = error.to_string();
    if what.starts_with("expected ident") {
        let literals = ["null", "true", "false"];
        if let Some((word, index)) = literals.iter().find_map(|word| {
            let trimmed = text.trim_start();
            let matching = trimmed.chars().zip(word.chars()).take_while(|(a, b)| a == b).count();
            (matching > 0).then_some((word, matching))
        }) {
            let odd = text.trim_start().chars().nth(index).unwrap_or('?');
            let wanted = word.chars().nth(index).unwrap_or('?');
            return format!("invalid character {odd:?} in literal {word} (expecting {wanted:?})");
        }
    }
    let place = if what.starts_with("key must be a string") {
        "looking for beginning of object key string"
    } else if what.starts_with("trailing characters") {
        "after top-level value"
    } else if what.starts_with("expected `,` or `}`") {
        "after object key:value pair"
    } else if what.starts_with("expected `,` or `]`") {
        "after array element"
    } else if what.starts_with("expected `:`") {
        "after object key"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character {odd:?} {place}")
}

pub(super) fn unsupported_media_type() -> Failure {
    Failure::new(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf",
    )
}

/// Removes `null` members, which mean the same as absent ones in every built-in type.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Bytes of which this stands in JSON; `None` when it is no base64.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Bytes as they stand in JSON.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
