//! What makes a definition unusable: a schema that is not structural, names that do not fit together.

use serde_json::Value;

use super::instance::plain;
use crate::apiserver::failure::Cause;
use crate::apiserver::fields::joined;

/// Everything wrong with a definition that has all its required fields.
pub(in crate::apiserver) fn problems(definition: &Value) -> Vec<Cause> {
    let spec = &definition["spec"];
    let mut causes = Vec::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let expected = format!("{plural}.{group}");
    if definition["metadata"]["name"] != expected.as_str() {
        let name = &definition["metadata"]["name"];
        causes.push(Cause::invalid(
            "metadata.name",
            name,
            &format!("must be spec.names.plural+\".\"+spec.group, {expected:?}"),
        ));
    }
    if !group.contains('.') {
        causes.push(Cause::invalid("spec.group", &spec["group"], "should be a domain with at least one dot"));
    }
    let scopes = ["Cluster", "Namespaced"].map(ToOwned::to_owned);
    if !scopes.iter().any(|scope| spec["scope"] == scope.as_str()) {
        causes.push(Cause::unsupported("spec.scope", &spec["scope"], &scopes));
    }
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let storage = versions.iter().filter(|version| version["storage"] == true).count();
    if storage != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], detail));
    }
    for (index, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
        let Some(schema) = version.pointer("/schema/openAPIV3Schema") else {
            causes.push(Cause::required(at, "schemas are required"));
            continue;
        };
        if schema["type"] != "object" {
            causes.push(Cause::invalid(format!("{at}.type"), &schema["type"], "must be object at the root"));
        }
        structural(schema, &at, &mut causes);
        if let Err(error) = jsonschema::options().build(&plain(schema)) {
            causes.push(Cause::invalid(at.clone(), &Value::from("object"), &format!("cannot be compiled: {error}")));
        }
        rules(schema, &at, &mut causes);
    }
    causes
}

/// Every field has a type, and nothing is said in a way that pruning and defaulting could not follow.
fn structural(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let typed = schema["type"].is_string()
        || schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if !typed {
        causes.push(Cause::required(format!("{at}.type"), "must not be empty for specified object fields"));
    }
    if schema.get("$ref").is_some() {
        causes.push(Cause::forbidden(format!("{at}.$ref"), "$ref is not supported"));
    }
    if schema["type"] == "array" && !schema["items"].is_object() {
        causes.push(Cause::required(format!("{at}.items"), "must be specified"));
    }
    let has_both = schema.get("properties").is_some() && schema.get("additionalProperties").is_some();
    if has_both {
        causes.push(Cause::forbidden(
            format!("{at}.additionalProperties"),
            "additionalProperties and properties are mutual exclusive",
        ));
    }
    if schema["x-kubernetes-list-type"] == "map" {
        let keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
        if keys.is_empty() {
            let detail = "must not be empty if x-kubernetes-list-type is map";
            causes.push(Cause::required(format!("{at}.x-kubernetes-list-map-keys"), detail));
        }
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        structural(below, &joined(&format!("{at}.properties"), &format!("[{name}]")).replace(".[", "["), causes);
    }
    if schema["items"].is_object() {
        structural(&schema["items"], &format!("{at}.items"), causes);
    }
    if schema["additionalProperties"].is_object() {
        structural(&schema["additionalProperties"], &format!("{at}.additionalProperties"), causes);
    }
}

/// Rules that do not compile are refused with the definition, not with each instance.
fn rules(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let compiled = kube_cel::compile_schema(schema);
    for error in compiled.compilation_errors() {
        let field = format!("{at}.x-kubernetes-validations");
        causes.push(Cause::invalid(field, &Value::from("rule"), &format!("compilation failed: {error}")));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::apiserver::failure::Failure;

    fn definition(schema: &Value) -> Value {
        json!({
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        })
    }

    #[rstest]
    #[case::sound(json!({"type": "object", "properties": {"spec": {"type": "object"}}}), "")]
    #[case::untyped(json!({"type": "object", "properties": {"spec": {"properties": {}}}}),
        "openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields")]
    #[case::no_items(json!({"type": "object", "properties": {"l": {"type": "array"}}}),
        "openAPIV3Schema.properties[l].items: Required value: must be specified")]
    #[case::bad_rule(json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.("}]}), "compilation failed")]
    fn a_schema_must_be_structural(#[case] schema: Value, #[case] expected: &str) {
        let causes = problems(&definition(&schema));
        let message = Failure::invalid("apiextensions.k8s.io", "CustomResourceDefinition", "x", &causes).message;
        assert_eq!(causes.is_empty(), expected.is_empty(), "{message}");
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn the_name_follows_from_plural_and_group() {
        let mut wrong = definition(&json!({"type": "object"}));
        wrong["metadata"]["name"] = json!("other.example.com");
        let message = Failure::invalid("", "X", "x", &problems(&wrong)).message;
        assert!(message.contains("must be spec.names.plural+\".\"+spec.group, \"things.example.com\""), "{message}");
    }
}
