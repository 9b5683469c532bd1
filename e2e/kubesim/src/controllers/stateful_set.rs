//! `StatefulSets`: pods with numbers, made and removed in order, one at a time unless the set says otherwise.
//!
//! Volume claim templates are ignored: there is no storage to claim. `ControllerRevisions` are kept for whoever looks at
//! them; every pod is made from the template of now.

mod plan;

use std::sync::Arc;

use futures::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, ResourceExt, api::PostParams, core::Selector};

use self::plan::{Plan, Step};
use super::{
    Context, claim, members,
    revisions::{self, REVISION_LABEL},
};
use crate::machinery::{
    failed::Error,
    key::Key,
    owner, status,
    work_queue::{self, Next},
};

/// What errors and owner references call it.
const KIND: &str = "StatefulSet";
/// The source of its events.
const COMPONENT: &str = "statefulset-controller";

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let of_pods = ctx.pods.changes().flat_map(|change| stream::iter(owner::controller_keys(&change, KIND)));
    let triggers = vec![ctx.stateful_sets.keys().boxed(), of_pods.boxed()];
    work_queue::run("statefulset", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(set) = ctx.stateful_sets.get(&key) else { return Ok(Next::OnChange) };
    let selector: Result<Selector, _> = set.spec.clone().unwrap_or_default().selector.try_into();
    let selector = selector.map_err(Error::selector(KIND, &key))?;
    let in_namespace = ctx.pods.in_namespace(&key.namespace);
    let pods = claim::claim(&ctx.client, &ctx.pods, set.as_ref(), &selector, in_namespace)
        .await
        .map_err(Error::doing("adopting or releasing what belongs to", KIND, &key))?;
    let plan = Plan::of(&set, &pods, Timestamp::now());
    if set.metadata.deletion_timestamp.is_none() {
        record_revision(&ctx, &key, &set, &plan.revision).await?;
        let steps = plan.steps.iter().map(|step| carry_out(&ctx, &key, &set, &plan, step));
        join_all(steps).await.into_iter().collect::<Result<(), Error>>()?;
    }
    report(&ctx, &set, &plan.status).await?;
    Ok(plan.again.map_or(Next::OnChange, Next::After))
}

/// Keeps the template of each revision, as an object of its own.
async fn record_revision(ctx: &Context, key: &Key, set: &StatefulSet, name: &str) -> Result<(), Error> {
    let status = set.status.as_ref();
    if status.and_then(|status| status.update_revision.as_deref()) == Some(name) {
        return Ok(());
    }
    let template = set.spec.clone().unwrap_or_default().template;
    let hash = name.strip_prefix(&format!("{}-", key.name)).unwrap_or(name);
    revisions::record(ctx, key, set, name, &template, ("controller.kubernetes.io/hash", hash))
        .await
        .map_err(Error::doing("keeping the template of", KIND, key))
}

async fn carry_out(ctx: &Context, key: &Key, set: &StatefulSet, plan: &Plan, step: &Step) -> Result<(), Error> {
    match step {
        Step::Create(ordinal) => create_pod(ctx, key, set, plan, *ordinal).await,
        Step::Delete(pod) => delete_pod(ctx, key, set, pod).await,
    }
}

async fn create_pod(ctx: &Context, key: &Key, set: &StatefulSet, plan: &Plan, ordinal: i32) -> Result<(), Error> {
    let spec = set.spec.clone().unwrap_or_default();
    let meta = spec.template.metadata.unwrap_or_default();
    let name = format!("{}-{ordinal}", key.name);
    let mut labels = meta.labels.unwrap_or_default();
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.clone());
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), ordinal.to_string());
    labels.insert(REVISION_LABEL.to_owned(), plan.revision.clone());
    let pod_spec = spec.template.spec.map(|pod| k8s_openapi::api::core::v1::PodSpec {
        hostname: Some(name.clone()),
        subdomain: spec.service_name.clone(),
        ..pod
    });
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            generate_name: Some(format!("{}-", key.name)),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels),
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: owner::controlled_by(set).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        spec: pod_spec,
        status: None,
    };
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.create(&PostParams::default(), &pod).await {
        Ok(created) => {
            let message = format!("create Pod {name} in StatefulSet {} successful", key.name);
            ctx.recorder.named(COMPONENT).normal(set, "SuccessfulCreate", message);
            ctx.pods.wait_until(&Key::of(&created), |seen| seen.is_some()).await;
            Ok(())
        }
        Err(error) => {
            let message = format!("create Pod {name} in StatefulSet {} failed error: {error}", key.name);
            ctx.recorder.named(COMPONENT).warning(set, "FailedCreate", message);
            Err(Error::doing("creating a pod of", KIND, key)(error))
        }
    }
}

async fn delete_pod(ctx: &Context, key: &Key, set: &StatefulSet, pod: &Pod) -> Result<(), Error> {
    let name = pod.name_any();
    if members::delete_pod(ctx, pod).await.map_err(Error::doing("deleting a pod of", KIND, key))? {
        let message = format!("delete Pod {name} in StatefulSet {} successful", key.name);
        ctx.recorder.named(COMPONENT).normal(set, "SuccessfulDelete", message);
    }
    Ok(())
}

async fn report(ctx: &Context, set: &StatefulSet, status: &StatefulSetStatus) -> Result<(), Error> {
    if set.status.as_ref() == Some(status) {
        return Ok(());
    }
    let updated = StatefulSet { status: Some(status.clone()), ..set.clone() };
    status::write(&ctx.client, &ctx.stateful_sets, KIND, set, &updated).await.map(drop)
}
