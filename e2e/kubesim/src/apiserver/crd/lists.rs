//! What JSON schema does not say of custom resources: lists whose items are told apart, and formats of Kubernetes.

use serde_json::{Map, Value};

use crate::apiserver::failure::Cause;
use crate::apiserver::fields::joined;

/// Duplicates in sets and keyed lists, and values that lack their format.
pub(super) fn causes(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            for (name, child) in fields {
                let below = schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
                if let Some(below) = below {
                    self::causes(below, child, &joined(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            duplicates(schema, items, path, causes);
            for (index, item) in items.iter().enumerate() {
                self::causes(&schema["items"], item, &format!("{path}[{index}]"), causes);
            }
        }
        scalar => causes.extend(format_cause(schema, scalar, path)),
    }
}

fn duplicates(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let identity = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Some(item.clone()),
        Some("map") => {
            let parts = keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())));
            Some(Value::Object(parts.collect::<Map<_, _>>()))
        }
        _ => None,
    };
    let mut seen: Vec<Value> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(identity) = identity(item) else { return };
        if seen.contains(&identity) {
            causes.push(Cause::duplicate(format!("{path}[{index}]"), &identity));
        } else {
            seen.push(identity);
        }
    }
}

fn format_cause(schema: &Value, value: &Value, path: &str) -> Option<Cause> {
    let format = schema["format"].as_str()?;
    let sound = match (format, value) {
        ("date-time", Value::String(text)) => text.parse::<jiff::Timestamp>().is_ok(),
        ("date", Value::String(text)) => text.parse::<jiff::civil::Date>().is_ok(),
        ("duration", Value::String(text)) => text.parse::<jiff::SignedDuration>().is_ok(),
        ("byte", Value::String(text)) => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        ("ipv4", Value::String(text)) => text.parse::<std::net::Ipv4Addr>().is_ok(),
        ("ipv6", Value::String(text)) => text.parse::<std::net::Ipv6Addr>().is_ok(),
        ("uuid", Value::String(text)) => uuid::Uuid::parse_str(text).is_ok(),
        ("int32", Value::Number(number)) => number.as_i64().is_none_or(|number| i32::try_from(number).is_ok()),
        _ => true,
    };
    if sound {
        return None;
    }
    let shown = match value {
        Value::Number(number) => format!("{:?}", number.to_string()),
        other => other.to_string(),
    };
    Some(Cause::invalid(path, value, &format!("{path} in body must be of type {format}: {shown}")))
}
