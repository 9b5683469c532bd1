//! Deployments: one `ReplicaSet` per pod template, moved to the current one by the chosen strategy.

pub(crate) mod revision;
mod rollout;
mod status;
mod writes;

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::Selector,
};
use serde_json::json;

use self::{
    revision::{DESIRED_REPLICAS, REVISION, REVISION_HISTORY},
    rollout::{Margin, Size},
    status::{Facts, Strategy},
};
use super::{Context, claim, pods};
use crate::machinery::{
    failed::Error,
    key::Key,
    owner,
    work_queue::{self, Next},
};

/// The source of its events.
const COMPONENT: &str = "deployment-controller";
/// What errors call what it brings to what it asks for.
const NAME: &str = "Deployment";

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let of_sets =
        ctx.replica_sets.changes().flat_map(|change| stream::iter(owner::controller_keys(&change, "Deployment")));
    // Recreate waits for pods to be gone, which no ReplicaSet status tells while they terminate.
    let sets = ctx.replica_sets.clone();
    let of_pods = ctx.pods.changes().flat_map(move |change| {
        let gone = if change.new.is_none() { owner::controller_keys(&change, "ReplicaSet") } else { Vec::new() };
        let deployment = |key: Key| {
            let set = sets.get(&key)?;
            let owner = owner::controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")?;
            Some(Key::new(&key.namespace, &owner.name))
        };
        stream::iter(gone.into_iter().filter_map(deployment).collect::<Vec<_>>())
    });
    let triggers = vec![ctx.deployments.keys().boxed(), of_sets.boxed(), of_pods.boxed()];
    work_queue::run("deployment", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

/// A Deployment with its sets, the new one apart from the old ones (oldest first).
struct Rollout<'a> {
    ctx: &'a Context,
    key: &'a Key,
    deployment: &'a Deployment,
    desired: i32,
    margin: Margin,
    new: Option<Arc<ReplicaSet>>,
    old: Vec<Arc<ReplicaSet>>,
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(deployment) = ctx.deployments.get(&key) else { return Ok(Next::OnChange) };
    let Some(spec) = deployment.spec.as_ref() else { return Ok(Next::OnChange) };
    let selector = Selector::try_from(spec.selector.clone()).map_err(Error::selector(NAME, &key))?;
    let in_namespace = ctx.replica_sets.in_namespace(&key.namespace);
    let sets = claim::claim(&ctx.client, &ctx.replica_sets, deployment.as_ref(), &selector, in_namespace)
        .await
        .map_err(Error::doing("adopting or releasing what belongs to", NAME, &key))?;
    let new = revision::current(&deployment, &sets).cloned();
    let mut old: Vec<_> =
        sets.iter().filter(|set| new.as_ref().is_none_or(|new| new.uid() != set.uid())).cloned().collect();
    old.sort_by_key(|set| (set.creation_timestamp().map(|time| time.0), set.name_any()));
    let mut rollout = Rollout {
        ctx: &ctx,
        key: &key,
        deployment: &deployment,
        desired: spec.replicas.unwrap_or(1),
        margin: match status::strategy(&deployment) {
            Strategy::Recreate => Margin { surge: 0, unavailable: spec.replicas.unwrap_or(1) },
            Strategy::RollingUpdate => Margin::of(spec),
        },
        new,
        old,
    };
    if deployment.metadata.deletion_timestamp.is_none() {
        rollout.advance().await?;
    }
    rollout.report().await
}

impl Rollout<'_> {
    /// One step; the change it causes triggers the next.
    async fn advance(&mut self) -> Result<(), Error> {
        let spec = self.deployment.spec.as_ref();
        if spec.is_some_and(|spec| spec.paused == Some(true)) || self.size_changed() {
            return self.follow_size().await;
        }
        match status::strategy(self.deployment) {
            Strategy::Recreate => {
                self.resize_old(&vec![0; self.old.len()]).await?;
                if self.old_pods_remain() {
                    return Ok(());
                }
                self.ensure_new().await?;
                self.resize_new(self.desired).await?;
            }
            Strategy::RollingUpdate => {
                self.ensure_new().await?;
                let (new, old) = self.sizes();
                let grown = rollout::grow_new(self.desired, self.margin, new, &old);
                if grown != new.replicas {
                    return self.resize_new(grown).await;
                }
                self.resize_old(&rollout::shrink_old(self.desired, self.margin, new, &old)).await?;
            }
        }
        self.forget_ancient().await
    }

    fn sizes(&self) -> (Size, Vec<Size>) {
        let size = |set: &Arc<ReplicaSet>| Size { replicas: replicas(set), available: status::available_replicas(set) };
        (self.new.as_ref().map(size).unwrap_or_default(), self.old.iter().map(size).collect())
    }

    /// The Deployment was resized since its sets were last scaled.
    fn size_changed(&self) -> bool {
        let sized_for = |set: &Arc<ReplicaSet>| set.annotations().get(DESIRED_REPLICAS)?.parse::<i32>().ok();
        let active = self.new.iter().chain(&self.old).filter(|set| replicas(set) > 0);
        active.filter_map(sized_for).any(|known| known != self.desired)
    }

    /// Resizes without rolling: the only active set takes it all, several share it in proportion.
    async fn follow_size(&mut self) -> Result<(), Error> {
        let active_old: Vec<usize> = (0..self.old.len()).filter(|index| replicas(&self.old[*index]) > 0).collect();
        let new_size = self.new.as_ref().map(|set| replicas(set));
        let new_is_active = new_size.is_some_and(|size| size > 0);
        match (new_is_active, active_old.as_slice()) {
            (false, [only]) => {
                let mut sizes: Vec<i32> = self.old.iter().map(|set| replicas(set)).collect();
                sizes[*only] = self.desired;
                self.resize_old(&sizes).await
            }
            (_, []) => self.resize_new(self.desired).await,
            _ => self.share_size().await,
        }
    }

    async fn share_size(&mut self) -> Result<(), Error> {
        // Largest first, the new one before an old one of its size: it takes what rounding leaves.
        let mut order: Vec<(i32, Option<usize>)> =
            self.old.iter().enumerate().map(|(i, set)| (replicas(set), Some(i))).collect();
        if let Some(new) = &self.new {
            order.push((replicas(new), None));
        }
        order.sort_by_key(|(size, index)| (std::cmp::Reverse(*size), *index));
        let current: Vec<i32> = order.iter().map(|(size, _)| *size).collect();
        let allowed = if self.desired > 0 { self.desired + self.margin.surge } else { 0 };
        let shared = rollout::spread(&current, allowed);
        let mut old_sizes = vec![0; self.old.len()];
        let mut new_size = None;
        for ((_, index), size) in order.into_iter().zip(shared) {
            match index {
                Some(index) => old_sizes[index] = size,
                None => new_size = Some(size),
            }
        }
        self.resize_old(&old_sizes).await?;
        if let Some(size) = new_size {
            self.resize_new(size).await?;
        }
        Ok(())
    }

    fn old_pods_remain(&self) -> bool {
        let pods = self.ctx.pods.in_namespace(&self.key.namespace);
        let of_old = |pod: &Arc<Pod>| {
            self.old.iter().any(|set| owner::is_controlled_by(&pod.metadata, set.metadata.uid.as_deref()))
        };
        pods.iter().any(|pod| of_old(pod) && !pods::is_finished(pod))
    }

    /// Creates the set of the current template, or gives the one that already exists the newest revision.
    async fn ensure_new(&mut self) -> Result<(), Error> {
        let revision = revision::next(&self.old);
        match self.new.clone() {
            Some(set) if revision::number(&set) >= revision => {}
            Some(set) => {
                let annotations = json!({REVISION: revision.to_string(), REVISION_HISTORY: revision::history(&set)});
                self.new = Some(self.patch_set(&set, json!({"metadata": {"annotations": annotations}})).await?);
            }
            None => self.create_new(revision).await?,
        }
        if self.new.is_none() {
            return Ok(());
        }
        let number = self.new.as_ref().map(|set| revision::number(set)).unwrap_or_default().to_string();
        if self.deployment.annotations().get(REVISION) != Some(&number) {
            let api: Api<Deployment> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
            let patch = Patch::Merge(json!({"metadata": {"annotations": {REVISION: number}}}));
            let written = api.patch(&self.key.name, &PatchParams::default(), &patch).await;
            let written = written.map_err(Error::doing("writing", NAME, self.key))?;
            self.ctx.deployments.wait_for(&written, Some(self.deployment)).await;
        }
        Ok(())
    }

    async fn report(&self) -> Result<Next, Error> {
        let sets: Vec<_> = self.new.iter().chain(&self.old).cloned().collect();
        let facts = Facts { deployment: self.deployment, new: self.new.as_deref(), sets: &sets, now: Timestamp::now() };
        let (status, again) = status::compute(&facts);
        let next = again.map_or(Next::OnChange, Next::After);
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(next);
        }
        // The newest cached version: the revision annotation may just have been written.
        let latest = self.ctx.deployments.get(self.key);
        let Some(latest) = latest.filter(|latest| latest.uid() == self.deployment.uid()) else {
            return Ok(Next::OnChange);
        };
        let updated = Deployment { status: Some(status), ..latest.as_ref().clone() };
        let there =
            crate::machinery::status::write(&self.ctx.client, &self.ctx.deployments, NAME, &latest, &updated).await?;
        Ok(if there { next } else { Next::OnChange })
    }
}

fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default()
}
