//! Kubernetes protobuf: what typed Go clients (`kubectl create`, helm's releases, controllers) send and like best to get.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown`; the object in it is decoded along [`tables`]. What a table does
//! not know is refused rather than dropped: a lost field would be a silent change of the object.

mod encode;
mod tables;
mod wire;

use serde_json::{Map, Value, json};

pub(super) use self::encode::{encode, encodes, frame};
use self::tables::{Field, Kind, message};
use self::wire::{Payload, fields};
use super::body::base64;

/// The four bytes every Kubernetes protobuf body starts with.
const MAGIC: &[u8] = b"k8s\0";

/// Decodes the envelope and the object in it.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let unknown = body.strip_prefix(MAGIC).ok_or("the body does not start with the Kubernetes protobuf prefix")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &unknown[..0]);
    for (number, payload) in fields(unknown)? {
        match (number, payload) {
            (1, Payload::Bytes(type_meta)) => {
                for (number, payload) in fields(type_meta)? {
                    match (number, payload) {
                        (1, Payload::Bytes(text)) => api_version = string(text)?,
                        (2, Payload::Bytes(text)) => kind = string(text)?,
                        _ => {}
                    }
                }
            }
            (2, Payload::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let table = tables::root(&api_version, &kind)
        .ok_or_else(|| format!("no decoder for protobuf bodies of kind {kind} in {api_version}: send JSON"))?;
    let mut object = object(table, raw, &kind)?;
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

fn string(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a string is not UTF-8".to_owned())
}

fn object(table: &[Field], bytes: &[u8], at: &str) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    for (number, payload) in fields(bytes)? {
        let Some((_, name, kind)) = table.iter().find(|(known, ..)| *known == number) else {
            return Err(format!("no decoder for protobuf field {number} of {at}: send JSON"));
        };
        insert(&mut out, name, *kind, payload, &format!("{at}.{name}"))?;
    }
    Ok(out)
}

fn insert(out: &mut Map<String, Value>, name: &str, kind: Kind, payload: Payload<'_>, at: &str) -> Result<(), String> {
    let misfit = || format!("protobuf field {at} has an unexpected wire type");
    match (kind, payload) {
        (Kind::Text, Payload::Bytes(bytes)) => {
            // Go's encoder writes empty strings, JSON leaves them out.
            if !bytes.is_empty() {
                out.insert(name.to_owned(), json!(string(bytes)?));
            }
        }
        (Kind::Bytes, Payload::Bytes(bytes)) => drop(out.insert(name.to_owned(), json!(base64(bytes)))),
        (Kind::Bool, Payload::Number(number)) => {
            if number != 0 {
                out.insert(name.to_owned(), json!(true));
            }
        }
        (Kind::Flag, Payload::Number(number)) => drop(out.insert(name.to_owned(), json!(number != 0))),
        (Kind::Number, Payload::Number(number)) => {
            if number != 0 {
                out.insert(name.to_owned(), json!(number.cast_signed()));
            }
        }
        (Kind::Count, Payload::Number(number)) => drop(out.insert(name.to_owned(), json!(number.cast_signed()))),
        (Kind::Numbers, Payload::Number(number)) => push(out, name, json!(number.cast_signed())),
        (Kind::Texts, Payload::Bytes(bytes)) => push(out, name, json!(string(bytes)?)),
        (Kind::TextMap | Kind::BytesMap | Kind::QuantityMap, Payload::Bytes(bytes)) => {
            let (key, value) = entry(kind, bytes)?;
            let map = out.entry(name).or_insert_with(|| json!({}));
            map[key] = value;
        }
        (Kind::Time, Payload::Bytes(bytes)) => {
            if let Some(time) = time(bytes, false)? {
                out.insert(name.to_owned(), time);
            }
        }
        (Kind::MicroTime, Payload::Bytes(bytes)) => {
            if let Some(time) = time(bytes, true)? {
                out.insert(name.to_owned(), time);
            }
        }
        (Kind::Quantity, Payload::Bytes(bytes)) => drop(out.insert(name.to_owned(), quantity(bytes)?)),
        (Kind::IntOrString, Payload::Bytes(bytes)) => drop(out.insert(name.to_owned(), int_or_string(bytes)?)),
        (Kind::PlainIntOrString, Payload::Bytes(bytes)) => {
            let value = int_or_string(bytes)?;
            if value != json!(0) {
                out.insert(name.to_owned(), value);
            }
        }
        (Kind::FieldsV1, Payload::Bytes(bytes)) => {
            for (number, payload) in fields(bytes)? {
                if let (1, Payload::Bytes(text)) = (number, payload) {
                    let fields = serde_json::from_slice(text).map_err(|error| format!("{at} is not JSON: {error}"))?;
                    out.insert(name.to_owned(), fields);
                }
            }
        }
        (Kind::One(inner), Payload::Bytes(bytes)) => {
            let value = object(message(inner), bytes, at)?;
            // Structs that are no pointers are always written, even when nothing is in them.
            if !value.is_empty() {
                out.insert(name.to_owned(), Value::Object(value));
            }
        }
        (Kind::Present(inner), Payload::Bytes(bytes)) => {
            drop(out.insert(name.to_owned(), Value::Object(object(message(inner), bytes, at)?)));
        }
        (Kind::Inline(inner), Payload::Bytes(bytes)) => out.extend(object(message(inner), bytes, at)?),
        (Kind::Many(inner), Payload::Bytes(bytes)) => {
            push(out, name, Value::Object(object(message(inner), bytes, at)?));
        }
        (Kind::Ignored, _) => {}
        _ => return Err(misfit()),
    }
    Ok(())
}

fn push(out: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(items) = out.entry(name).or_insert_with(|| json!([])).as_array_mut() {
        items.push(value);
    }
}

fn entry(kind: Kind, bytes: &[u8]) -> Result<(String, Value), String> {
    let (mut key, mut value) = (String::new(), json!(""));
    for (number, payload) in fields(bytes)? {
        match (number, payload, kind) {
            (1, Payload::Bytes(bytes), _) => key = string(bytes)?,
            (2, Payload::Bytes(bytes), Kind::TextMap) => value = json!(string(bytes)?),
            (2, Payload::Bytes(bytes), Kind::QuantityMap) => value = quantity(bytes)?,
            (2, Payload::Bytes(bytes), _) => value = json!(base64(bytes)),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Go's zero time, the first second of the year 1.
const ZERO_TIME: i64 = -62_135_596_800;

/// Seconds and nanoseconds; `None` for the zero time, which JSON writes as null.
fn time(bytes: &[u8], micros: bool) -> Result<Option<Value>, String> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for (number, payload) in fields(bytes)? {
        match (number, payload) {
            (1, Payload::Number(number)) => seconds = number.cast_signed(),
            (2, Payload::Number(number)) => nanos = i32::try_from(number.cast_signed()).unwrap_or(0),
            _ => {}
        }
    }
    if seconds == ZERO_TIME || (seconds == 0 && nanos == 0) {
        return Ok(None);
    }
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|error| format!("a time is out of range: {error}"))?;
    let format = if micros { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(Some(json!(time.strftime(format).to_string())))
}

fn quantity(bytes: &[u8]) -> Result<Value, String> {
    for (number, payload) in fields(bytes)? {
        if let (1, Payload::Bytes(text)) = (number, payload) {
            return Ok(json!(string(text)?));
        }
    }
    Ok(json!("0"))
}

fn int_or_string(bytes: &[u8]) -> Result<Value, String> {
    let (mut is_text, mut number_value, mut text) = (false, 0, String::new());
    for (number, payload) in fields(bytes)? {
        match (number, payload) {
            (1, Payload::Number(kind)) => is_text = kind == 1,
            (2, Payload::Number(number)) => number_value = number.cast_signed(),
            (3, Payload::Bytes(bytes)) => text = string(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number_value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes: key, length, content.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short content");
        [&[number << 3 | 2, length], content].concat()
    }

    fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
        let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &type_meta), bytes(2, object)].concat()
    }

    #[test]
    fn a_secret_arrives_with_its_data_as_base64_and_without_empty_fields() {
        let metadata = bytes(1, &[bytes(1, b"release"), bytes(2, b"")].concat());
        let data = bytes(2, &[bytes(1, b"key"), bytes(2, b"hi")].concat());
        let secret = decode(&body("v1", "Secret", &[metadata, data, bytes(3, b"Opaque")].concat())).unwrap();
        assert_eq!(
            secret,
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "release"},
                "data": {"key": "aGk="}, "type": "Opaque",
            })
        );
    }

    #[test]
    fn zero_replicas_are_kept_and_an_empty_volume_source_stays_present() {
        let scale = decode(&body("autoscaling/v1", "Scale", &bytes(2, &[0x08, 0x00]))).unwrap();
        assert_eq!(scale["spec"]["replicas"], 0);
        let volume = bytes(1, &[bytes(1, b"tmp"), bytes(2, &bytes(2, b""))].concat());
        let pod = decode(&body("v1", "Pod", &bytes(2, &volume))).unwrap();
        assert_eq!(pod["spec"]["volumes"], json!([{"name": "tmp", "emptyDir": {}}]));
    }

    #[test]
    fn a_kind_or_field_without_a_decoder_is_refused_by_name() {
        assert!(decode(&body("v1", "Gadget", b"")).unwrap_err().contains("Gadget"));
        let unknown = decode(&body("v1", "Secret", &bytes(15, b"x"))).unwrap_err();
        assert!(unknown.contains("field 15 of Secret"), "{unknown}");
        assert!(decode(b"{}").is_err());
    }
}
