//! What a rollout writes: new, resized and forgotten `ReplicaSet`s.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    COMPONENT, Error, NAME, Rollout, replicas,
    revision::{self, DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY, TEMPLATE_HASH},
    rollout::{self, Size},
    status::{self, Strategy},
};
use crate::{
    controllers::claim,
    machinery::{key::Key, owner},
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

impl Rollout<'_> {
    pub(super) async fn create_new(&mut self, revision: i64) -> Result<(), Error> {
        let lives = claim::lives(&self.ctx.client, self.deployment).await;
        if !lives.map_err(Error::doing("looking whether it is still there:", NAME, self.key))? {
            return Ok(());
        }
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
                Err(Error::doing("creating a ReplicaSet of", NAME, self.key)(error))
            }
        }
    }

    /// Another template has the same hash: the next attempt uses another name.
    async fn count_collision(&self, collisions: i32) -> Result<(), Error> {
        let api: Api<Deployment> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let mut updated = self.deployment.clone();
        updated.status.get_or_insert_default().collision_count = Some(collisions + 1);
        let written = api.replace_status(&self.key.name, &PostParams::default(), &updated).await;
        written.map(|_| ()).map_err(Error::doing("writing", NAME, self.key))
    }

    fn size_annotations(&self) -> [(String, String); 2] {
        let most = if self.desired == 0 { 0 } else { self.desired + self.margin.surge };
        [(DESIRED_REPLICAS.to_owned(), self.desired.to_string()), (MAX_REPLICAS.to_owned(), most.to_string())]
    }

    pub(super) async fn resize_new(&mut self, size: i32) -> Result<(), Error> {
        if let Some(set) = self.new.clone() {
            self.new = Some(self.resize(&set, size).await?);
        }
        Ok(())
    }

    pub(super) async fn resize_old(&mut self, sizes: &[i32]) -> Result<(), Error> {
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
        let annotations: BTreeMap<_, _> = annotations.into_iter().collect();
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

    pub(super) async fn patch_set(
        &self,
        set: &Arc<ReplicaSet>,
        patch: serde_json::Value,
    ) -> Result<Arc<ReplicaSet>, Error> {
        let api: Api<ReplicaSet> = Api::namespaced(self.ctx.client.clone(), &self.key.namespace);
        let written = api.patch(&set.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
        let written = written.map_err(Error::doing("updating a ReplicaSet of", NAME, self.key))?;
        self.ctx.replica_sets.wait_for(&written, Some(set)).await;
        Ok(Arc::new(written))
    }

    fn announce(&self, set: &str, from: i32, to: i32) {
        let direction = if to > from { "up" } else { "down" };
        let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
        self.ctx.recorder.named(COMPONENT).normal(self.deployment, "ScalingReplicaSet", message);
    }

    /// Deletes old sets beyond the history limit.
    pub(super) async fn forget_ancient(&self) -> Result<(), Error> {
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
                Err(error) => return Err(Error::doing("updating a ReplicaSet of", NAME, self.key)(error)),
            }
        }
        Ok(())
    }
}
