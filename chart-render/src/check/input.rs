//! Reads releases from text: rendered manifests, or what `kubectl get … -o yaml` prints.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::objects::is_cluster_wide;
use super::{Installed, belonging};
use crate::{Release, Rendered, manifest, yaml};

/// Text that holds no objects.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("read objects from {origin}: {message}")]
pub struct Unreadable {
    /// The file.
    pub origin: String,
    /// What is wrong with it.
    pub message: String,
}

impl Installed {
    /// The objects of YAML or JSON text. Rendered manifests are one release, called `origin`; of a `List`, as kubectl
    /// prints it, each release that helm has written into the annotations is one.
    ///
    /// # Errors
    /// When the text is no YAML, or holds something that is no object.
    pub fn read(origin: &str, text: &str) -> Result<Vec<Self>, Unreadable> {
        let unreadable = |message: String| Unreadable { origin: origin.to_owned(), message };
        let (mut rendered, mut live) = (Vec::new(), Vec::new());
        for document in manifest::split(text) {
            let object = match yaml::parse(&document).map_err(unreadable)? {
                Json::Null => continue,
                object @ Json::Object(_) => object,
                other => return Err(unreadable(format!("{other} is no object"))),
            };
            let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
            match object["items"].as_array().filter(|_| is_list) {
                None => rendered.push(object),
                Some(items) => live.extend(items.iter().cloned()),
            }
        }
        let mut releases = belonging::sort(origin, live);
        if !rendered.is_empty() {
            releases.entry(origin.to_owned()).or_default().extend(rendered);
        }
        Ok(named(releases))
    }

    /// Objects of a cluster, each with its kind, taken apart into releases. What is of no release is called `origin`.
    pub fn live(origin: &str, objects: impl IntoIterator<Item = Json>) -> Vec<Self> {
        named(belonging::sort(origin, objects))
    }

    /// A release that was just rendered. Its namespace is filled in where an object that needs one names none.
    pub fn rendered(release: &Release, rendered: &Rendered) -> Self {
        let objects = rendered.manifests.iter().chain(&rendered.hooks).map(|manifest| manifest.object.clone());
        let mut objects: Vec<Json> = objects.filter(Json::is_object).collect();
        for object in &mut objects {
            let placed = is_cluster_wide(object["kind"].as_str().unwrap_or_default());
            if !placed && object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = Json::from(release.namespace.as_str());
            }
        }
        Self { name: format!("{}/{}", release.namespace, release.name), objects }
    }
}

fn named(releases: BTreeMap<String, Vec<Json>>) -> Vec<Installed> {
    releases.into_iter().map(|(name, objects)| Installed { name, objects }).collect()
}
