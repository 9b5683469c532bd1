//! The versions of a definition: their names, which one is stored, and what each serves beside its schema.

use serde_json::{Value, json};

use super::{Shared, names, schema};
use crate::apiserver::failure::Cause;
use crate::apiserver::fields::joined;

/// As many fields as a definition may make selectable.
const SELECTABLE: usize = 8;

pub(super) fn versions(spec: &Value) -> Vec<Cause> {
    let field = "spec.versions";
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut causes = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        if let Some(problem) = names::label_problem(version["name"].as_str().unwrap_or_default()) {
            if index == 0 {
                causes.push(Cause::invalid("spec.version", &version["name"], &problem));
            }
            causes.push(Cause::invalid(format!("{field}[{index}].name"), &version["name"], &problem));
        }
        let deprecated = version["deprecated"] == true;
        if !deprecated && version.get("deprecationWarning").is_some_and(Value::is_string) {
            let detail = "can only be set for deprecated versions";
            let field = format!("{field}[{index}].deprecationWarning");
            causes.push(Cause::invalid(field, &version["deprecationWarning"], detail));
        }
        if version.pointer("/schema/openAPIV3Schema").is_none_or(Value::is_null) {
            causes.push(Cause::required(format!("{field}[{index}].schema.openAPIV3Schema"), ""));
        }
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(Cause::raw(field, &shown(&spec["versions"]), detail));
    }
    let twice = |index: usize| versions[..index].iter().any(|other| other["name"] == versions[index]["name"]);
    if (0..versions.len()).any(twice) {
        causes.push(Cause::raw(field, &shown(&spec["versions"]), "must contain unique version names"));
    }
    for (place, subresources) in Shared::of(versions, "subresources", "subresources").parts {
        causes.extend(scale(&place, subresources));
    }
    for (place, columns) in Shared::of(versions, "additionalPrinterColumns", "additionalPrinterColumns").parts {
        causes.extend(printer_columns(&place, columns));
    }
    let mut defaults = false;
    for (place, schema) in Shared::of(versions, "schema", "validation").parts {
        let schema = &schema["openAPIV3Schema"];
        if schema.is_object() {
            defaults |= has_default(schema);
            causes.extend(schema::causes(&format!("{place}.openAPIV3Schema"), schema));
        }
    }
    if spec["preserveUnknownFields"] == true {
        let details = [
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
            "must be false in order to use defaults in the schema",
        ];
        for detail in &details[..if defaults { 2 } else { 1 }] {
            causes.push(Cause::invalid("spec.preserveUnknownFields", &json!(true), detail));
        }
    }
    for (index, (place, selectable)) in
        Shared::of(versions, "selectableFields", "selectableFields").parts.into_iter().enumerate()
    {
        let schema = versions.get(index).and_then(|version| version.pointer("/schema/openAPIV3Schema"));
        causes.extend(selectable_fields(&place, selectable, schema.unwrap_or(&Value::Null)));
    }
    causes
}

/// Versions as Go prints them, without what all of them share.
fn shown(versions: &Value) -> String {
    let Some(versions) = versions.as_array() else { return "null".to_owned() };
    let one = |version: &Value| {
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":null,\
             \"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
            version["name"],
            version["served"] == true,
            version["storage"] == true,
            version["deprecated"] == true,
            version["deprecationWarning"]
        )
    };
    format!("[{}]", versions.iter().map(one).collect::<Vec<_>>().join(","))
}

/// What is wrong with a path such as `.spec.replicas`.
fn path_problem(path: &str) -> Option<&'static str> {
    match path {
        "" => Some("must not be empty"),
        path if !path.starts_with('.') => Some("must be a simple json path starting with ."),
        path if path.contains(['[', ']']) && path.matches('[').count() != path.matches(']').count() => {
            Some("is an invalid path")
        }
        _ => None,
    }
}

fn scale(place: &str, subresources: &Value) -> Vec<Cause> {
    let Some(scale) = subresources.get("scale").filter(|scale| scale.is_object()) else { return Vec::new() };
    let mut causes = Vec::new();
    let kinds = [
        ("specReplicasPath", &[".spec."][..], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .status or .spec"),
    ];
    for (field, below, misplaced) in kinds {
        let at = format!("{place}.scale.{field}");
        match scale[field].as_str().unwrap_or_default() {
            "" if field == "labelSelectorPath" => {}
            "" => causes.push(Cause::required(at, "")),
            path => {
                let problem = match path_problem(path) {
                    None if path.contains('[') => Some("must be a json path in the dot notation"),
                    None if !below.iter().any(|prefix| path.starts_with(prefix)) => Some(misplaced),
                    problem => problem,
                };
                causes.extend(problem.map(|problem| Cause::invalid(at, &scale[field], problem)));
            }
        }
    }
    causes
}

fn printer_columns(place: &str, columns: &Value) -> Vec<Cause> {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
    let mut causes = Vec::new();
    for (index, column) in columns.as_array().into_iter().flatten().enumerate() {
        let at = |field: &str| format!("{place}[{index}].{field}");
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        if text("name").is_empty() {
            causes.push(Cause::required(at("name"), ""));
        }
        let one_of = |list: &[&str]| format!("must be one of {}", list.join(","));
        match text("type") {
            "" => causes.push(Cause::required(at("type"), &one_of(&TYPES))),
            kind if !TYPES.contains(&kind) => {
                causes.push(Cause::invalid(at("type"), &column["type"], &one_of(&TYPES)));
            }
            _ => {}
        }
        let format = text("format");
        if !format.is_empty() && !FORMATS.contains(&format) {
            causes.push(Cause::invalid(at("format"), &column["format"], &one_of(&FORMATS)));
        }
        match text("jsonPath") {
            "" => causes.push(Cause::required(at("JSONPath"), "")),
            path => {
                causes.extend(path_problem(path).map(|why| Cause::invalid(at("JSONPath"), &column["jsonPath"], why)));
            }
        }
    }
    causes
}

fn selectable_fields(place: &str, fields: &Value, schema: &Value) -> Vec<Cause> {
    let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut causes = Vec::new();
    if fields.len() > SELECTABLE {
        causes.push(Cause::too_many(place, fields.len(), SELECTABLE as u64));
    }
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{place}[{index}].jsonPath");
        let path = field["jsonPath"].as_str().unwrap_or_default();
        if path.is_empty() {
            causes.push(Cause::required(at, ""));
            continue;
        }
        if fields[..index].iter().any(|other| other["jsonPath"] == field["jsonPath"]) {
            causes.push(Cause::duplicate(at.clone(), &field["jsonPath"]));
        }
        let invalid = |why: &str| Cause::invalid(at.clone(), &field["jsonPath"], why);
        if !path.starts_with('.') {
            causes.push(invalid("is an invalid path: must be a simple json path starting with ."));
            continue;
        }
        let parts = path[1..].split('.');
        let found = parts.into_iter().try_fold(schema, |below, part| below["properties"].get(part));
        match found {
            None => causes.push(invalid("is an invalid path: does not refer to a valid field")),
            Some(_) if path.starts_with(".metadata.") => causes.push(invalid("must not point to fields in metadata")),
            Some(leaf) if !["string", "boolean", "integer"].iter().any(|kind| leaf["type"] == *kind) => {
                causes.push(invalid(
                    "must point to a field of type string, boolean or integer. Enum string fields and \
                                     strings with formats are allowed.",
                ));
            }
            Some(_) => {}
        }
    }
    causes
}

fn has_default(schema: &Value) -> bool {
    schema.get("default").is_some()
        || ["properties"]
            .iter()
            .any(|keyword| schema[*keyword].as_object().is_some_and(|below| below.values().any(has_default)))
        || ["items", "additionalProperties"]
            .iter()
            .any(|keyword| schema.get(*keyword).is_some_and(|below| below.is_object() && has_default(below)))
}

/// A field below a schema, as messages write its place.
pub(super) fn property(at: &str, name: &str) -> String {
    format!("{}[{name}]", joined(at, "properties"))
}
