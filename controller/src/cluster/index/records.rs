//! What is kept of each object.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use wva_api::{Instance, ScaleTargetRef, VariantAutoscalingStatus};
use wva_engine::snapshot::{Obstacle, Readiness};
use wva_engine::vllm::ServerArguments;

use super::{Index, ObjectKey, Record, Table, workload};

/// A write of status, as `metadata.managedFields` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWrite {
    /// Which instance wrote.
    pub by: Instance,
    /// When, by the clock of the API server.
    pub at: Timestamp,
}

/// A `VariantAutoscaling`.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// Labels: who it belongs to.
    pub labels: BTreeMap<String, String>,
    /// Annotations, of which only what was promised to the users of its model and what is paused is kept.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// The workload to scale.
    pub target: ScaleTargetRef,
    /// Name of its model; `None` when it names none.
    pub model: Option<String>,
    /// Cost of one replica.
    pub cost: f64,
    /// Accelerator named by its label.
    pub accelerator: Option<String>,
    /// Its status, as stored.
    pub status: VariantAutoscalingStatus,
    /// Which controller instances wrote its status, as far as parts of it are still theirs, each with its last write.
    pub status_writes: Vec<StatusWrite>,
    /// When the label that names its owner was last written; `None` when there is none.
    pub labelled_at: Option<Timestamp>,
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// `metadata.uid`.
    pub uid: String,
    /// Uid of what controls it, if anything does.
    pub owner: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// `spec.replicas`, 1 when not set.
    pub spec_replicas: u32,
    /// `status.replicas`.
    pub status_replicas: u32,
    /// Labels of its pods.
    pub pod_labels: BTreeMap<String, String>,
    /// Accelerator its pods ask for, as far as its template says.
    pub accelerator: Option<String>,
    /// GPUs one replica requests.
    pub gpus_per_replica: u32,
    /// How its servers are started.
    pub server: Box<ServerArguments>,
}

/// A `ReplicaSet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    /// `metadata.uid`.
    pub uid: String,
    /// Uid of what controls it: a Deployment, or another kind that makes `ReplicaSet`s.
    pub owner: String,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Uid of what controls it.
    pub owner: String,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Whether it is being deleted or has ended.
    pub leaving: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Its `Ready` condition.
    pub ready: Readiness,
    /// What keeps it from running; few pods have one.
    pub obstacle: Option<Box<Obstacle>>,
}

/// A Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its labels, of which only the opt-in to namespace-local ConfigMaps is kept.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, of which only the exclusion is kept.
    pub annotations: BTreeMap<String, String>,
}

impl Record for Variant {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.variants
    }

    /// Everything but the status, as long as the same controllers write it.
    fn matters(_: &Index, _: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool {
        let (Some(before), Some(after)) = (before, after) else { return true };
        let Self {
            uid,
            version: _,
            labels,
            annotations,
            generation: _,
            target,
            model,
            cost,
            accelerator,
            status: _,
            status_writes,
            labelled_at: _,
        } = before;
        *uid != after.uid
            || *labels != after.labels
            || *annotations != after.annotations
            || *target != after.target
            || *model != after.model
            || cost.total_cmp(&after.cost).is_ne()
            || *accelerator != after.accelerator
            || is_contested(status_writes, &after.status_writes)
    }
}

/// Whether anybody but one and the same controller wrote. That one is this controller, most of the time, and knows its
/// own writes.
fn is_contested(before: &[StatusWrite], after: &[StatusWrite]) -> bool {
    before != after
        && match (before, after) {
            ([before], [after]) => before.by != after.by,
            _ => true,
        }
}

impl Record for Deployment {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.deployments
    }

    fn matters(index: &Index, key: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool {
        let identity = |deployment: Option<&Self>| deployment.filter(|d| !d.deleting).map(|d| d.uid.clone());
        identity(before) != identity(after) && index.is_target(workload::DEPLOYMENT, key)
    }
}

impl Record for ReplicaSet {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.replica_sets
    }

    fn matters(_: &Index, _: &ObjectKey, _: Option<&Self>, _: Option<&Self>) -> bool {
        false
    }
}

impl Record for Pod {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.pods
    }

    fn matters(_: &Index, _: &ObjectKey, _: Option<&Self>, _: Option<&Self>) -> bool {
        false
    }
}

impl Record for Namespace {
    fn table(index: &mut Index) -> &mut Table<Self> {
        &mut index.namespaces
    }

    /// The marks are all that is kept, so any difference is one of them; a Namespace without marks changes nothing.
    fn matters(_: &Index, _: &ObjectKey, before: Option<&Self>, after: Option<&Self>) -> bool {
        let marks =
            |namespace: Option<&Self>| namespace.map(|n| (n.labels.clone(), n.annotations.clone())).unwrap_or_default();
        marks(before) != marks(after)
    }
}
