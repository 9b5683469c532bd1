//! `ControllerRevisions`: the templates a workload has had, for `kubectl rollout history` and `undo`.

use std::collections::BTreeMap;

use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::ControllerRevision, core::v1::PodTemplateSpec},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::Context;
use crate::machinery::{key::Key, owner};

/// Label of a pod that names the template it was made from.
pub(super) const REVISION_LABEL: &str = "controller-revision-hash";

/// Keeps `template` as the newest revision of its owner, under `name`. One that is there already becomes the newest
/// again.
pub(super) async fn record<K>(
    ctx: &Context,
    key: &Key,
    owner: &K,
    name: &str,
    template: &PodTemplateSpec,
    hash_label: (&str, &str),
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let api: Api<ControllerRevision> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let known = api.list(&ListParams::default()).await?.items;
    let uid = owner.meta().uid.as_deref();
    let mine = || known.iter().filter(|known| owner::is_controlled_by(&known.metadata, uid));
    let newest = mine().map(|known| known.revision).max().unwrap_or_default();
    if let Some(same) = mine().find(|known| known.name_any() == name) {
        if same.revision < newest {
            let again = json!({"revision": newest + 1});
            api.patch(name, &PatchParams::default(), &Patch::Merge(again)).await?;
        }
        return Ok(());
    }
    let mut labels: BTreeMap<String, String> =
        template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(hash_label.0.to_owned(), hash_label.1.to_owned());
    let mut data = json!(template);
    data["$patch"] = json!("replace");
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels),
            owner_references: owner::controlled_by(owner).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(json!({"spec": {"template": data}}))),
        revision: newest + 1,
    };
    match api.create(&PostParams::default(), &revision).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() || status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
