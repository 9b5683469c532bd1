//! Pods made of the template of a workload.

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Pod, PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Resource, ResourceExt, api::PostParams};

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
