//! To which release an object of a cluster belongs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

/// Where helm writes down to which release an object belongs.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// The release's name, on everything that a chart made.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Objects by their release, `namespace/name`: from what helm writes down, or else from the label that charts give. An object
/// with neither is of no release: it comes under `origin`, and so is compared with all.
///
/// Whoever applies manifests without helm leaves no word of the namespace on cluster-wide objects. The project's chart has it
/// in their names, as a hash; those of other charts go to the only release of that name, if there is just one.
pub(super) fn sort(origin: &str, objects: impl IntoIterator<Item = Json>) -> BTreeMap<String, Vec<Json>> {
    let mut releases: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    let mut homeless = Vec::new();
    for object in objects {
        let metadata = &object["metadata"];
        let text = |map: &str, key: &str| metadata[map][key].as_str();
        let (namespace, name) = (text("annotations", RELEASE_NAMESPACE), text("annotations", RELEASE_NAME));
        let release = match (namespace.zip(name), text("labels", INSTANCE), metadata["namespace"].as_str()) {
            (Some((namespace, name)), ..) => format!("{namespace}/{name}"),
            (None, Some(instance), Some(namespace)) => format!("{namespace}/{instance}"),
            (None, Some(instance), None) => {
                homeless.push((instance.to_owned(), object));
                continue;
            }
            (None, None, _) => origin.to_owned(),
        };
        releases.entry(release).or_default().push(object);
    }
    let known: BTreeSet<String> = releases.keys().cloned().collect();
    for (instance, object) in homeless {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        let release = home(&known, &instance, name).unwrap_or_else(|| format!("{origin}: {kind} {name}"));
        releases.entry(release).or_default().push(object);
    }
    releases
}

/// The release of a cluster-wide object, among those that have something in a namespace.
fn home(known: &BTreeSet<String>, instance: &str, name: &str) -> Option<String> {
    let mut namesakes = known.iter().filter(|release| release.split('/').nth(1) == Some(instance));
    let named = namesakes.clone().find(|release| name.contains(&format!("-{}-", short_hash(release))));
    named.or_else(|| namesakes.next().filter(|_| namesakes.next().is_none())).cloned()
}

/// What `wva.clusterName` of the chart puts into names.
fn short_hash(release: &str) -> String {
    format!("{:x}", Sha256::digest(release))[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(name: &str) -> Json {
        json!({"kind": "ClusterRole", "metadata": {"name": name, "labels": {INSTANCE: "wva"}}})
    }

    fn service(namespace: &str) -> Json {
        json!({"kind": "Service", "metadata": {"name": "s", "namespace": namespace, "labels": {INSTANCE: "wva"}}})
    }

    fn found(objects: Vec<Json>) -> Vec<(String, Vec<String>)> {
        let name = |object: &Json| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let named = |(release, objects): (String, Vec<Json>)| (release, objects.iter().map(name).collect());
        sort("cluster", objects).into_iter().map(named).collect()
    }

    #[test]
    fn a_cluster_wide_object_goes_to_the_release_whose_hash_is_in_its_name() {
        let (a, b) = (format!("wva-{}-admin", short_hash("a/wva")), format!("wva-{}-admin", short_hash("b/wva")));
        let releases = found(vec![role(&b), service("a"), role(&a), service("b")]);
        let expected = [("a/wva", ["s", &a]), ("b/wva", ["s", &b])];
        assert_eq!(releases, expected.map(|(release, names)| (release.to_owned(), names.map(str::to_owned).to_vec())));
    }

    #[test]
    fn without_a_hash_it_goes_to_the_only_release_of_that_name_or_stands_alone() {
        assert_eq!(found(vec![role("viewer"), service("a")]).len(), 1);
        let releases: Vec<String> =
            found(vec![role("viewer"), service("a"), service("b")]).into_iter().map(|(release, _)| release).collect();
        assert_eq!(releases, ["a/wva", "b/wva", "cluster: ClusterRole viewer"]);
    }
}
