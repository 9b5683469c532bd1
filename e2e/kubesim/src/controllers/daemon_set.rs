//! `DaemonSets`: one pod on each node that the template fits.

mod plan;

use std::sync::Arc;

use futures::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use kube::{Resource, ResourceExt, core::Selector};

use self::plan::{Plan, Step};
use super::{Context, claim, members, revisions};
use crate::machinery::{
    events::Severity,
    failed::Error,
    key::Key,
    owner, status,
    work_queue::{self, Next},
};

/// What errors and owner references call it.
const KIND: &str = "DaemonSet";
/// The source of its events.
const COMPONENT: &str = "daemonset-controller";

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let of_pods = ctx.pods.changes().flat_map(|change| stream::iter(owner::controller_keys(&change, KIND)));
    let sets = ctx.daemon_sets.clone();
    // Nodes report themselves again and again; what matters to a set is rarely among it, and quickly found out.
    let of_nodes = ctx.nodes.changes().flat_map(move |_| {
        let keys: Vec<Key> = sets.list().iter().map(|set| Key::of(set.as_ref())).collect();
        stream::iter(keys)
    });
    let triggers = vec![ctx.daemon_sets.keys().boxed(), of_pods.boxed(), of_nodes.boxed()];
    work_queue::run("daemonset", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(set) = ctx.daemon_sets.get(&key) else { return Ok(Next::OnChange) };
    let selector: Result<Selector, _> = set.spec.clone().unwrap_or_default().selector.try_into();
    let selector = selector.map_err(Error::selector(KIND, &key))?;
    let in_namespace = ctx.pods.in_namespace(&key.namespace);
    let pods = claim::claim(&ctx.client, &ctx.pods, set.as_ref(), &selector, in_namespace)
        .await
        .map_err(Error::doing("adopting or releasing what belongs to", KIND, &key))?;
    let plan = Plan::of(&set, &ctx.nodes.list(), &pods, Timestamp::now());
    if set.metadata.deletion_timestamp.is_none() {
        record_revision(&ctx, &key, &set, &plan.hash).await?;
        let steps = plan.steps.iter().map(|step| carry_out(&ctx, &key, &set, &plan.hash, step));
        join_all(steps).await.into_iter().collect::<Result<(), Error>>()?;
    }
    report(&ctx, &set, &plan.status).await?;
    Ok(plan.again.map_or(Next::OnChange, Next::After))
}

/// Keeps the template, when it may be a new one.
async fn record_revision(ctx: &Context, key: &Key, set: &DaemonSet, hash: &str) -> Result<(), Error> {
    let observed = set.status.as_ref().and_then(|status| status.observed_generation);
    if observed.is_some() && observed == set.metadata.generation {
        return Ok(());
    }
    let (template, name) = (set.spec.clone().unwrap_or_default().template, format!("{}-{hash}", key.name));
    revisions::record(ctx, key, set, &name, &template, (revisions::REVISION_LABEL, hash)).await.map_err(Error::doing(
        "keeping the template of",
        KIND,
        key,
    ))
}

async fn carry_out(ctx: &Context, key: &Key, set: &DaemonSet, hash: &str, step: &Step) -> Result<(), Error> {
    match step {
        Step::Create(node) => members::create_pod(ctx, COMPONENT, set, key, plan::template(set, node, hash))
            .await
            .map_err(Error::doing("creating a pod of", KIND, key)),
        Step::Delete(pod, why) => {
            let recorder = ctx.recorder.named(COMPONENT);
            if let Some((reason, message)) = why {
                let severity = if *reason == "FailedDaemonPod" { Severity::Warning } else { Severity::Normal };
                recorder.record(set.object_ref(&()), severity, reason, message.clone());
            }
            let deleted = members::delete_pod(ctx, pod).await.map_err(Error::doing("deleting a pod of", KIND, key))?;
            if deleted {
                recorder.normal(set, "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()));
            }
            Ok(())
        }
    }
}

async fn report(ctx: &Context, set: &DaemonSet, status: &DaemonSetStatus) -> Result<(), Error> {
    if set.status.as_ref() == Some(status) {
        return Ok(());
    }
    let updated = DaemonSet { status: Some(status.clone()), ..set.clone() };
    status::write(&ctx.client, &ctx.daemon_sets, KIND, set, &updated).await.map(drop)
}
