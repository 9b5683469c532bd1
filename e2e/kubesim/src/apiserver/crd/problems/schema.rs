//! A schema that pruning, defaulting and server-side apply can follow: every field has a type, and nothing is said twice.

use serde_json::{Value, json};

use super::super::instance::{CustomVersion, plain};
use super::expressions;
use super::versions::property;
use crate::apiserver::failure::Cause;

/// Where in a schema something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Everything wrong with the schema at `at`.
pub(super) fn causes(at: &str, schema: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if schema["nullable"] == true {
        causes.push(Cause::forbidden(format!("{at}.nullable"), "nullable cannot be true at the root"));
    }
    let before = causes.len();
    walk(at, schema, Level::Root, &mut causes);
    if causes.len() == before {
        // What cannot be followed cannot be compiled either.
        if let Err(error) = jsonschema::options().build(&plain(schema)) {
            causes.push(Cause::invalid(at, &json!(""), &format!("cannot be compiled: {error}")));
        }
        defaults(at, schema, &mut causes);
    }
    causes
}

fn walk(at: &str, schema: &Value, level: Level, causes: &mut Vec<Cause>) {
    typed(at, schema, level, causes);
    unsupported(at, schema, causes);
    lists(at, schema, causes);
    extensions(at, schema, causes);
    rules(at, schema, level, causes);
    if let Some(pattern) = schema["pattern"].as_str()
        && jsonschema::options().build(&json!({ "pattern": pattern })).is_err()
    {
        let detail = "must be a valid regular expression, but isn't";
        causes.push(Cause::invalid(format!("{at}.pattern"), &schema["pattern"], detail));
    }
    for list in ["allOf", "anyOf", "oneOf"] {
        for (index, junct) in schema[list].as_array().into_iter().flatten().enumerate() {
            only_values(&format!("{at}.{list}[{index}]"), junct, schema, causes);
        }
    }
    if schema["not"].is_object() {
        only_values(&format!("{at}.not"), &schema["not"], schema, causes);
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let place = property(at, name);
        let implied = name == "metadata" && (level == Level::Root || schema["x-kubernetes-embedded-resource"] == true);
        if implied {
            metadata(&place, below, causes);
        }
        walk(&place, below, Level::Field, causes);
    }
    if schema["items"].is_object() {
        walk(&format!("{at}.items"), &schema["items"], Level::Item, causes);
    }
    if schema["additionalProperties"].is_object() {
        walk(&format!("{at}.additionalProperties"), &schema["additionalProperties"], Level::Field, causes);
    }
}

fn typed(at: &str, schema: &Value, level: Level, causes: &mut Vec<Cause>) {
    const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
    let kind = schema["type"].as_str().unwrap_or_default();
    let field = format!("{at}.type");
    let free = schema["x-kubernetes-int-or-string"] == true || schema["x-kubernetes-preserve-unknown-fields"] == true;
    match (kind, level) {
        ("", Level::Root) => causes.push(Cause::required(field, "must not be empty at the root")),
        ("", _) if free => {}
        ("", Level::Item) => causes.push(Cause::required(field, "must not be empty for specified array items")),
        ("", Level::Field) => causes.push(Cause::required(field, "must not be empty for specified object fields")),
        ("null", _) => {
            causes.push(Cause::forbidden(field, "type cannot be set to null, use nullable as an alternative"));
        }
        (kind, _) if !TYPES.contains(&kind) => {
            causes.push(Cause::unsupported(field, &schema["type"], &TYPES.map(ToOwned::to_owned)));
        }
        (kind, Level::Root) if kind != "object" => {
            causes.push(Cause::invalid(field, &schema["type"], "must be object at the root"));
        }
        _ => {}
    }
}

/// Keywords of JSON schema that definitions do not have.
fn unsupported(at: &str, schema: &Value, causes: &mut Vec<Cause>) {
    for keyword in ["$ref", "$schema", "id", "definitions", "dependencies", "additionalItems", "patternProperties"] {
        if schema.get(keyword).is_some_and(|value| !value.is_null()) {
            let shown = keyword.trim_start_matches("$s");
            let name = if keyword == "$schema" { "schema" } else { shown };
            causes.push(Cause::forbidden(format!("{at}.{keyword}"), &format!("{name} is not supported")));
        }
    }
    if schema["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.push(Cause::forbidden(format!("{at}.uniqueItems"), detail));
    }
    if schema["items"].is_array() {
        causes.push(Cause::forbidden(format!("{at}.items"), "items must be a schema object and not an array"));
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            let detail = "additionalProperties cannot be set to false";
            causes.push(Cause::forbidden(format!("{at}.additionalProperties"), detail));
        }
        Some(Value::Object(_)) if schema.get("properties").is_some_and(Value::is_object) => {
            let detail = "additionalProperties and properties are mutual exclusive";
            causes.push(Cause::forbidden(format!("{at}.additionalProperties"), detail));
        }
        _ => {}
    }
    if schema["type"] == "array" && schema.get("items").is_none_or(Value::is_null) {
        causes.push(Cause::required(format!("{at}.items"), "must be specified"));
    }
}

fn lists(at: &str, schema: &Value, causes: &mut Vec<Cause>) {
    const LIST_TYPE: &str = "x-kubernetes-list-type";
    const KEYS: &str = "x-kubernetes-list-map-keys";
    let keys: Vec<&str> = schema[KEYS].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(kind) = schema[LIST_TYPE].as_str() {
        let known = ["atomic", "map", "set"].map(ToOwned::to_owned);
        if !known.iter().any(|known| known == kind) {
            causes.push(Cause::unsupported(format!("{at}.{LIST_TYPE}"), &schema[LIST_TYPE], &known));
        } else if schema["type"] != "array" {
            let detail = format!("must be array if {LIST_TYPE} is specified");
            causes.push(Cause::invalid(format!("{at}.type"), &schema["type"], &detail));
        }
    }
    let map = schema[LIST_TYPE] == "map";
    if !map {
        if !keys.is_empty() {
            let (detail, value) = (format!("must be map if {KEYS} is non-empty"), &schema[LIST_TYPE]);
            if value.is_null() {
                causes.push(Cause::required(format!("{at}.{LIST_TYPE}"), &detail));
            } else {
                causes.push(Cause::invalid(format!("{at}.{LIST_TYPE}"), value, &detail));
            }
        }
        return;
    }
    let items = &schema["items"];
    if items["type"] != "object" {
        let detail = format!("must be object if parent array's {LIST_TYPE} is map");
        causes.push(Cause::invalid(format!("{at}.items.type"), &items["type"], &detail));
    }
    if keys.is_empty() {
        causes.push(Cause::required(format!("{at}.{KEYS}"), &format!("must not be empty if {LIST_TYPE} is map")));
    }
    for (index, key) in keys.iter().enumerate() {
        let place = format!("{at}.{KEYS}[{index}]");
        if keys[..index].contains(key) {
            causes.push(Cause::duplicate(place.clone(), &json!(key)));
        }
        let Some(declared) = items["properties"].get(*key) else {
            causes.push(Cause::invalid(place, &json!(key), "entries must all be names of item properties"));
            continue;
        };
        let field = property(&format!("{at}.items"), key);
        if declared["type"] == "array" || declared["type"] == "object" {
            let detail = format!("must be a scalar type if parent array's {LIST_TYPE} is map");
            causes.push(Cause::invalid(format!("{field}.type"), &declared["type"], &detail));
        }
        if declared["nullable"] == true {
            let detail = format!("this property is in {KEYS}, so it cannot be nullable");
            causes.push(Cause::forbidden(format!("{field}.nullable"), &detail));
        }
        let required = items["required"].as_array().is_some_and(|all| all.iter().any(|name| name == key));
        if declared.get("default").is_none() && !required {
            let detail = format!("this property is in {KEYS}, so it must have a default or be a required property");
            causes.push(Cause::required(format!("{field}.default"), &detail));
        }
    }
}

fn extensions(at: &str, schema: &Value, causes: &mut Vec<Cause>) {
    const MAP_TYPE: &str = "x-kubernetes-map-type";
    if let Some(kind) = schema[MAP_TYPE].as_str() {
        let known = ["atomic", "granular"].map(ToOwned::to_owned);
        if !known.iter().any(|known| known == kind) {
            causes.push(Cause::unsupported(format!("{at}.{MAP_TYPE}"), &schema[MAP_TYPE], &known));
        } else if schema["type"] != "object" {
            let detail = format!("must be object if {MAP_TYPE} is specified");
            causes.push(Cause::invalid(format!("{at}.type"), &schema["type"], &detail));
        }
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    if schema["x-kubernetes-int-or-string"] == true && !kind.is_empty() {
        let detail = "must be empty if x-kubernetes-int-or-string is true";
        causes.push(Cause::invalid(format!("{at}.type"), &schema["type"], detail));
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let detail = "must be true or undefined";
        causes.push(Cause::invalid(format!("{at}.x-kubernetes-preserve-unknown-fields"), &json!(false), detail));
    }
    if schema["x-kubernetes-embedded-resource"] == true {
        if kind != "object" {
            let detail = "must be object if x-kubernetes-embedded-resource is true";
            causes.push(Cause::invalid(format!("{at}.type"), &schema["type"], detail));
        }
        if schema["x-kubernetes-preserve-unknown-fields"] != true && !schema["properties"].is_object() {
            let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                          x-kubernetes-preserve-unknown-fields";
            causes.push(Cause::required(format!("{at}.properties"), detail));
        }
    }
}

/// The metadata of an object are known; a definition may narrow its names only.
fn metadata(at: &str, schema: &Value, causes: &mut Vec<Cause>) {
    let other = schema
        .as_object()
        .into_iter()
        .flatten()
        .any(|(keyword, _)| !matches!(keyword.as_str(), "type" | "properties" | "description" | "default"));
    let fields = schema["properties"].as_object().into_iter().flatten();
    let others = fields.into_iter().any(|(name, _)| name != "name" && name != "generateName");
    if other || others {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        causes.push(Cause::forbidden(at, detail));
    }
}

/// In `allOf` and its kin only values are said, of fields that are declared outside of them.
fn only_values(at: &str, junct: &Value, outside: &Value, causes: &mut Vec<Cause>) {
    let int_or_string = outside["x-kubernetes-int-or-string"] == true;
    let forbidden = [
        "type",
        "default",
        "title",
        "description",
        "nullable",
        "additionalProperties",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    ];
    for keyword in forbidden {
        let given = junct.get(keyword).is_some_and(|value| !value.is_null() && *value != false);
        if given && !(int_or_string && keyword == "type") {
            let state = if keyword == "additionalProperties" || keyword == "default" { "undefined" } else { "empty" };
            let state = if junct[keyword] == true { "false" } else { state };
            causes.push(Cause::forbidden(format!("{at}.{keyword}"), &format!("must be {state} to be structural")));
        }
    }
    for (name, below) in junct["properties"].as_object().into_iter().flatten() {
        let place = property(at, name);
        match outside["properties"].get(name) {
            Some(declared) => only_values(&place, below, declared, causes),
            None if outside["additionalProperties"].is_object() => {}
            None => {
                let declared = property(at.rsplit_once('.').map_or(at, |(outer, _)| outer), name);
                causes.push(Cause::required(declared, &format!("because it is defined in {place}")));
            }
        }
    }
    if junct["items"].is_object() {
        only_values(&format!("{at}.items"), &junct["items"], &outside["items"], causes);
    }
    for list in ["allOf", "anyOf", "oneOf"] {
        for (index, inner) in junct[list].as_array().into_iter().flatten().enumerate() {
            only_values(&format!("{at}.{list}[{index}]"), inner, outside, causes);
        }
    }
}

/// Rules that do not compile are refused with the definition, not with each instance.
fn rules(at: &str, schema: &Value, level: Level, causes: &mut Vec<Cause>) {
    const RULES: &str = "x-kubernetes-validations";
    const REASONS: [&str; 4] =
        ["FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"];
    for (index, rule) in schema[RULES].as_array().into_iter().flatten().enumerate() {
        let place = format!("{at}.{RULES}[{index}]");
        let text = rule["rule"].as_str().unwrap_or_default();
        if text.trim().is_empty() {
            causes.push(Cause::required(format!("{place}.rule"), "rule is not specified"));
            continue;
        }
        let message = rule["message"].as_str().unwrap_or_default();
        if rule.get("message").is_some() && message.trim().is_empty() {
            let detail = "message must be non-empty if specified";
            causes.push(Cause::invalid(format!("{place}.message"), &rule["message"], detail));
        }
        if message.contains('\n') {
            let detail = "message must not contain line breaks";
            causes.push(Cause::invalid(format!("{place}.message"), &rule["message"], detail));
        } else if message.is_empty() && text.contains('\n') && rule["messageExpression"].is_null() {
            let detail = "message must be specified if rule contains line breaks";
            causes.push(Cause::required(format!("{place}.message"), detail));
        }
        if let Some(reason) = rule["reason"].as_str()
            && !REASONS.contains(&reason)
        {
            causes.push(Cause::unsupported(
                format!("{place}.reason"),
                &rule["reason"],
                &REASONS.map(ToOwned::to_owned),
            ));
        }
        if rule["optionalOldSelf"] == true && !text.contains("oldSelf") {
            let detail = "may not be set if oldSelf is not used in rule";
            causes.push(Cause::invalid(format!("{place}.optionalOldSelf"), &json!(true), detail));
        }
        let error = expressions::problem(text, schema, level == Level::Root);
        causes.extend(error.map(|error| Cause::invalid(format!("{place}.rule"), &Value::from(text), &error)));
    }
}

/// Defaults are values of what they stand for.
fn defaults(at: &str, schema: &Value, causes: &mut Vec<Cause>) {
    if let Some(default) = schema.get("default") {
        let place = format!("{at}.default");
        if default.is_null() && schema["nullable"] != true {
            // A null is pruned before it is ever used.
        } else {
            let mut filled = default.clone();
            let version = CustomVersion::new(&json!({"schema": {"openAPIV3Schema": schema}}));
            version.fill(&mut filled);
            causes.extend(version.default_causes(&place, &filled));
        }
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        defaults(&property(at, name), below, causes);
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            defaults(&format!("{at}.{keyword}"), &schema[keyword], causes);
        }
    }
}
