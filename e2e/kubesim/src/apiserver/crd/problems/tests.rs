use rstest::rstest;

use super::*;
use crate::apiserver::failure::Failure;

fn definition(schema: &Value) -> Value {
    json!({
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "conversion": {"strategy": "None"},
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn message(old: Option<&Value>, definition: &Value) -> String {
    let causes = problems(old, definition);
    if causes.is_empty() { String::new() } else { Failure::invalid("", "X", "x", &causes).message }
}

#[rstest]
#[case::sound(json!({"type": "object", "properties": {"spec": {"type": "object"}}}), "")]
#[case::untyped(json!({"type": "object", "properties": {"spec": {"properties": {}}}}),
    "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields")]
#[case::no_items(json!({"type": "object", "properties": {"l": {"type": "array"}}}),
    "openAPIV3Schema.properties[l].items: Required value: must be specified")]
#[case::root(json!({"type": "array", "items": {"type": "string"}}), "must be object at the root")]
#[case::syntax(json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.("}]}),
    "x-kubernetes-validations[0].rule: Invalid value: \"self.(\": compilation failed")]
#[case::no_field(json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": "self.foo"}]}}}),
    "compilation failed: ERROR: <input>:1:5: undefined field 'foo'\n | self.foo\n | ....^")]
#[case::declared(json!({"type": "object", "properties": {"a": {"type": "integer"}},
    "x-kubernetes-validations": [{"rule": "self.a > 0 && self.metadata.name.startsWith('x')"}]}), "")]
#[case::keys(json!({"type": "object", "properties": {"l": {"type": "array", "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}}),
    "properties[l].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys")]
#[case::default(json!({"type": "object", "properties": {"n": {"type": "integer", "default": "x"}}}),
    "properties[n].default: Invalid value: \"string\"")]
#[case::bound(json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": true}}}), "")]
fn a_schema_must_be_structural(#[case] schema: Value, #[case] expected: &str) {
    let message = message(None, &definition(&schema));
    assert_eq!(message.is_empty(), expected.is_empty(), "{message}");
    assert!(message.contains(expected), "{message}");
}

#[test]
fn the_name_follows_from_plural_and_group() {
    let mut wrong = definition(&json!({"type": "object"}));
    wrong["metadata"]["name"] = json!("other.example.com");
    assert!(message(None, &wrong).ends_with("must be spec.names.plural+\".\"+spec.group"));
}

#[test]
fn what_versions_share_is_said_of_the_definition() {
    let mut two = definition(&json!({"type": "object"}));
    let mut second = two["spec"]["versions"][0].clone();
    second["name"] = json!("v2");
    second["storage"] = json!(false);
    let columns = json!([{"name": "A", "type": "bogus", "jsonPath": ".a"}]);
    two["spec"]["versions"][0]["additionalPrinterColumns"] = columns.clone();
    second["additionalPrinterColumns"] = columns;
    two["spec"]["versions"].as_array_mut().unwrap().push(second.clone());
    assert!(message(None, &two).contains("invalid: spec.additionalPrinterColumns[0].type: "));
    two["spec"]["versions"][1]["additionalPrinterColumns"] = json!([]);
    assert!(message(None, &two).contains("invalid: spec.versions[0].additionalPrinterColumns[0].type: "));
}

#[test]
fn what_is_served_keeps_its_scope_and_kind() {
    let mut old = definition(&json!({"type": "object"}));
    old["status"] = json!({"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]});
    let mut new = old.clone();
    new["spec"]["scope"] = json!("Cluster");
    assert!(message(Some(&old), &new).ends_with("spec.scope: Invalid value: \"Cluster\": field is immutable"));
}
