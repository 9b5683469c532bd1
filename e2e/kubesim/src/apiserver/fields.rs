//! Fields against a schema: which are unknown, which have the wrong type, which are missing.

use serde_json::Value;

use super::failure::Cause;
use super::go_types;
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
    pub(super) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Ignore") => Self::Ignore,
            Some("Strict") => Self::Strict,
            // Anything else was refused with the other options.
            _ => Self::Warn,
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
            let mut own = Vec::new();
            let is_struct = schema.get("properties").is_some() || schema["type"] == "object";
            let is_map = schema.get("additionalProperties").is_some_and(|values| *values != Value::Bool(false));
            if is_struct && !is_map && !preserve {
                fields.retain(|name, _| {
                    let envelope = object_root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                    let known = envelope || node.declares(name);
                    if !known {
                        own.push(joined(path, name));
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
            // Go reports what is below before what is missing here.
            unknown.extend(own);
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

/// What Go's decoder says of an object of a built-in kind that has a value of the wrong type.
pub(super) fn type_error(resource: &Resource, node: Node<'_>, object: &Value) -> Option<String> {
    let root = Place { path: "", owner: &resource.kind, wanted: None };
    mismatch(node, object, &root)
}

/// Types of a `CustomResourceDefinition`'s schema that hold any value: `default: apps/v1`, `items: […]`.
pub(super) const ANY_JSON: &[&str] =
    &["JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"];

/// What the decoder says of the metadata of a custom resource.
pub(super) fn metadata_error(metadata: &Value) -> Option<String> {
    const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    let definitions = super::definitions::definitions();
    let node = Node::new(definitions, definitions.get(OBJECT_META)?).named(OBJECT_META);
    mismatch(node, metadata, &Place { path: "metadata", owner: "ObjectMeta", wanted: None })
}

/// Where a value stands, for messages.
struct Place<'a> {
    path: &'a str,
    /// The struct that has the field.
    owner: &'a str,
    /// The field's Go type, where the schema does not tell it.
    wanted: Option<String>,
}

fn mismatch(node: Node<'_>, value: &Value, place: &Place<'_>) -> Option<String> {
    let schema = node.schema();
    let name = node.type_name().unwrap_or_default();
    let wrong = |wanted: &str| {
        let found = match value {
            // The number itself is said where it has the wrong form.
            Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
            _ => json_type(value).to_owned(),
        };
        let field = format!("{}.{}", place.owner, place.path);
        Some(format!("json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"))
    };
    if ANY_JSON.contains(&name.rsplit('.').next().unwrap_or(name)) || value.is_null() {
        return None;
    }
    match name {
        QUANTITY => return quantity_error(value),
        TIME | MICRO_TIME => return time_error(name, value),
        _ => {}
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return if value.is_string() || value.is_number() { None } else { wrong("intstr.IntOrString") };
    }
    let format = schema["format"].as_str().unwrap_or_default();
    let wanted = || place.wanted.clone().unwrap_or_else(|| go_types::plain_type(node));
    match (schema["type"].as_str()?, value) {
        ("object", Value::Object(fields)) => {
            let is_map = schema.get("properties").is_none();
            let owner = if is_map { place.owner } else { name.rsplit('.').next().unwrap_or(place.owner) };
            fields.iter().find_map(|(key, child)| {
                let below = node.field(key)?;
                let path = if is_map { place.path.to_owned() } else { joined(place.path, key) };
                let wanted = (!is_map).then(|| go_types::go_type(Some(name), key, below));
                mismatch(below, child, &Place { path: &path, owner, wanted })
            })
        }
        ("array", Value::Array(items)) => {
            let below = node.items()?;
            let item = place.wanted.as_deref().and_then(|wanted| wanted.strip_prefix("[]")).map(ToOwned::to_owned);
            items.iter().find_map(|child| {
                mismatch(below, child, &Place { path: place.path, owner: place.owner, wanted: item.clone() })
            })
        }
        ("string", Value::String(text)) if format == "byte" => base64_error(text),
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => None,
        ("integer", Value::Number(number)) if fits(number, format) => None,
        ("string", _) if format == "byte" => wrong("[]uint8"),
        _ => wrong(&wanted()),
    }
}

fn fits(number: &serde_json::Number, format: &str) -> bool {
    match number.as_i64() {
        Some(number) => format != "int32" || i32::try_from(number).is_ok(),
        None => false,
    }
}

const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";

fn time_error(name: &str, value: &Value) -> Option<String> {
    let layout = if name == MICRO_TIME { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let Some(text) = value.as_str() else {
        return Some(format!("json: cannot unmarshal {} into Go value of type string", json_type(value)));
    };
    if text.parse::<jiff::Timestamp>().is_ok() {
        return None;
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let odd = if rest.len() == text.len() { text } else { rest };
    Some(format!("parsing time {text:?} as {layout:?}: cannot parse {odd:?} as \"2006\""))
}

fn quantity_error(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let quantity = k8s_openapi::apimachinery::pkg::api::resource::Quantity(text);
    if crate::machinery::quantity::milli(&quantity).is_ok() {
        return None;
    }
    let expression = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    Some(format!("quantities must match the regular expression {expression}"))
}

fn base64_error(text: &str) -> Option<String> {
    use base64::Engine as _;
    let error = base64::engine::general_purpose::STANDARD.decode(text).err()?;
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
        _ => text.len(),
    };
    Some(format!("illegal base64 data at input byte {at}"))
}

pub(super) fn json_type(value: &Value) -> &'static str {
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
    ("io.k8s.api.rbac.v1.PolicyRule", "verbs"),
    ("io.k8s.api.rbac.v1.RoleBinding", "roleRef"),
    ("io.k8s.api.rbac.v1.ClusterRoleBinding", "roleRef"),
    ("io.k8s.api.rbac.v1.RoleRef", "apiGroup"),
    ("io.k8s.api.rbac.v1.RoleRef", "kind"),
    ("io.k8s.api.rbac.v1.RoleRef", "name"),
    ("io.k8s.api.rbac.v1.Subject", "kind"),
    ("io.k8s.api.rbac.v1.Subject", "name"),
    ("io.k8s.api.networking.v1.HTTPIngressPath", "pathType"),
    ("io.k8s.api.discovery.v1.Endpoint", "addresses"),
    ("io.k8s.api.discovery.v1.EndpointSlice", "addressType"),
    ("io.k8s.api.batch.v1.CronJobSpec", "schedule"),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference", "uid"),
    ("io.k8s.api.core.v1.EnvVar", "name"),
    ("io.k8s.api.core.v1.VolumeMount", "mountPath"),
    ("io.k8s.api.core.v1.ContainerPort", "containerPort"),
    ("io.k8s.api.core.v1.LocalObjectReference", "name"),
    ("io.k8s.api.rbac.v1.ClusterRole", "rules"),
    ("io.k8s.api.rbac.v1.Role", "rules"),
    // What follows is told apart by the rules of its kind.
    ("io.k8s.api.apps.v1.DaemonSetSpec", "selector"),
    ("io.k8s.api.apps.v1.DeploymentSpec", "selector"),
    ("io.k8s.api.apps.v1.ReplicaSetSpec", "selector"),
    ("io.k8s.api.apps.v1.StatefulSetSpec", "selector"),
    ("io.k8s.api.core.v1.PodSpec", "containers"),
    ("io.k8s.api.autoscaling.v1.CrossVersionObjectReference", "kind"),
    ("io.k8s.api.autoscaling.v1.CrossVersionObjectReference", "name"),
    ("io.k8s.api.autoscaling.v2.CrossVersionObjectReference", "kind"),
    ("io.k8s.api.autoscaling.v2.CrossVersionObjectReference", "name"),
    ("io.k8s.api.autoscaling.v2.MetricIdentifier", "name"),
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
        "cannot unmarshal bool into Go struct field LabelSelector.spec.selector.matchLabels of type string")]
    fn a_wrong_type_is_refused(#[case] pointer: &str, #[case] value: Value, #[case] expected: &str) {
        let resource = deployments();
        let mut object = deployment();
        *object.pointer_mut(pointer).expect("exists") = value;
        let error = type_error(&resource, schema_of(&resource).expect("schema"), &object).expect("wrong type");
        assert!(error.ends_with(expected), "{error}");
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
        assert_eq!(type_error(&resource, node, &deployment()), None);
        assert!(missing(node, &deployment()).is_empty());
    }

    #[test]
    fn missing_fields_are_named_with_their_place() {
        let resource = deployments();
        let mut object = deployment();
        object["spec"]["template"]["spec"]["containers"] = json!([{"image": "i"}]);
        let causes = missing(schema_of(&resource).expect("schema"), &object);
        assert_eq!(causes, [Cause::required("spec.template.spec.containers[0].name", "")]);
    }
}
