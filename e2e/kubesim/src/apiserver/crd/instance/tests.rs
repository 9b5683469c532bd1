use rstest::rstest;

use super::*;
use crate::apiserver::builtin;

fn version() -> CustomVersion {
    CustomVersion::new(&json!({"schema": {"openAPIV3Schema": {
        "type": "object",
        "properties": {"spec": {
            "type": "object",
            "required": ["modelID", "scaleTargetRef"],
            "properties": {
                "modelID": {"type": "string", "minLength": 1},
                "variantCost": {"type": "string", "pattern": "^\\d+(\\.\\d+)?$", "default": "10.0"},
                "min": {"type": "integer", "minimum": 0, "maximum": 9},
                "max": {"type": "integer"},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "scaleTargetRef": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"kind": {"type": "string", "default": "Deployment"}, "name": {"type": "string"}},
                },
                "port": {"x-kubernetes-int-or-string": true},
            },
            "x-kubernetes-validations": [
                {"rule": "!has(self.max) || !has(self.min) || self.min <= self.max", "message": "min must not exceed max"},
                {"rule": "self.modelID == oldSelf.modelID", "message": "modelID is immutable"},
            ],
        }},
    }}}))
}

fn things() -> Resource {
    let template = builtin::resources().remove(0);
    Resource { group: "example.com".to_owned(), kind: "Thing".to_owned(), ..template }
}

fn instance() -> Value {
    json!({
        "metadata": {"name": "x"},
        "spec": {"modelID": "m", "min": 1, "max": 3, "mode": "a", "variantCost": "1", "port": "http",
                 "scaleTargetRef": {"name": "d"}},
    })
}

fn refusal(old: Option<&Value>, object: &mut Value) -> String {
    let version = version();
    version.fill(object);
    version.admit(&things(), old, object).map_or_else(|failure| failure.message, |()| String::new())
}

#[test]
fn defaults_reach_into_nested_objects() {
    let mut object = instance();
    object["spec"]["variantCost"] = Value::Null;
    assert_eq!(refusal(None, &mut object), "");
    assert_eq!(object["spec"]["variantCost"], "10.0");
    assert_eq!(object["spec"]["scaleTargetRef"]["kind"], "Deployment");
}

#[rstest]
#[case::wrong_type(true, "/spec/min", json!("one"), "spec.min: Invalid value: \"string\": spec.min in body must be of type integer: \"string\"")]
#[case::below(false, "/spec/min", json!(-1), "spec.min: Invalid value: -1: spec.min in body should be greater than or equal to 0")]
#[case::above(false, "/spec/min", json!(10), "spec.min: Invalid value: 10: spec.min in body should be less than or equal to 9")]
#[case::pattern(false, "/spec/variantCost", json!("x"),
    "spec.variantCost: Invalid value: \"x\": spec.variantCost in body should match '^\\d+(\\.\\d+)?$'")]
#[case::unlisted(true, "/spec/mode", json!("c"), "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"")]
#[case::short(false, "/spec/modelID", json!(""), "spec.modelID: Invalid value: \"\": spec.modelID in body should be at least 1 chars long")]
#[case::required(true, "/spec/scaleTargetRef", json!({}), "spec.scaleTargetRef.name: Required value")]
fn schema_errors_read_as_the_real_server_writes_them(
    #[case] keeps_from_rules: bool,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] expected: &str,
) {
    let mut object = instance();
    *object.pointer_mut(pointer).expect("exists") = value;
    let message = refusal(None, &mut object);
    assert!(message.contains(expected), "{message}");
    // Rules are not evaluated on an object that lacks its shape.
    assert_eq!(message.contains("<nil>: "), keeps_from_rules, "{message}");
}

#[test]
fn rules_see_the_object_and_its_past() {
    let mut object = instance();
    object["spec"]["max"] = json!(0);
    assert_eq!(
        refusal(None, &mut object),
        "Thing.example.com \"x\" is invalid: spec: Invalid value: min must not exceed max"
    );
    let mut renamed = instance();
    renamed["spec"]["modelID"] = json!("other");
    assert_eq!(refusal(None, &mut renamed), "", "a creation has no past");
    assert!(refusal(Some(&instance()), &mut renamed).ends_with("modelID is immutable"));
}

#[test]
fn int_or_string_takes_both() {
    for port in [json!(80), json!("http")] {
        let mut object = instance();
        object["spec"]["port"] = port;
        assert_eq!(refusal(None, &mut object), "");
    }
    let mut object = instance();
    object["spec"]["port"] = json!(true);
    assert!(refusal(None, &mut object).contains("spec.port: Invalid value"));
}
