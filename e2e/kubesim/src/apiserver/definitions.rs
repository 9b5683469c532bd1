//! Schemas of the built-in types, generated once from the types themselves, with the merge rules they lack.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::builtin;
use super::resource::{Definition, Resource};
use super::schema::Node;

/// Lists merged by key: type, field, key fields. The first key is also the one of strategic merge.
const KEYED_LISTS: &[(&str, &str, &[&str])] = &[
    ("io.k8s.api.core.v1.Container", "env", &["name"]),
    ("io.k8s.api.core.v1.Container", "ports", &["containerPort", "protocol"]),
    ("io.k8s.api.core.v1.Container", "volumeDevices", &["devicePath"]),
    ("io.k8s.api.core.v1.Container", "volumeMounts", &["mountPath"]),
    ("io.k8s.api.core.v1.EphemeralContainer", "env", &["name"]),
    ("io.k8s.api.core.v1.EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("io.k8s.api.core.v1.EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("io.k8s.api.core.v1.NodeStatus", "addresses", &["type"]),
    ("io.k8s.api.core.v1.PodSpec", "containers", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "ephemeralContainers", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "hostAliases", &["ip"]),
    ("io.k8s.api.core.v1.PodSpec", "imagePullSecrets", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "initContainers", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "resourceClaims", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "schedulingGates", &["name"]),
    ("io.k8s.api.core.v1.PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("io.k8s.api.core.v1.PodSpec", "volumes", &["name"]),
    ("io.k8s.api.core.v1.PodStatus", "podIPs", &["ip"]),
    ("io.k8s.api.core.v1.ResourceRequirements", "claims", &["name"]),
    ("io.k8s.api.core.v1.ServiceAccount", "secrets", &["name"]),
    ("io.k8s.api.core.v1.ServiceSpec", "ports", &["port", "protocol"]),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", &["uid"]),
];

/// Fields that change owner as a whole although their type is a map.
const ATOMIC_FIELDS: &[(&str, &str)] = &[
    ("io.k8s.api.core.v1.PodSpec", "nodeSelector"),
    ("io.k8s.api.core.v1.ReplicationControllerSpec", "selector"),
    ("io.k8s.api.core.v1.ServiceSpec", "selector"),
];

/// Structs that change owner as a whole wherever they are used.
const ATOMIC_TYPES: &[&str] = &[
    "io.k8s.api.core.v1.ConfigMapKeySelector",
    "io.k8s.api.core.v1.LocalObjectReference",
    "io.k8s.api.core.v1.NodeSelector",
    "io.k8s.api.core.v1.NodeSelectorTerm",
    "io.k8s.api.core.v1.ObjectFieldSelector",
    "io.k8s.api.core.v1.ObjectReference",
    "io.k8s.api.core.v1.ResourceFieldSelector",
    "io.k8s.api.core.v1.SecretKeySelector",
    "io.k8s.api.core.v1.SecretReference",
    "io.k8s.api.core.v1.TopologySelectorTerm",
    "io.k8s.api.core.v1.TypedLocalObjectReference",
    "io.k8s.api.networking.v1.ServiceBackendPort",
    "io.k8s.api.rbac.v1.RoleRef",
    "io.k8s.api.rbac.v1.Subject",
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
];

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
            Some(Node::new(definitions, definitions.get(name().as_ref())?))
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

fn annotate(name: &str, schema: &mut Value) {
    if ATOMIC_TYPES.contains(&name) {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    if NAMELESS_REFERENCES.contains(&name)
        && let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut)
    {
        required.retain(|field| field != "name");
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (field, property) in properties.iter_mut() {
        let keyed = KEYED_LISTS.iter().find(|(type_name, list, _)| *type_name == name && list == field);
        let keys = keyed.map(|(_, _, keys)| *keys).or_else(|| (field == "conditions").then_some(&["type"][..]));
        if let Some(keys) = keys
            && property["type"] == "array"
        {
            property["x-kubernetes-list-type"] = json!("map");
            property["x-kubernetes-list-map-keys"] = json!(keys);
            property["x-kubernetes-patch-strategy"] = json!("merge");
            property["x-kubernetes-patch-merge-key"] = json!(keys[0]);
        }
        if field == "finalizers" && property["type"] == "array" {
            property["x-kubernetes-list-type"] = json!("set");
            property["x-kubernetes-patch-strategy"] = json!("merge");
        }
        if ATOMIC_FIELDS.contains(&(name, field.as_str())) {
            property["x-kubernetes-map-type"] = json!("atomic");
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
    fn every_merge_rule_names_an_existing_field() {
        let definitions = definitions();
        let fields = KEYED_LISTS.iter().map(|(name, field, _)| (*name, *field)).chain(ATOMIC_FIELDS.iter().copied());
        for (name, field) in fields {
            assert!(definitions[name]["properties"][field].is_object(), "{name} has no field {field}");
        }
        for name in ATOMIC_TYPES.iter().filter(|name| definitions.contains_key(**name)) {
            assert_eq!(definitions[*name]["x-kubernetes-map-type"], "atomic");
        }
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
