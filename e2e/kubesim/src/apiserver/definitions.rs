//! Schemas of the built-in types, generated once from the types themselves, with the merge rules they lack.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::builtin;
use super::go_types;
use super::resource::{Definition, Resource};
use super::schema::Node;

/// References to an object whose name may be left out: it is empty then.
const NAMELESS_REFERENCES: &[&str] = &[
    "io.k8s.api.core.v1.ConfigMapEnvSource",
    "io.k8s.api.core.v1.ConfigMapKeySelector",
    "io.k8s.api.core.v1.ConfigMapProjection",
    "io.k8s.api.core.v1.ConfigMapVolumeSource",
    "io.k8s.api.core.v1.LocalObjectReference",
    "io.k8s.api.core.v1.SecretEnvSource",
    "io.k8s.api.core.v1.SecretKeySelector",
    "io.k8s.api.core.v1.SecretProjection",
];

/// All component schemas by type name, as the OpenAPI documents carry them.
pub(super) fn definitions() -> &'static Map<String, Value> {
    static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(generate);
    &DEFINITIONS
}

/// The schema of a resource, built in or custom; `None` for a custom resource without one.
pub(super) fn schema_of(resource: &Resource) -> Option<Node<'_>> {
    match &resource.definition {
        Definition::Builtin { name, .. } => {
            let definitions = definitions();
            let (name, schema) = definitions.get_key_value(name().as_ref())?;
            Some(Node::new(definitions, schema).named(name))
        }
        Definition::Custom(version) => version.node(),
    }
}

fn generate() -> Map<String, Value> {
    let mut settings = SchemaSettings::openapi3();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    for resource in builtin::resources() {
        if let Definition::Builtin { generate, .. } = resource.definition {
            generate(&mut generator);
        }
    }
    let mut definitions = generator.take_definitions(true);
    for (name, schema) in &mut definitions {
        annotate(name, schema);
    }
    definitions
}

/// Adds what the published schemas say about merging, which the types lack.
fn annotate(name: &str, schema: &mut Value) {
    let rules = go_types::rules().get(name);
    if rules.is_some_and(|rules| rules.atomic) {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    if NAMELESS_REFERENCES.contains(&name)
        && let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut)
    {
        required.retain(|field| field != "name");
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (field, property) in properties.iter_mut() {
        if let Some(rule) = rules.and_then(|rules| rules.fields.get(field)) {
            let known = [
                ("x-kubernetes-list-type", rule.list_type.as_ref()),
                ("x-kubernetes-patch-strategy", rule.strategy.as_ref()),
                ("x-kubernetes-patch-merge-key", rule.merge_key.as_ref()),
            ];
            for (key, value) in known {
                if let Some(value) = value {
                    property[key] = json!(value);
                }
            }
            if !rule.list_keys.is_empty() {
                property["x-kubernetes-list-map-keys"] = json!(rule.list_keys);
            }
            if rule.atomic {
                property["x-kubernetes-map-type"] = json!("atomic");
            }
        }
        // OpenAPI 3.0 ignores what stands beside a reference, so the description moves around it.
        if let Some(reference) = property.as_object_mut().and_then(|property| property.remove("$ref")) {
            property["allOf"] = json!([{ "$ref": reference }]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::schema::ListType;

    #[test]
    fn a_reference_may_leave_its_name_out() {
        for name in NAMELESS_REFERENCES {
            let schema = &definitions()[*name];
            assert!(schema["properties"]["name"].is_object(), "{name} has no name");
            let required = schema["required"].as_array();
            assert!(required.is_none_or(|required| required.iter().all(|field| field != "name")), "{name}");
        }
    }

    #[test]
    fn lists_merge_by_the_keys_the_published_schemas_name() {
        let ports = &definitions()["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"];
        assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["port", "protocol"]));
        assert_eq!(ports["x-kubernetes-patch-merge-key"], "port");
        assert_eq!(definitions()["io.k8s.api.rbac.v1.RoleRef"]["x-kubernetes-map-type"], "atomic");
    }

    #[test]
    fn a_pod_template_leads_to_its_containers() {
        let definitions = definitions();
        let deployment = Node::new(definitions, &definitions["io.k8s.api.apps.v1.Deployment"]);
        let containers = ["spec", "template", "spec", "containers"]
            .iter()
            .try_fold(deployment, |node, field| node.field(field))
            .expect("declared");
        assert!(matches!(containers.list_type(), ListType::Map(keys) if keys == [json!("name")]));
        assert_eq!(containers.items().and_then(Node::type_name), Some("io.k8s.api.core.v1.Container"));
    }
}
