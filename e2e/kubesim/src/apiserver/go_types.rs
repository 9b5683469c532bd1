//! How Go's encoder writes the built-in types: which empty values it leaves out, and which absent ones it writes.
//!
//! What a server of Go types stores has been through them once. Without that, an empty list that a client sends would
//! stay, and a status that nobody wrote would be absent where clients see `{}`.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::schema::Node;

/// What is known of a type beside its schema.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TypeRules {
    pub(super) fields: BTreeMap<String, FieldRules>,
    /// Changes owner as a whole wherever it is used.
    #[serde(default)]
    pub(super) atomic: bool,
}

/// What is known of a field. `hack/kubesim-rules.py` writes it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FieldRules {
    #[serde(rename = "l")]
    pub(super) list_type: Option<String>,
    #[serde(rename = "k", default)]
    pub(super) list_keys: Vec<String>,
    #[serde(rename = "m")]
    pub(super) merge_key: Option<String>,
    #[serde(rename = "s")]
    pub(super) strategy: Option<String>,
    #[serde(rename = "a", default)]
    pub(super) atomic: bool,
    #[serde(rename = "g")]
    go_type: Option<String>,
    /// How it is written when empty; `None` is a pointer.
    #[serde(rename = "z")]
    empty: Option<Empty>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Empty {
    Omit,
    Null,
    Struct,
    Zero,
}

/// The rules of all built-in types, by type name.
pub(super) fn rules() -> &'static HashMap<String, TypeRules> {
    static RULES: LazyLock<HashMap<String, TypeRules>> = LazyLock::new(|| {
        // A test reads the file; one that cannot be read means no rules, which that test sees.
        serde_json::from_str(include_str!("definitions/rules.json")).unwrap_or_default()
    });
    &RULES
}

/// Writes `object` as Go would after decoding it into the type at `node`.
pub(super) fn encode(node: Node<'_>, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    encode_fields(node, fields, Pass { root: true, stored: false });
}

/// Writes `object` as it comes back from storage, which knows no empty lists.
pub(super) fn store(node: Node<'_>, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    encode_fields(node, fields, Pass { root: true, stored: true });
}

/// Which way an object goes.
#[derive(Clone, Copy)]
struct Pass {
    root: bool,
    stored: bool,
}

/// Writes the metadata of an object as Go would: that of custom resources has the type of all metadata.
pub(super) fn encode_metadata(metadata: &mut Value) {
    let definitions = super::definitions::definitions();
    if let Some(schema) = definitions.get(OBJECT_META) {
        encode(Node::new(definitions, schema).named(OBJECT_META), metadata);
    }
}

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

fn encode_fields(node: Node<'_>, fields: &mut Map<String, Value>, pass: Pass) {
    let known = node.type_name().and_then(|name| rules().get(name));
    for (name, child) in fields.iter_mut() {
        if let Some(below) = node.field(name) {
            encode_value(below, child, pass);
        }
    }
    let Some(known) = known else { return };
    for (name, rule) in &known.fields {
        if pass.root && matches!(name.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let present = fields
            .get(name)
            .is_some_and(|value| !(value.is_null() || pass.stored && value.as_array().is_some_and(Vec::is_empty)));
        match rule.empty {
            Some(Empty::Omit) if fields.get(name).is_some_and(is_zero) => drop(fields.remove(name)),
            Some(Empty::Null) if !present => drop(fields.insert(name.clone(), Value::Null)),
            Some(Empty::Struct) if !present => {
                let Some(below) = node.field(name) else { continue };
                let mut empty = json!({});
                encode_value(below, &mut empty, pass);
                fields.insert(name.clone(), empty);
            }
            Some(Empty::Zero) if !present => {
                let zero = node.field(name).map_or(Value::Null, |below| match below.schema()["type"].as_str() {
                    Some("string") => json!(""),
                    Some("integer" | "number") => json!(0),
                    Some("boolean") => json!(false),
                    _ => Value::Null,
                });
                fields.insert(name.clone(), zero);
            }
            _ => {}
        }
    }
}

fn encode_value(node: Node<'_>, value: &mut Value, pass: Pass) {
    match value {
        Value::Object(fields) => encode_fields(node, fields, Pass { root: false, ..pass }),
        Value::Array(items) => {
            if let Some(below) = node.items() {
                for item in items {
                    encode_value(below, item, pass);
                }
            }
        }
        _ => {}
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// An object of this type nobody has written anything into, which is what a create is compared with.
pub(super) fn blank(node: Node<'_>) -> Value {
    let mut blank = json!({});
    encode(node, &mut blank);
    blank
}

/// A field's Go type, as the decoder's messages name it.
pub(super) fn go_type(owner: Option<&str>, field: &str, node: Node<'_>) -> String {
    let known = owner.and_then(|owner| rules().get(owner)?.fields.get(field)?.go_type.clone());
    known.unwrap_or_else(|| plain_type(node))
}

/// The Go type a schema tells.
pub(super) fn plain_type(node: Node<'_>) -> String {
    let schema = node.schema();
    if let Some(name) = node.type_name() {
        let mut parts = name.rsplit('.');
        let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return format!("{version}.{kind}");
    }
    let format = schema["format"].as_str().unwrap_or_default();
    match schema["type"].as_str().unwrap_or_default() {
        "object" => "map[string]string".to_owned(),
        "array" => "[]string".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" if format == "int32" => "int32".to_owned(),
        "integer" => "int64".to_owned(),
        "number" => "float64".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::apiserver::catalog::Catalog;
    use crate::apiserver::definitions::schema_of;

    fn written(group: &str, version: &str, plural: &str, mut object: Value) -> Value {
        let resource = Catalog::new().find(group, version, plural).cloned().expect("served");
        encode(schema_of(&resource).expect("has a schema"), &mut object);
        object
    }

    #[test]
    fn the_rules_can_be_read() {
        assert!(rules().len() > 400, "{}", rules().len());
    }

    #[rstest]
    #[case::empty_maps_go("/metadata/labels", None)]
    #[case::pointers_stay("/spec/replicas", Some(json!(0)))]
    #[case::zeros_of_a_status_go("/status/readyReplicas", None)]
    #[case::structs_are_written("/spec/strategy", Some(json!({})))]
    #[case::required_lists_are_null("/spec/template/spec/containers", Some(json!(null)))]
    fn a_deployment_is_written_as_go_writes_it(#[case] pointer: &str, #[case] expected: Option<Value>) {
        let object = json!({
            "metadata": {"name": "d", "labels": {}},
            "spec": {"replicas": 0, "template": {}},
            "status": {"readyReplicas": 0},
        });
        assert_eq!(written("apps", "v1", "deployments", object).pointer(pointer).cloned(), expected);
    }

    #[test]
    fn a_status_nobody_wrote_is_an_empty_object() {
        assert_eq!(written("apps", "v1", "deployments", json!({}))["status"], json!({}));
    }
}
