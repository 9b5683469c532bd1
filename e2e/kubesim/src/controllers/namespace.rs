//! Namespaces that are being deleted: empties them, then lets them go.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Namespace};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
};

use super::{
    Context,
    catalog::{self, Listed},
};
use crate::machinery::{
    failed::Error,
    key::Key,
    work_queue::{self, Next},
};

/// The finalizer in `spec.finalizers` that holds a namespace until it is empty.
const FINALIZER: &str = "kubernetes";

/// How soon to look again at a namespace whose objects take their time, such as pods that stop.
const RECHECK: Duration = Duration::from_millis(200);

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let triggers = vec![ctx.namespaces.keys().boxed()];
    work_queue::run("namespace", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(namespace) = ctx.namespaces.get(&key) else { return Ok(Next::OnChange) };
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone()).unwrap_or_default();
    if namespace.metadata.deletion_timestamp.is_none() || !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Next::OnChange);
    }
    let kinds =
        catalog::discover(&ctx.client).await.map_err(Error::doing("finding out what may be in", "Namespace", &key))?;
    let mut kinds: Vec<ApiResource> = kinds
        .into_iter()
        .filter(|Listed { namespaced, .. }| *namespaced)
        .map(|Listed { resource, .. }| resource)
        .collect();
    kinds.push(ApiResource::erase::<Event>(&()));
    let mut left = 0;
    for kind in kinds {
        let emptied = empty(&ctx, &key.name, &kind).await;
        left += emptied.map_err(Error::doing("emptying", "Namespace", &key))?;
    }
    if left > 0 {
        return Ok(Next::After(RECHECK));
    }
    finalize(&ctx, &key, &namespace).await.map_err(Error::doing("letting go", "Namespace", &key))?;
    Ok(Next::OnChange)
}

/// Deletes every object of a kind; returns how many are still there, waiting for a finalizer or a grace period.
async fn empty(ctx: &Context, namespace: &str, kind: &ApiResource) -> Result<usize, kube::Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), namespace, kind);
    let objects = match api.list_metadata(&ListParams::default()).await {
        Ok(list) => list.items,
        // The kind went away with its definition.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut left = 0;
    for object in objects {
        let name = object.name_any();
        if object.meta().deletion_timestamp.is_some() {
            left += 1;
            continue;
        }
        match api.delete(&name, &DeleteParams::background()).await {
            Ok(answer) => left += usize::from(answer.is_left()),
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Removes our finalizer through the only door there is.
async fn finalize(ctx: &Context, key: &Key, namespace: &Namespace) -> Result<(), kube::Error> {
    let mut finalized = namespace.clone();
    if let Some(finalizers) = finalized.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    }
    let api: Api<Namespace> = Api::all(ctx.client.clone());
    let written = api.replace_subresource("finalize", &key.name, &PostParams::default(), &finalized).await;
    match written.map(|_| ()) {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}
