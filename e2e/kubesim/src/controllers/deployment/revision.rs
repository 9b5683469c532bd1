//! Which `ReplicaSet` belongs to the template of today, and the numbering of those before it.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};
use kube::ResourceExt;

/// Label that keeps the pods of one template apart from those of the next.
pub(super) const TEMPLATE_HASH: &str = "pod-template-hash";
/// Annotation on Deployment and `ReplicaSet`; `kubectl rollout history` and `undo` read it.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation on a `ReplicaSet` that became current again: the numbers it had before.
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotation on a `ReplicaSet`: the size of the Deployment when it was last scaled. A difference tells a change of
/// size from a step of a rollout.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// Annotation on a `ReplicaSet`: the desired size plus surge.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// The set made from the current template; the oldest if there are several.
pub(super) fn current<'a>(deployment: &Deployment, sets: &'a [Arc<ReplicaSet>]) -> Option<&'a Arc<ReplicaSet>> {
    let wanted = deployment.spec.as_ref().map(|spec| plain(&spec.template))?;
    let same = |set: &&Arc<ReplicaSet>| {
        let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
        template.is_some_and(|template| plain(template) == wanted)
    };
    sets.iter().filter(same).min_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()))
}

/// The template without the label the controller adds.
fn plain(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(meta) = &mut template.metadata {
        if let Some(labels) = &mut meta.labels {
            labels.remove(TEMPLATE_HASH);
        }
        // A server may or may not fill this in; it says nothing about the template.
        meta.creation_timestamp = None;
    }
    template
}

pub(super) fn number(set: &ReplicaSet) -> i64 {
    set.annotations().get(REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The revision the current set should carry: one more than the largest of the others.
pub(super) fn next(others: &[Arc<ReplicaSet>]) -> i64 {
    others.iter().map(|set| number(set)).max().unwrap_or_default() + 1
}

/// The history annotation once `old` is replaced: `1,3` and 5 give `1,3,5`.
pub(super) fn history(set: &ReplicaSet) -> Option<String> {
    let old = set.annotations().get(REVISION)?;
    Some(match set.annotations().get(REVISION_HISTORY).filter(|history| !history.is_empty()) {
        Some(history) => format!("{history},{old}"),
        None => old.clone(),
    })
}

/// A short name for a template, different for every `collisions`.
pub(crate) fn template_hash(template: &PodTemplateSpec, collisions: i32) -> String {
    // serde_json writes struct fields in a fixed order and maps are sorted, so equal templates give equal text.
    let text = serde_json::to_string(&plain(template)).unwrap_or_default();
    safe_hash(&format!("{text}{collisions}"))
}

/// FNV-1a in the alphabet Kubernetes uses for generated names: no vowels, so no words.
pub(crate) fn safe_hash(text: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit - b'0')])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(name: &str, image: &str, annotations: &serde_json::Value) -> Arc<ReplicaSet> {
        let value = json!({
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"selector": {}, "template": {
                "metadata": {"labels": {"app": "web", TEMPLATE_HASH: name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            }},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn deployment(image: &str) -> Deployment {
        let value = json!({"spec": {"selector": {}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": image}]},
        }}});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_set_of_an_unchanged_template_is_found_again() {
        let sets = [set("a", "v1", &json!({})), set("b", "v2", &json!({}))];
        assert_eq!(current(&deployment("v1"), &sets).map(|set| set.name_any()), Some("a".to_owned()));
        assert!(current(&deployment("v3"), &sets).is_none());
    }

    #[test]
    fn a_rollback_gets_a_new_number_and_remembers_the_old_ones() {
        let old = set("a", "v1", &json!({REVISION: "3", REVISION_HISTORY: "1"}));
        assert_eq!(next(&[set("b", "v2", &json!({REVISION: "4"}))]), 5);
        assert_eq!(history(&old), Some("1,3".to_owned()));
    }

    #[test]
    fn different_templates_and_collisions_get_different_hashes() {
        let hash = |image: &str, collisions| template_hash(&deployment(image).spec.unwrap().template, collisions);
        assert_eq!(hash("v1", 0), hash("v1", 0));
        assert_ne!(hash("v1", 0), hash("v2", 0));
        assert_ne!(hash("v1", 0), hash("v1", 1));
    }
}
