//! What a Lease belongs to: the Deployment of this process, so that it goes when the Deployment goes. `helm uninstall` takes
//! the rights of a pod before it stops, so that it cannot release its Lease.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// The Deployment of a pod; `None` when the pod is not there (a process outside of the cluster) or belongs to none.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn deployment_of(client: &Client, namespace: &str, pod: &str) -> Result<Option<OwnerReference>, kube::Error> {
    let Some(pod) = find::<Pod>(client, namespace, pod).await? else { return Ok(None) };
    let Some(set) = owner(pod, "ReplicaSet") else { return Ok(None) };
    let Some(set) = find::<ReplicaSet>(client, namespace, &set.name).await? else { return Ok(None) };
    // Who deletes the Deployment need not wait for the Lease.
    Ok(owner(set, "Deployment").map(|owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner }))
}

/// By a list, for which the controller has the rights anyhow.
async fn find<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<ObjectMeta>, kube::Error>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let found = api.list_metadata(&ListParams::default().fields(&format!("metadata.name={name}"))).await?;
    Ok(found.items.into_iter().map(|object| object.metadata).find(|metadata| metadata.name.as_deref() == Some(name)))
}

fn owner(object: ObjectMeta, kind: &str) -> Option<OwnerReference> {
    object.owner_references?.into_iter().find(|owner| owner.kind == kind && owner.controller == Some(true))
}
