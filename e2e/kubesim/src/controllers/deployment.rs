//! Deployments: one `ReplicaSet` per pod template, moved to the current one by the chosen strategy.

pub(crate) mod revision;
mod rollout;
mod status;

use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::Selector,
};
use serde_json::json;

use self::{
    revision::{DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY, TEMPLATE_HASH},
    rollout::{Margin, Size},
    status::{Facts, Strategy},
};
use super::{Context, claim, pods};
use crate::machinery::{
    key::Key,
    owner,
    work_queue::{self, Failure, Next},
};

/// Annotations of a Deployment that say nothing about its `ReplicaSets`.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// The source of its events.
const COMPONENT: &str = "deployment-controller";

/// Why a Deployment could not be moved on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("reading the selector of Deployment {0}: {1}; the selector cannot be changed, recreate the Deployment")]
    Selector(Key, #[source] kube::core::ParseExpressionError),
    #[error("adopting or releasing ReplicaSets of Deployment {0}: {1}")]
    Claim(Key, #[source] kube::Error),
    #[error("creating a ReplicaSet of Deployment {0}: {1}")]
    Create(Key, #[source] kube::Error),
    #[error("updating a ReplicaSet of Deployment {0}: {1}")]
    Update(Key, #[source] kube::Error),
    #[error("writing Deployment {0}: {1}")]
    Write(Key, #[source] kube::Error),
}

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        match self {
            Self::Selector(..) => false,
            Self::Claim(_, source) | Self::Create(_, source) | Self::Update(_, source) | Self::Write(_, source) => {
                source.is_conflict()
            }
        }
    }
}

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
    let selector = Selector::try_from(spec.selector.clone()).map_err(|error| Error::Selector(key.clone(), error))?;
    let in_namespace = ctx.replica_sets.in_namespace(&key.namespace);
    let sets = claim::claim(&ctx.client, &ctx.replica_sets, deployment.as_ref(), &selector, in_namespace)
        .await
        .map_err(|error| Error::Claim(key.clone(), error))?;
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
        let number = self.new.as_ref().map(|set| revision::number(set)).unwrap_or_default().to_string();
        if self.deployment.annotations().get(REVISION) != Some(&number) {
            let api: Api<Deployment> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
            let patch = Patch::Merge(json!({"metadata": {"annotations": {REVISION: number}}}));
            let written = api.patch(&self.key.name, &PatchParams::default(), &patch).await;
            let written = written.map_err(|error| Error::Write(self.key.clone(), error))?;
            self.ctx.deployments.wait_for(&written, Some(self.deployment)).await;
        }
        Ok(())
    }

    async fn create_new(&mut self, revision: i64) -> Result<(), Error> {
        let Some(spec) = self.deployment.spec.clone() else { return Ok(()) };
        let collisions = self.deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default();
        let hash = revision::template_hash(&spec.template, collisions);
        let (_, old) = self.sizes();
        let size = match status::strategy(self.deployment) {
            Strategy::Recreate => self.desired,
            Strategy::RollingUpdate => rollout::grow_new(self.desired, self.margin, Size::default(), &old),
        };
        let mut template = spec.template;
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector;
        selector.match_labels.get_or_insert_default().insert(TEMPLATE_HASH.to_owned(), hash.clone());
        let mut annotations = self.deployment.annotations().clone();
        annotations.retain(|key, _| !NOT_COPIED.contains(&key.as_str()));
        annotations.insert(REVISION.to_owned(), revision.to_string());
        annotations.extend(self.size_annotations());
        let set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", self.key.name)),
                namespace: Some(self.key.namespace.clone()),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: owner::controlled_by(self.deployment).map(|reference| vec![reference]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(size),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        };
        let api: Api<ReplicaSet> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        match api.create(&PostParams::default(), &set).await {
            Ok(created) => {
                self.ctx.replica_sets.wait_until(&Key::of(&created), |seen| seen.is_some()).await;
                self.announce(&created.name_any(), 0, size);
                self.new = Some(Arc::new(created));
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.count_collision(collisions).await,
            Err(error) => {
                self.ctx.recorder.named(COMPONENT).warning(
                    self.deployment,
                    "ReplicaSetCreateError",
                    format!("Failed to create new replica set: {error}"),
                );
                Err(Error::Create(self.key.clone(), error))
            }
        }
    }

    /// Another template has the same hash: the next attempt uses another name.
    async fn count_collision(&self, collisions: i32) -> Result<(), Error> {
        let api: Api<Deployment> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let mut updated = self.deployment.clone();
        updated.status.get_or_insert_default().collision_count = Some(collisions + 1);
        let written = api.replace_status(&self.key.name, &PostParams::default(), &updated).await;
        written.map(|_| ()).map_err(|error| Error::Write(self.key.clone(), error))
    }

    fn size_annotations(&self) -> [(String, String); 2] {
        let most = if self.desired == 0 { 0 } else { self.desired + self.margin.surge };
        [(DESIRED_REPLICAS.to_owned(), self.desired.to_string()), (MAX_REPLICAS.to_owned(), most.to_string())]
    }

    async fn resize_new(&mut self, size: i32) -> Result<(), Error> {
        if let Some(set) = self.new.clone() {
            self.new = Some(self.resize(&set, size).await?);
        }
        Ok(())
    }

    async fn resize_old(&mut self, sizes: &[i32]) -> Result<(), Error> {
        for (index, size) in sizes.iter().enumerate() {
            let set = Arc::clone(&self.old[index]);
            // An empty old set keeps its annotations: nothing will be derived from them.
            if replicas(&set) > 0 || *size > 0 {
                self.old[index] = self.resize(&set, *size).await?;
            }
        }
        Ok(())
    }

    async fn resize(&self, set: &Arc<ReplicaSet>, size: i32) -> Result<Arc<ReplicaSet>, Error> {
        let annotations = self.size_annotations();
        let annotated = annotations.iter().all(|(key, value)| set.annotations().get(key) == Some(value));
        if replicas(set) == size && annotated {
            return Ok(Arc::clone(set));
        }
        let annotations: std::collections::BTreeMap<_, _> = annotations.into_iter().collect();
        let patch = json!({
            "metadata": {"annotations": annotations, "resourceVersion": set.metadata.resource_version},
            "spec": {"replicas": size},
        });
        let written = self.patch_set(set, patch).await?;
        if replicas(set) != size {
            self.announce(&set.name_any(), replicas(set), size);
        }
        Ok(written)
    }

    async fn patch_set(&self, set: &Arc<ReplicaSet>, patch: serde_json::Value) -> Result<Arc<ReplicaSet>, Error> {
        let api: Api<ReplicaSet> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let written = api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        let written = written.map_err(|error| Error::Update(self.key.clone(), error))?;
        self.ctx.replica_sets.wait_for(&written, Some(set)).await;
        Ok(Arc::new(written))
    }

    fn announce(&self, set: &str, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
        self.ctx.recorder.named(COMPONENT).normal(self.deployment, "ScalingReplicaSet", message);
    }

    /// Deletes old sets beyond the history limit once the rollout is over.
    async fn forget_ancient(&self) -> Result<(), Error> {
        let spec = self.deployment.spec.as_ref();
        let limit = spec.and_then(|spec| spec.revision_history_limit).unwrap_or(10);
        let idle = |set: &&Arc<ReplicaSet>| {
            let status = set.status.as_ref().map_or(0, |status| status.replicas);
            replicas(set) == 0 && status == 0 && set.metadata.deletion_timestamp.is_none()
        };
        let mut idle: Vec<_> = self.old.iter().filter(idle).collect();
        idle.sort_by_key(|set| revision::number(set));
        let excess = idle.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        let api: Api<ReplicaSet> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        for set in &idle[..excess] {
            match api.delete(&set.name_any(), &DeleteParams::background()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(Error::Update(self.key.clone(), error)),
            }
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
        let mut updated = latest.as_ref().clone();
        updated.status = Some(status);
        let api: Api<Deployment> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        match api.replace_status(&self.key.name, &PostParams::default(), &updated).await {
            Ok(written) => {
                self.ctx.deployments.wait_for(&written, Some(&latest)).await;
                Ok(next)
            }
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Next::OnChange),
            Err(error) => Err(Error::Write(self.key.clone(), error)),
        }
    }
}

fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default()
}
