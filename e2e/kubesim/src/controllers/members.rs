//! The pods of a workload: made of its template, and removed.

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Pod, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::Context;
use crate::machinery::{key::Key, owner};

/// Creates one pod of `template` for its owner, tells by an event of `component` what came of it, and waits until the
/// cache shows the pod: a controller that counted without it would create another.
pub(super) async fn create_pod<K>(
    ctx: &Context,
    component: &str,
    owner: &K,
    key: &Key,
    template: PodTemplateSpec,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let meta = template.metadata.unwrap_or_default();
    let pod = Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", key.name)),
            namespace: Some(key.namespace.clone()),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: owner::controlled_by(owner).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    };
    let recorder = ctx.recorder.named(component);
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.create(&PostParams::default(), &pod).await {
        Ok(created) => {
            recorder.normal(owner, "SuccessfulCreate", format!("Created pod: {}", created.name_any()));
            ctx.pods.wait_until(&Key::of(&created), |seen| seen.is_some()).await;
            Ok(())
        }
        Err(error) => {
            recorder.warning(owner, "FailedCreate", format!("Error creating: {error}"));
            Err(error)
        }
    }
}

/// Deletes this very pod, and waits until the cache shows that it goes. False if it was gone already.
pub(super) async fn delete_pod(ctx: &Context, pod: &Pod) -> Result<bool, kube::Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    let params = DeleteParams::background().preconditions(Preconditions { uid: pod.uid(), resource_version: None });
    let deleted = match api.delete(&pod.name_any(), &params).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.is_not_found() => false,
        Err(error) => return Err(error),
    };
    let going = |seen: Option<&Pod>| {
        seen.is_none_or(|seen| seen.metadata.uid != pod.metadata.uid || seen.metadata.deletion_timestamp.is_some())
    };
    ctx.pods.wait_until(&Key::of(pod), going).await;
    Ok(deleted)
}
