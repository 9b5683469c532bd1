//! Reads releases from text: rendered manifests, or what `kubectl get … -o yaml` prints.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Installed;
use super::objects::is_cluster_wide;
use crate::{Release, Rendered, manifest, yaml};

/// Where helm writes down to which release an object belongs.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

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
        let mut releases: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for document in manifest::split(text) {
            let object = match yaml::parse(&document).map_err(unreadable)? {
                Json::Null => continue,
                object @ Json::Object(_) => object,
                other => return Err(unreadable(format!("{other} is no object"))),
            };
            match object["items"]
                .as_array()
                .filter(|_| object["kind"].as_str().is_some_and(|kind| kind.ends_with("List")))
            {
                None => releases.entry(origin.to_owned()).or_default().push(object),
                Some(items) => {
                    for item in items {
                        releases.entry(release_of(item, origin)).or_default().push(item.clone());
                    }
                }
            }
        }
        Ok(named(releases))
    }

    /// Objects of a cluster, each with its kind, taken apart into releases. What is of no release is called `origin`.
    pub fn live(origin: &str, objects: impl IntoIterator<Item = Json>) -> Vec<Self> {
        let mut releases: BTreeMap<String, Vec<Json>> = BTreeMap::new();
        for object in objects {
            releases.entry(release_of(&object, origin)).or_default().push(object);
        }
        named(releases)
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

/// `namespace/name`, from what helm writes down, or else from the label that the chart gives. An object with neither is
/// of no release, and so compared with all.
fn release_of(object: &Json, origin: &str) -> String {
    let annotations = &object["metadata"]["annotations"];
    match (annotations[RELEASE_NAMESPACE].as_str(), annotations[RELEASE_NAME].as_str()) {
        (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
        _ => match object["metadata"]["labels"]["app.kubernetes.io/instance"].as_str() {
            Some(instance) => match object["metadata"]["namespace"].as_str() {
                Some(namespace) => format!("{namespace}/{instance}"),
                None => format!("{origin}: {instance}"),
            },
            None => origin.to_owned(),
        },
    }
}
