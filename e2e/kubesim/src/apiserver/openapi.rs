//! OpenAPI v3: an index of group versions, and for each the paths and schemas clients look at.
//!
//! kubectl and helm read two things from it: that `patch` takes `fieldValidation`, which makes them leave validation to
//! the server, and the component schemas, which `kubectl explain` prints.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::catalog::Catalog;
use super::definitions::definitions;
use super::failure::Failure;
use super::resource::{Definition, Resource};

const REF_PREFIX: &str = "#/components/schemas/";

/// Parameters of every write.
const WRITE_PARAMETERS: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

/// Bodies a patch may have. The last one needs merge rules, which custom resources lack: kubectl looks here.
const PATCH_TYPES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// `/openapi/v3`: where the document of each group version is.
pub(super) fn index(catalog: &Catalog) -> Value {
    let versions = catalog.groups().into_iter().flat_map(|group| {
        group.versions.into_iter().map(move |version| match group.name.as_str() {
            "" => format!("api/{version}"),
            name => format!("apis/{name}/{version}"),
        })
    });
    let paths: Map<String, Value> = versions
        .map(|path| {
            let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}")});
            (path, url)
        })
        .collect();
    json!({"paths": paths})
}

/// `/openapi/v3/…`: the document of one group version.
pub(super) fn document(catalog: &Catalog, group: &str, version: &str) -> Result<Value, Failure> {
    let resources: Vec<_> = catalog.of(group, version).collect();
    if resources.is_empty() {
        return Err(Failure::nothing());
    }
    let custom = resources.iter().all(|resource| resource.custom().is_some());
    let title = if custom { "Kubernetes CRD Swagger" } else { "Kubernetes" };
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in resources {
        add_paths(resource, &mut paths);
        add_schema(resource, &mut schemas);
    }
    add_referenced(&mut schemas);
    Ok(json!({
        "openapi": "3.0.0",
        "info": {"title": title, "version": "v1.36.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// `/openapi/v2`: everything in one document, as older clients read it.
pub(super) fn swagger(catalog: &Catalog) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for group in catalog.groups() {
        for version in &group.versions {
            for resource in catalog.of(&group.name, version) {
                add_paths(resource, &mut paths);
                add_schema(resource, &mut schemas);
            }
        }
    }
    add_referenced(&mut schemas);
    let (mut paths, mut definitions) = (Value::Object(paths), Value::Object(schemas));
    for part in [&mut paths, &mut definitions] {
        outdate(part);
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "definitions": definitions,
    })
}

/// Writes what version 3 says as version 2 has it.
fn outdate(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = reference.replace(REF_PREFIX, "#/definitions/");
            }
            if let Some(body) = fields.remove("requestBody") {
                let types: Vec<&String> = body["content"].as_object().into_iter().flat_map(Map::keys).collect();
                fields.insert("consumes".to_owned(), json!(types));
            }
            if fields.get("in").is_some_and(|place| place == "query") {
                fields.remove("schema");
                fields.insert("type".to_owned(), json!("string"));
            }
            fields.values_mut().for_each(outdate);
        }
        Value::Array(items) => items.iter_mut().for_each(outdate),
        _ => {}
    }
}

fn add_paths(resource: &Resource, paths: &mut Map<String, Value>) {
    let root = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        _ => format!("/apis/{}", resource.api_version()),
    };
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{root}{scope}/{}", resource.plural);
    paths.insert(collection.clone(), json!({"get": operation(resource, &[]), "post": operation(resource, &[])}));
    if !resource.create_only {
        let mut item = json!({});
        for verb in ["get", "put", "delete"] {
            item[verb] = operation(resource, &[]);
        }
        let known = if resource.custom().is_some() { PATCH_TYPES.len() - 1 } else { PATCH_TYPES.len() };
        item["patch"] = operation(resource, &PATCH_TYPES[..known]);
        paths.insert(format!("{collection}/{{name}}"), item);
    }
}

fn operation(resource: &Resource, bodies: &[&str]) -> Value {
    let parameter = |name: &&str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let parameters: Vec<Value> = WRITE_PARAMETERS.iter().map(parameter).collect();
    let mut operation = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": resource.gvk(),
    });
    if !bodies.is_empty() {
        let content: Map<String, Value> =
            bodies.iter().map(|body| ((*body).to_owned(), json!({"schema": {"type": "object"}}))).collect();
        operation["requestBody"] = json!({"content": content});
    }
    operation
}

/// The schema of a resource, marked with its kind: that is how `explain` finds it.
fn add_schema(resource: &Resource, schemas: &mut Map<String, Value>) {
    let (name, mut schema) = match &resource.definition {
        Definition::Builtin { name, .. } => {
            let Some(schema) = definitions().get(name().as_ref()) else { return };
            (name().into_owned(), schema.clone())
        }
        Definition::Custom(version) => {
            let mut schema = version.schema().cloned().unwrap_or_else(|| json!({"type": "object"}));
            let property = |description: &str| json!({"type": "string", "description": description});
            schema["properties"]["apiVersion"] = property("APIVersion defines the versioned schema of this object.");
            schema["properties"]["kind"] = property("Kind is the type of this object.");
            let metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
            schema["properties"]["metadata"] = json!({"allOf": [{"$ref": format!("{REF_PREFIX}{metadata}")}]});
            let mut labels: Vec<&str> = resource.group.split('.').rev().collect();
            labels.extend([resource.version.as_str(), resource.kind.as_str()]);
            (labels.join("."), schema)
        }
    };
    // One type may be served under several kinds of path; each adds itself.
    let kinds = schemas.get(&name).and_then(|known| known["x-kubernetes-group-version-kind"].as_array().cloned());
    let mut kinds = kinds.unwrap_or_default();
    kinds.push(resource.gvk());
    schema["x-kubernetes-group-version-kind"] = Value::from(kinds);
    schemas.insert(name, schema);
}

/// Adds every built-in schema that those present refer to.
fn add_referenced(schemas: &mut Map<String, Value>) {
    let mut wanted = BTreeSet::new();
    schemas.values().for_each(|schema| references(schema, &mut wanted));
    while let Some(name) = wanted.pop_first() {
        if !schemas.contains_key(&name)
            && let Some(schema) = definitions().get(&name)
        {
            references(schema, &mut wanted);
            schemas.insert(name, schema.clone());
        }
    }
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix(REF_PREFIX)) {
                found.insert(name.to_owned());
            }
            fields.values().for_each(|below| references(below, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_version_in_the_index_has_a_document() {
        let catalog = Catalog::new();
        for group in catalog.groups() {
            for version in &group.versions {
                assert!(document(&catalog, &group.name, version).is_ok(), "{}/{version}", group.name);
            }
        }
    }

    #[test]
    fn patching_a_deployment_offers_field_validation_under_its_kind() {
        let document = document(&Catalog::new(), "apps", "v1").unwrap();
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    }

    #[test]
    fn no_reference_in_a_document_leads_nowhere() {
        let document = document(&Catalog::new(), "apps", "v1").unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.contains("io.k8s.api.core.v1.PodTemplateSpec"));
        let lost: Vec<_> = found.iter().filter(|name| !schemas.contains_key(*name)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
