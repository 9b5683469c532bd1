//! `ReplicaSets`: keeps as many pods of a template as asked for.

mod status;
mod victims;

use std::sync::Arc;

use futures::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use super::{Context, claim, members, pods};
use crate::machinery::{
    failed::Error,
    key::Key,
    owner,
    work_queue::{self, Next},
};

/// The source of its events.
const COMPONENT: &str = "replicaset-controller";

/// What it brings to what it asks for.
const KIND: &str = "ReplicaSet";

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let sets = ctx.replica_sets.clone();
    let of_pods = ctx.pods.changes().flat_map(move |change| {
        let mut keys = owner::controller_keys(&change, "ReplicaSet");
        if keys.is_empty() {
            // An orphan: whoever selects it may adopt it.
            keys = change
                .sides()
                .flat_map(|pod| selecting(&sets.in_namespace(&pod.namespace().unwrap_or_default()), pod))
                .collect();
        }
        stream::iter(keys)
    });
    let triggers = vec![ctx.replica_sets.keys().boxed(), of_pods.boxed()];
    work_queue::run("replicaset", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

fn selecting(sets: &[Arc<ReplicaSet>], pod: &Pod) -> Vec<Key> {
    let selects = |set: &&Arc<ReplicaSet>| selector(set).is_ok_and(|selector| selector.matches(pod.labels()));
    sets.iter().filter(selects).map(|set| Key::of(set.as_ref())).collect()
}

fn selector(set: &ReplicaSet) -> Result<Selector, kube::core::ParseExpressionError> {
    set.spec.clone().unwrap_or_default().selector.try_into()
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(set) = ctx.replica_sets.get(&key) else { return Ok(Next::OnChange) };
    let selector = selector(&set).map_err(Error::selector(KIND, &key))?;
    let in_namespace = ctx.pods.in_namespace(&key.namespace);
    let owned = claim::claim(&ctx.client, &ctx.pods, set.as_ref(), &selector, in_namespace)
        .await
        .map_err(Error::doing("adopting or releasing what belongs to", KIND, &key))?;
    let active: Vec<&Pod> = owned.iter().map(AsRef::as_ref).filter(|pod| pods::is_active(pod)).collect();
    let outcome =
        if set.metadata.deletion_timestamp.is_some() { Ok(()) } else { scale(&ctx, &key, &set, &active).await };
    let leaving = |pod: &&Arc<Pod>| pod.metadata.deletion_timestamp.is_some() && !pods::is_finished(pod);
    let terminating = owned.iter().filter(leaving).count();
    let again = report(&ctx, &set, &active, terminating, outcome.as_ref().err()).await?;
    outcome?;
    Ok(again)
}

/// Creates or deletes pods until there are as many active ones as asked for.
async fn scale(ctx: &Context, key: &Key, set: &ReplicaSet, active: &[&Pod]) -> Result<(), Error> {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or_default();
    if active.len() < wanted {
        if !claim::lives(&ctx.client, set).await.map_err(Error::doing(
            "looking whether it is still there:",
            KIND,
            key,
        ))? {
            return Ok(());
        }
        let created = join_all((active.len()..wanted).map(|_| create_pod(ctx, key, set))).await;
        created.into_iter().collect()
    } else {
        let victims = victims::choose(active, active.len() - wanted);
        let deleted = join_all(victims.into_iter().map(|pod| delete_pod(ctx, key, set, pod))).await;
        deleted.into_iter().collect()
    }
}

async fn create_pod(ctx: &Context, key: &Key, set: &ReplicaSet) -> Result<(), Error> {
    let template = set.spec.clone().unwrap_or_default().template.unwrap_or_default();
    members::create_pod(ctx, COMPONENT, set, key, template).await.map_err(Error::doing("creating a pod of", KIND, key))
}

async fn delete_pod(ctx: &Context, key: &Key, set: &ReplicaSet, pod: &Pod) -> Result<(), Error> {
    if members::delete_pod(ctx, pod).await.map_err(Error::doing("deleting a pod of", KIND, key))? {
        ctx.recorder.named(COMPONENT).normal(set, "SuccessfulDelete", format!("Deleted pod: {}", pod.name_any()));
    }
    Ok(())
}

async fn report(
    ctx: &Context,
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: usize,
    failure: Option<&Error>,
) -> Result<Next, Error> {
    let message = failure.map(ToString::to_string);
    let (status, next_available) = status::compute(set, active, terminating, message.as_deref(), Timestamp::now());
    let next = next_available.map_or(Next::OnChange, Next::After);
    if set.status.as_ref() == Some(&status) {
        return Ok(next);
    }
    let updated = ReplicaSet { status: Some(status), ..set.clone() };
    let there = crate::machinery::status::write(&ctx.client, &ctx.replica_sets, KIND, set, &updated).await?;
    Ok(if there { next } else { Next::OnChange })
}
