//! Request bodies: JSON, YAML and the Kubernetes protobuf envelope, all to the same JSON value.

use serde_json::Value;

use super::failure::Failure;
use super::protobuf;

/// Decodes a body; an empty one is `Null`.
pub(super) fn decode(content_type: &str, body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type == "application/vnd.kubernetes.protobuf" {
        return protobuf::decode(body).map_err(Failure::bad_request);
    }
    if media_type.ends_with("cbor") {
        return Err(unsupported_media_type());
    }
    // Apply patches and unlabelled bodies may be YAML; JSON is tried first because it is what clients send.
    if media_type.contains("yaml") || media_type.is_empty() {
        if let Ok(value) = serde_json::from_slice(body) {
            return Ok(value);
        }
        return serde_saphyr::from_slice(body)
            .map_err(|error| Failure::bad_request(format!("error parsing YAML: {error}")));
    }
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(format!("error decoding JSON: {error}")))
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

/// Bytes as they stand in JSON.
pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
