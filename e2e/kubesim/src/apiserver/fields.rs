//! Fields against a schema: which are unknown, which have the wrong type, which are missing.

use serde_json::Value;

use super::failure::{Cause, Failure};
use super::resource::Resource;
use super::schema::Node;

/// What to do about fields the schema does not know; they are never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        match text {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            ))),
        }
    }
}

/// Removes unknown fields from `object` and returns their paths.
pub(super) fn prune(node: Node<'_>, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_below(node, object, "", true, &mut unknown);
    unknown
}

fn prune_below(node: Node<'_>, value: &mut Value, path: &str, object_root: bool, unknown: &mut Vec<String>) {
    let schema = node.schema();
    let preserve = schema["x-kubernetes-preserve-unknown-fields"] == true || node.is_free_form();
    match value {
        Value::Object(fields) => {
            let is_struct = schema.get("properties").is_some() || schema["type"] == "object";
            let is_map = schema.get("additionalProperties").is_some_and(|values| *values != Value::Bool(false));
            if is_struct && !is_map && !preserve {
                fields.retain(|name, _| {
                    let envelope = object_root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                    let known = envelope || node.declares(name);
                    if !known {
                        unknown.push(joined(path, name));
                    }
                    known
                });
            }
            for (name, child) in fields.iter_mut() {
                let Some(below) = node.field(name) else { continue };
                // A custom resource declares metadata without its fields, which are those of every object.
                if object_root && name == "metadata" && below.type_name().is_none() {
                    continue;
                }
                let embedded = below.schema()["x-kubernetes-embedded-resource"] == true;
                prune_below(below, child, &joined(path, name), embedded, unknown);
            }
        }
        Value::Array(items) => {
            let Some(below) = node.items() else { return };
            let embedded = below.schema()["x-kubernetes-embedded-resource"] == true;
            for (index, item) in items.iter_mut().enumerate() {
                prune_below(below, item, &format!("{path}[{index}]"), embedded, unknown);
            }
        }
        _ => {}
    }
}

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// Writes quantities given as numbers as text, the only form clients read.
pub(super) fn normalise(node: Node<'_>, value: &mut Value) {
    match value {
        Value::Number(number) if node.type_name() == Some(QUANTITY) => *value = Value::String(number.to_string()),
        Value::Object(fields) => {
            for (name, child) in fields.iter_mut() {
                if let Some(below) = node.field(name) {
                    normalise(below, child);
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = node.items() {
                for item in items.iter_mut() {
                    normalise(below, item);
                }
            }
        }
        _ => {}
    }
}

pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Refuses an object of a built-in kind with a value of the wrong type, in the words of Go's JSON decoder.
pub(super) fn check_types(resource: &Resource, node: Node<'_>, object: &Value) -> Result<(), Failure> {
    match mismatch(node, object, "", &resource.kind) {
        None => Ok(()),
        Some(Mismatch { found, place, wanted }) => Err(Failure::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: json: cannot unmarshal {found} into Go \
             struct field {place} of type {wanted}",
            kind = resource.kind,
            version = resource.version,
        ))),
    }
}

struct Mismatch {
    found: &'static str,
    place: String,
    wanted: String,
}

/// Types of a `CustomResourceDefinition`'s schema that hold any value: `default: apps/v1`, `items: […]`.
const ANY_JSON: &[&str] = &["JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"];

fn mismatch(node: Node<'_>, value: &Value, path: &str, owner: &str) -> Option<Mismatch> {
    let schema = node.schema();
    let wrong = |wanted: &str| {
        Some(Mismatch { found: json_type(value), place: format!("{owner}.{path}"), wanted: wanted.to_owned() })
    };
    if node.type_name().is_some_and(|name| ANY_JSON.contains(&name.rsplit('.').next().unwrap_or(name))) {
        return None;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return if value.is_string() || value.is_number() { None } else { wrong("intstr.IntOrString") };
    }
    let format = schema["format"].as_str().unwrap_or_default();
    match (schema["type"].as_str()?, value) {
        ("object", Value::Object(fields)) => {
            let owner = node.type_name().and_then(|name| name.rsplit('.').next()).unwrap_or(owner);
            fields.iter().find_map(|(name, child)| mismatch(node.field(name)?, child, &joined(path, name), owner))
        }
        ("array", Value::Array(items)) => {
            let below = node.items()?;
            items.iter().find_map(|item| mismatch(below, item, path, owner))
        }
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => None,
        ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => None,
        ("object", _) if schema.get("properties").is_none() => wrong("map[string]string"),
        ("object", _) => wrong(node.type_name().and_then(|name| name.rsplit('.').next()).unwrap_or("object")),
        ("array", _) => wrong("[]interface {}"),
        ("string", _) if format == "byte" => wrong("[]uint8"),
        ("boolean", _) => wrong("bool"),
        ("number", _) => wrong("float64"),
        ("integer", _) => wrong(if format == "int32" { "int32" } else { "int64" }),
        (other, _) => wrong(other),
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Fields the types call required although the server accepts objects without them: empty means empty there.
const NOT_REQUIRED: &[(&str, &str)] = &[
    ("io.k8s.api.discovery.v1.EndpointSlice", "endpoints"),
    ("io.k8s.api.networking.v1.NetworkPolicySpec", "podSelector"),
    ("io.k8s.api.core.v1.TopologySelectorTerm", "matchLabelExpressions"),
    ("io.k8s.api.rbac.v1.ClusterRole", "rules"),
    ("io.k8s.api.rbac.v1.Role", "rules"),
];

/// Required fields that `object` lacks, apart from metadata and status, which clients may leave to others.
pub(super) fn missing(node: Node<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    missing_below(node, object, "", &mut causes);
    causes
}

fn missing_below(node: Node<'_>, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            let type_name = node.type_name().unwrap_or_default();
            let required = node.schema()["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for name in required {
                let exempt = path.is_empty() && matches!(name, "metadata" | "status")
                    || NOT_REQUIRED.contains(&(type_name, name));
                let absent = fields.get(name).is_none_or(|value| value == "" || value == &Value::Array(Vec::new()));
                if absent && !exempt {
                    causes.push(Cause::required(joined(path, name), ""));
                }
            }
            for (name, child) in fields {
                if path.is_empty() && matches!(name.as_str(), "metadata" | "status") {
                    continue;
                }
                if let Some(below) = node.field(name) {
                    missing_below(below, child, &joined(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(below) = node.items() else { return };
            for (index, item) in items.iter().enumerate() {
                missing_below(below, item, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::apiserver::definitions::schema_of;
    use crate::apiserver::{catalog::Catalog, resource::Resource};

    fn deployments() -> std::sync::Arc<Resource> {
        Catalog::new().find("apps", "v1", "deployments").cloned().expect("served")
    }

    fn deployment() -> Value {
        json!({"spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": 1}}}]}},
        }})
    }

    #[test]
    fn unknown_fields_are_removed_and_named() {
        let resource = deployments();
        let mut object = deployment();
        object["spec"]["template"]["spec"]["containers"][0]["imagee"] = json!("typo");
        object["sepc"] = json!({});
        let mut unknown = prune(schema_of(&resource).expect("schema"), &mut object);
        unknown.sort();
        assert_eq!(unknown, ["sepc", "spec.template.spec.containers[0].imagee"]);
        assert_eq!(object, deployment());
    }

    #[rstest]
    #[case("/spec/replicas", json!("3"),
        "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32")]
    #[case("/spec/selector/matchLabels/app", json!(true),
        "cannot unmarshal bool into Go struct field LabelSelector.spec.selector.matchLabels.app of type string")]
    fn a_wrong_type_is_refused(#[case] pointer: &str, #[case] value: Value, #[case] expected: &str) {
        let resource = deployments();
        let mut object = deployment();
        *object.pointer_mut(pointer).expect("exists") = value;
        let failure = check_types(&resource, schema_of(&resource).expect("schema"), &object).expect_err("wrong type");
        assert_eq!((failure.code, failure.message.ends_with(expected)), (400, true), "{}", failure.message);
    }

    #[test]
    fn a_quantity_written_as_a_number_becomes_text() {
        let resource = deployments();
        let mut object = deployment();
        normalise(schema_of(&resource).expect("schema"), &mut object);
        assert_eq!(object.pointer("/spec/template/spec/containers/0/resources/limits/cpu"), Some(&json!("1")));
        assert_eq!(object["spec"]["replicas"], 1);
    }

    #[test]
    fn the_sound_object_has_nothing_wrong() {
        let resource = deployments();
        let node = schema_of(&resource).expect("schema");
        assert!(check_types(&resource, node, &deployment()).is_ok());
        assert!(missing(node, &deployment()).is_empty());
    }

    #[test]
    fn missing_fields_are_named_with_their_place() {
        let resource = deployments();
        let mut object = deployment();
        object["spec"]["template"]["spec"]["containers"] = json!([{"image": "i"}]);
        object["spec"].as_object_mut().expect("object").remove("selector");
        let causes = missing(schema_of(&resource).expect("schema"), &object);
        assert_eq!(
            causes,
            [Cause::required("spec.selector", ""), Cause::required("spec.template.spec.containers[0].name", "")]
        );
    }
}
