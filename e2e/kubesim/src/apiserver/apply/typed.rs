//! What keeps a configuration from having the type its kind declares, as server-side apply tells it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apiserver::fields::ANY_JSON;
use crate::apiserver::schema::{ListType, Node, key_value};

/// Every fault of a configuration, as `.path: what is wrong`.
pub(in crate::apiserver) fn faults(node: Node<'_>, config: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    walk(node, config, "", true, &mut faults);
    faults
}

fn walk(node: Node<'_>, value: &Value, path: &str, root: bool, faults: &mut Vec<String>) {
    // Some types of a definition's schema hold any value.
    let any = node.type_name().is_some_and(|name| ANY_JSON.contains(&name.rsplit('.').next().unwrap_or(name)));
    if value.is_null() || any {
        return;
    }
    let schema = node.schema();
    let preserve = schema["x-kubernetes-preserve-unknown-fields"] == true || node.is_free_form();
    let free = schema["x-kubernetes-int-or-string"] == true || schema.get("type").is_none();
    let wrong = |wanted: &str| format!("{path}: expected {wanted}, got {}", go_value(value));
    match (schema["type"].as_str().unwrap_or_default(), value) {
        _ if free => {}
        ("object", Value::Object(fields)) => {
            for (name, child) in fields {
                let envelope = root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                let at = format!("{path}.{name}");
                match node.field(name) {
                    // A custom resource declares metadata without its fields.
                    Some(below) if !(root && name == "metadata" && below.type_name().is_none()) => {
                        walk(below, child, &at, false, faults);
                    }
                    None if !envelope && !preserve => faults.push(format!("{at}: field not declared in schema")),
                    _ => {}
                }
            }
        }
        ("array", Value::Array(items)) => list(node, items, path, faults),
        ("object", _) => faults.push(wrong("map")),
        ("array", _) => faults.push(wrong("list")),
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("integer" | "number", Value::Number(_)) => {}
        // A quantity may be written as a number.
        ("string", Value::Number(_)) if node.type_name().is_some_and(|name| name.ends_with(".Quantity")) => {}
        ("string", _) => faults.push(wrong("string")),
        ("boolean", _) => faults.push(wrong("boolean")),
        ("integer" | "number", _) => faults.push(wrong("numeric (int or float)")),
        _ => {}
    }
}

fn list(node: Node<'_>, items: &[Value], path: &str, faults: &mut Vec<String>) {
    let Some(below) = node.items() else { return };
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let at = match node.list_type() {
            ListType::Atomic => format!("{path}[{index}]"),
            ListType::Set => {
                let shown = format!("[={item}]");
                if !seen.insert(shown.clone()) {
                    faults.push(format!("{path}: duplicate entries for key {shown}"));
                }
                format!("{path}{shown}")
            }
            ListType::Map(keys) => {
                let named = keys.iter().filter_map(Value::as_str);
                let parts: Vec<String> = named.map(|key| format!("{key}={}", key_value(item, key))).collect();
                let shown = format!("[{}]", parts.join(","));
                if !seen.insert(shown.clone()) {
                    faults.push(format!("{path}: duplicate entries for key {shown}"));
                }
                format!("{path}{shown}")
            }
        };
        walk(below, item, &at, false, faults);
    }
}

/// A value as Go prints it in such messages.
fn go_value(value: &Value) -> String {
    match value {
        Value::Object(_) => "map".to_owned(),
        Value::Array(_) => "list".to_owned(),
        Value::String(text) => format!("&value.valueUnstructured{{Value:{text:?}}}"),
        other => format!("&value.valueUnstructured{{Value:{other}}}"),
    }
}
