//! Objects as protobuf messages, along the same tables as they are decoded by.
//!
//! A kind the tables lack is not encoded at all: the client gets JSON, which it names as its second choice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::MAGIC;
use super::tables::{Field, Kind, message, root};

/// `value` in the envelope every Kubernetes protobuf answer has; `None` if its kind has no table.
pub(in crate::apiserver) fn encode(value: &Value) -> Option<Vec<u8>> {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let raw = raw(value, api_version, kind)?;
    let mut type_meta = Vec::new();
    put_bytes(&mut type_meta, 1, api_version.as_bytes());
    put_bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = MAGIC.to_vec();
    put_bytes(&mut out, 1, &type_meta);
    put_bytes(&mut out, 2, &raw);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    Some(out)
}

/// Whether objects of a kind can be encoded.
pub(in crate::apiserver) fn encodes(api_version: &str, kind: &str) -> bool {
    table(api_version, kind).is_some()
}

/// One event of a watch, as long as it says before.
pub(in crate::apiserver) fn frame(kind: &str, object: &Value) -> Vec<u8> {
    let mut raw = Vec::new();
    put_bytes(&mut raw, 1, &encode(object).unwrap_or_default());
    let mut event = Vec::new();
    put_bytes(&mut event, 1, kind.as_bytes());
    put_bytes(&mut event, 2, &raw);
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &event].concat()
}

fn raw(value: &Value, api_version: &str, kind: &str) -> Option<Vec<u8>> {
    if let Some(item) = item_kind(kind) {
        let fields = table(api_version, item)?;
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &object(message("meta/v1/ListMeta"), value["metadata"].as_object()?));
        for item in value["items"].as_array()? {
            put_bytes(&mut out, 2, &object(fields, item.as_object()?));
        }
        return Some(out);
    }
    Some(object(table(api_version, kind)?, value.as_object()?))
}

/// The kind of the items of a list.
fn item_kind(kind: &str) -> Option<&str> {
    kind.strip_suffix("List").filter(|item| !item.is_empty())
}

fn table(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    let kind = item_kind(kind).unwrap_or(kind);
    match (api_version, kind) {
        ("v1", "Status") => Some(message("meta/v1/Status")),
        ("meta.k8s.io/v1", "PartialObjectMetadata") => Some(message("meta/v1/PartialObjectMetadata")),
        _ => root(api_version, kind).filter(|fields| !fields.is_empty()),
    }
}

fn object(table: &[Field], fields: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, name, kind) in table {
        if let Kind::Inline(inner) = kind {
            put_bytes(&mut out, *number, &object(message(inner), fields));
        } else if let Some(value) = fields.get(*name).filter(|value| !value.is_null()) {
            put(&mut out, *number, *kind, value);
        }
    }
    out
}

fn put(out: &mut Vec<u8>, number: u64, kind: Kind, value: &Value) {
    let text = value.as_str().unwrap_or_default();
    match kind {
        Kind::Text => put_bytes(out, number, text.as_bytes()),
        Kind::Bytes => put_bytes(out, number, &STANDARD.decode(text).unwrap_or_default()),
        Kind::Bool | Kind::Flag => put_number(out, number, u64::from(value == true)),
        Kind::Number | Kind::Count => put_number(out, number, value.as_i64().unwrap_or_default().cast_unsigned()),
        Kind::Numbers => {
            for item in value.as_array().into_iter().flatten() {
                put_number(out, number, item.as_i64().unwrap_or_default().cast_unsigned());
            }
        }
        Kind::Texts => {
            for item in value.as_array().into_iter().flatten() {
                put_bytes(out, number, item.as_str().unwrap_or_default().as_bytes());
            }
        }
        Kind::TextMap | Kind::BytesMap | Kind::QuantityMap => {
            let inner = match kind {
                Kind::TextMap => Kind::Text,
                Kind::BytesMap => Kind::Bytes,
                _ => Kind::Quantity,
            };
            for (key, value) in value.as_object().into_iter().flatten() {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, key.as_bytes());
                put(&mut entry, 2, inner, value);
                put_bytes(out, number, &entry);
            }
        }
        Kind::Time | Kind::MicroTime => put_bytes(out, number, &time(text)),
        Kind::Quantity => {
            let mut quantity = Vec::new();
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            put_bytes(&mut quantity, 1, text.as_bytes());
            put_bytes(out, number, &quantity);
        }
        Kind::IntOrString | Kind::PlainIntOrString => put_bytes(out, number, &int_or_string(value)),
        Kind::FieldsV1 => {
            let mut raw = Vec::new();
            put_bytes(&mut raw, 1, value.to_string().as_bytes());
            put_bytes(out, number, &raw);
        }
        Kind::One(inner) | Kind::Present(inner) => {
            if let Some(fields) = value.as_object() {
                put_bytes(out, number, &object(message(inner), fields));
            }
        }
        Kind::Many(inner) => {
            for fields in value.as_array().into_iter().flatten().filter_map(Value::as_object) {
                put_bytes(out, number, &object(message(inner), fields));
            }
        }
        // Inline messages are put where their fields are looked for.
        Kind::Inline(_) | Kind::Ignored => {}
    }
}

fn int_or_string(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, u64::from(value.is_string()));
    put_number(&mut out, 2, value.as_i64().unwrap_or_default().cast_unsigned());
    put_bytes(&mut out, 3, value.as_str().unwrap_or_default().as_bytes());
    out
}

/// Seconds and nanoseconds since 1970.
fn time(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        put_number(&mut out, 1, time.as_second().cast_unsigned());
        put_number(&mut out, 2, i64::from(time.subsec_nanosecond()).cast_unsigned());
    }
    out
}

fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decode;
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"a": "b"}, "generation": 2,
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"f:x": {}}}}],
            },
            "spec": {
                "containers": [{
                    "name": "c", "resources": {"limits": {"cpu": "1500m"}}, "ports": [{"containerPort": 80}],
                    "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 3},
                }],
                "hostNetwork": true, "terminationGracePeriodSeconds": 0, "volumes": [{"name": "v", "emptyDir": {}}],
            },
            "status": {"phase": "Running"},
        });
        assert_eq!(decode(&encode(&pod).expect("has a table")), Ok(pod));
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "aGk="}});
        assert_eq!(decode(&encode(&secret).expect("has a table")), Ok(secret));
    }

    #[test]
    fn only_kinds_with_a_table_are_encoded() {
        assert!(encodes("v1", "ConfigMapList") && encodes("v1", "Status"));
        assert!(!encodes("example.com/v1", "Gadget"));
        let list =
            json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": [{}]});
        assert!(encode(&list).is_some_and(|bytes| bytes.starts_with(b"k8s\0")));
    }
}
