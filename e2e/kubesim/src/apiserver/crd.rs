//! Custom resource definitions: what they serve and how their instances are checked.

mod instance;
mod lists;
mod messages;
mod naming;
mod problems;

use std::sync::Arc;

use serde_json::{Value, json};

pub(super) use self::instance::CustomVersion;
use self::naming::{Naming, is_established};
pub(super) use self::problems::problems;
use super::builtin::{SCALE, STATUS};
use super::resource::{Definition, Resource, ScalePaths};
use super::state::State;
use super::store::{GroupResource, Key};

/// The collection CRDs live in.
pub(super) fn definitions() -> GroupResource {
    GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// What a CRD serves: one resource for each served version.
fn resources(definition: &Value) -> Vec<Resource> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
    };
    let (group, plural, kind) = (text(&spec["group"]), text(&names["plural"]), text(&names["kind"]));
    let or_else = |value: &Value, default: String| value.as_str().map_or(default, ToOwned::to_owned);
    let served = spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let subresources = &version["subresources"];
            let scale = subresources.get("scale").map(|scale| ScalePaths {
                spec_replicas: text(&scale["specReplicasPath"]).trim_start_matches('.').to_owned(),
                status_replicas: text(&scale["statusReplicasPath"]).trim_start_matches('.').to_owned(),
                selector: scale["labelSelectorPath"].as_str().map(|path| path.trim_start_matches('.').to_owned()),
            });
            let status = subresources.get("status").map(|_| STATUS);
            Resource {
                group: group.clone(),
                version: text(&version["name"]),
                list_kind: or_else(&names["listKind"], format!("{kind}List")),
                singular: or_else(&names["singular"], kind.to_lowercase()),
                kind: kind.clone(),
                plural: plural.clone(),
                short_names: words(&names["shortNames"]),
                categories: words(&names["categories"]),
                namespaced: spec["scope"] == "Namespaced",
                create_only: false,
                subresources: status.into_iter().chain(scale.as_ref().map(|_| SCALE)).collect(),
                scale,
                stored_as: GroupResource::new(&group, &plural),
                definition: Definition::Custom(Arc::new(CustomVersion::new(version))),
            }
        })
        .collect()
}

impl State {
    /// Serves a definition that is new or changed, and says so in its status; one whose names are taken is not served.
    pub(super) fn serve_definition(&mut self, name: &str, now: &str) {
        let key = Key::new("", name);
        let Some(stored) = self.store.get(&definitions(), &key).cloned() else { return };
        let text = |pointer: &str| stored.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let all = definitions();
        let others = self.store.list(&all, None).filter(|(other, _)| other.name != name);
        let naming = Naming::of(&stored, others.map(|(_, other)| other.as_ref()));
        if naming.conflict.is_none() {
            self.catalog.serve_custom(&text("/spec/group"), &text("/spec/names/plural"), resources(&stored));
        }

        let mut definition = (*stored).clone();
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        let storage = versions.into_iter().find(|version| version["storage"] == true);
        let storage = storage.map(|version| version["name"].clone());
        let conditions = match stored.pointer("/status/conditions") {
            Some(present) if naming.conflict.is_none() && is_established(present) => present.clone(),
            _ => naming.conditions(now),
        };
        let mut versions =
            stored.pointer("/status/storedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(storage) = storage
            && !versions.contains(&storage)
        {
            versions.push(storage);
        }
        let status = json!({"acceptedNames": naming.accepted, "conditions": conditions, "storedVersions": versions});
        if definition.get("status") != Some(&status) {
            definition["status"] = status;
            self.store.put(&definitions(), key, definition);
        }
    }

    /// Stops serving a removed definition and removes its instances.
    pub(super) fn withdraw_definition(&mut self, definition: &Value) {
        let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
        let resource = GroupResource::new(group, plural);
        let instances: Vec<Key> = self.store.list(&resource, None).map(|(key, _)| key.clone()).collect();
        for key in instances {
            self.store.remove(&resource, &key);
        }
        self.catalog.serve_custom(group, plural, Vec::new());
        self.settle_names(group);
    }

    /// Looks again at the definitions of a group whose names were taken, now that some are free.
    fn settle_names(&mut self, group: &str) {
        let waiting: Vec<String> = self
            .store
            .list(&definitions(), None)
            .filter(|(_, definition)| definition["spec"]["group"] == group)
            .filter(|(_, definition)| !is_established(&definition["status"]["conditions"]))
            .map(|(key, _)| key.name.clone())
            .collect();
        for name in waiting {
            self.serve_definition(&name, &super::clock::now());
        }
    }
}
