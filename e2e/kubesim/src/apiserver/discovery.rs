//! Discovery: what groups, versions and resources there are, in the aggregated and the older form.

use serde_json::{Value, json};

use super::catalog::{Catalog, Group};
use super::failure::Failure;
use super::resource::Resource;

/// Content type of the aggregated documents; clients check that it echoes what they asked for.
pub(super) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether a client asks for the aggregated form, in the version that is served.
pub(super) fn wants_aggregated(accept: &str) -> bool {
    accept.split(',').any(|media| {
        media.contains("as=APIGroupDiscoveryList") && media.contains("v=v2;")
            || media.contains("as=APIGroupDiscoveryList") && media.trim_end().ends_with("v=v2")
    })
}

/// `/api` (`core`) or `/apis` in one document.
pub(super) fn aggregated(catalog: &Catalog, core: bool) -> Value {
    let groups: Vec<Value> = catalog
        .groups()
        .iter()
        .filter(|group| group.name.is_empty() == core)
        .map(|group| {
            let versions: Vec<Value> = group
                .versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        catalog.of(&group.name, version).map(|r| aggregated_resource(r)).collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let metadata = if core { json!({}) } else { json!({"name": group.name}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let mut subresources = resource.subresources.clone();
    subresources.sort_by_key(|sub| sub.name);
    let subresources: Vec<Value> = subresources
        .iter()
        .map(|sub| {
            let kind = match sub.body {
                Some(("", _, kind)) => json!({"group": "", "version": "", "kind": kind}),
                Some((group, version, kind)) => json!({"group": group, "version": version, "kind": kind}),
                None => own_kind(resource),
            };
            json!({"subresource": sub.name, "responseKind": kind, "verbs": sub.verbs})
        })
        .collect();
    let mut item = json!({
        "resource": resource.plural,
        "responseKind": own_kind(resource),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs(),
    });
    let optional = [
        ("shortNames", json!(resource.short_names)),
        ("categories", json!(resource.categories)),
        ("subresources", json!(subresources)),
    ];
    for (key, list) in optional {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            item[key] = list;
        }
    }
    item
}

/// The kind of a resource's own objects; the version of the core group is not said.
fn own_kind(resource: &Resource) -> Value {
    let mut kind = resource.gvk();
    if resource.group.is_empty() {
        kind["version"] = json!("");
    }
    kind
}

/// Whether a client asks for nothing but an aggregated form that is not served.
pub(super) fn is_unacceptable(accept: &str) -> bool {
    !accept.trim().is_empty()
        && accept.split(',').all(|media| media.contains("as=APIGroupDiscoveryList"))
        && !wants_aggregated(accept)
}

/// `/api` in the older form.
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis` in the older form.
pub(super) fn group_list(catalog: &Catalog) -> Value {
    let groups: Vec<Value> = catalog.groups().iter().filter(|group| !group.name.is_empty()).map(group_entry).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/<group>`.
pub(super) fn group(catalog: &Catalog, name: &str) -> Result<Value, Failure> {
    let groups = catalog.groups();
    let found = groups.iter().find(|group| group.name == name).ok_or_else(Failure::no_such_path)?;
    let mut entry = group_entry(found);
    entry["kind"] = json!("APIGroup");
    entry["apiVersion"] = json!("v1");
    Ok(entry)
}

fn group_entry(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{}/{version}", group.name), "version": version}))
        .collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

/// `/api/v1` or `/apis/<group>/<version>`.
pub(super) fn resource_list(catalog: &Catalog, group: &str, version: &str) -> Result<Value, Failure> {
    let mut resources: Vec<Value> = catalog.of(group, version).flat_map(|resource| entries(resource)).collect();
    if resources.is_empty() {
        return Err(if catalog.serves(group) { Failure::no_such_resource() } else { Failure::no_such_path() });
    }
    let custom = catalog.of(group, version).all(|resource| resource.custom().is_some());
    if !custom {
        resources.sort_by_key(|entry| entry["name"].as_str().unwrap_or_default().to_owned());
    }
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": super::resource::api_version(group, version),
        "resources": resources,
    });
    // The core group is as old as lists without a version.
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    Ok(list)
}

/// Changes whenever objects are stored in another version.
fn storage_hash(resource: &Resource) -> String {
    use base64::Engine as _;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (&resource.stored_as, &resource.kind).hash(&mut hasher);
    base64::engine::general_purpose::STANDARD.encode(hasher.finish().to_be_bytes())
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut main = json!({
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": resource.verbs(),
    });
    if !resource.create_only && !resource.is_computed() {
        main["storageVersionHash"] = json!(storage_hash(resource));
    }
    if !resource.short_names.is_empty() {
        main["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        main["categories"] = json!(resource.categories);
    }
    let subresources = resource.subresources.iter().map(|sub| {
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural, sub.name),
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sub.verbs,
        });
        if let Some((group, version, kind)) = sub.body {
            if !group.is_empty() {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            entry["kind"] = json!(kind);
        }
        entry
    });
    std::iter::once(main).chain(subresources).collect()
}
