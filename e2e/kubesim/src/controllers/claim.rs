//! Adoption and release: which objects a controller owns follows from its selector.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    core::{Selector, SelectorExt},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::machinery::{cache::Cache, key::Key, owner};

/// What to do with one candidate.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Adopt,
    Release,
    Ignore,
}

fn verdict<O: Resource, K: Resource>(owner: &O, selector: &Selector, candidate: &K) -> Verdict {
    let meta = candidate.meta();
    let labels = meta.labels.clone().unwrap_or_default();
    let matches = !selector.selects_all() && selector.matches(&labels);
    let owner_leaves = owner.meta().deletion_timestamp.is_some();
    match owner::controller_of(meta) {
        Some(reference) if Some(&reference.uid) == owner.meta().uid.as_ref() => {
            if matches || owner_leaves {
                Verdict::Keep
            } else {
                Verdict::Release
            }
        }
        None if matches && !owner_leaves && meta.deletion_timestamp.is_none() => Verdict::Adopt,
        Some(_) | None => Verdict::Ignore,
    }
}

/// The candidates that belong to `owner` after orphans that match were adopted and members that no longer match
/// were released.
pub(super) async fn claim<O, K>(
    client: &Client,
    cache: &Cache<K>,
    owner: &O,
    selector: &Selector,
    candidates: Vec<Arc<K>>,
) -> Result<Vec<Arc<K>>, kube::Error>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), owner.meta().namespace.as_deref().unwrap_or_default());
    let mut members = Vec::new();
    for candidate in candidates {
        let uid = candidate.meta().uid.clone();
        let patch = match verdict(owner, selector, candidate.as_ref()) {
            Verdict::Keep => {
                members.push(candidate);
                continue;
            }
            Verdict::Ignore => continue,
            Verdict::Adopt => {
                if !lives(client, owner).await? {
                    continue;
                }
                let mut references = candidate.owner_references().to_vec();
                references.extend(owner::controlled_by(owner));
                json!({"metadata": {"uid": uid, "ownerReferences": references}})
            }
            Verdict::Release => {
                let mut references = candidate.owner_references().to_vec();
                references.retain(|reference| Some(&reference.uid) != owner.meta().uid.as_ref());
                json!({"metadata": {"uid": uid, "ownerReferences": references}})
            }
        };
        match api.patch(&candidate.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(written) => {
                cache.wait_for(&written, Some(&candidate)).await;
                if owner::is_controlled_by(written.meta(), owner.meta().uid.as_deref())
                    && let Some(fresh) = cache.get(&Key::of(&written))
                {
                    members.push(fresh);
                }
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(members)
}

/// Whether an owner is still there to have members, asked of the server: owners and members are watched apart, so that
/// what the deletion of an owner did to its members can be seen before the deletion itself.
pub(super) async fn lives<O>(client: &Client, owner: &O) -> Result<bool, kube::Error>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<O> = Api::namespaced(client.clone(), owner.meta().namespace.as_deref().unwrap_or_default());
    let current = api.get_metadata_opt(&owner.name_any()).await?;
    let same = |meta: &ObjectMeta| meta.uid == owner.meta().uid && meta.deletion_timestamp.is_none();
    Ok(current.is_some_and(|current| same(&current.metadata)))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn set(extra: Value) -> ReplicaSet {
        let mut meta = json!({"name": "web", "uid": "u1"});
        meta.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": meta})).unwrap()
    }

    fn owned_by(uid: &str) -> Value {
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid, "controller": true}])
    }

    #[rstest]
    #[case::mine_and_matching(json!({}), json!({"labels": {"app": "web"}, "ownerReferences": owned_by("u1")}), Verdict::Keep)]
    #[case::mine_but_relabelled(json!({}), json!({"labels": {"app": "debug"}, "ownerReferences": owned_by("u1")}), Verdict::Release)]
    #[case::somebody_elses(json!({}), json!({"labels": {"app": "web"}, "ownerReferences": owned_by("u2")}), Verdict::Ignore)]
    #[case::matching_orphan(json!({}), json!({"labels": {"app": "web"}}), Verdict::Adopt)]
    #[case::leaving_orphan(json!({}), json!({"labels": {"app": "web"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}), Verdict::Ignore)]
    #[case::owner_leaves(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!({"labels": {"app": "web"}}), Verdict::Ignore)]
    #[case::stranger(json!({}), json!({"labels": {"app": "db"}}), Verdict::Ignore)]
    fn ownership_follows_the_selector(#[case] owner: Value, #[case] pod: Value, #[case] expected: Verdict) {
        let selector = Selector::from_iter([("app", "web")]);
        let pod: Pod = serde_json::from_value(json!({"metadata": pod})).unwrap();
        assert_eq!(verdict(&set(owner), &selector, &pod), expected);
    }
}
