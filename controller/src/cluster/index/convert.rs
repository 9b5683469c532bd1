//! From the API's objects to what is kept of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment as ApiDeployment, ReplicaSet as ApiReplicaSet};
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Pod as ApiPod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};
use kube::core::PartialObjectMeta;
use wva_api::{Instance, VariantAutoscaling, labels, pause};
use wva_engine::snapshot::Readiness;

use crate::lock::lock;

use super::{Deployment, Namespace, ObjectKey, Pod, ReplicaSet, StatusWrite, Variant, obstacle, workload};

/// [`labels::CONTROLLER_INSTANCE`] in `managedFields`.
const INSTANCE_LABEL_FIELD: &str = "f:wva.llmd.ai/controller-instance";

/// Kinds that own pods and are no target: their pods are many, and nobody's replicas.
const NEVER_SCALED: [&str; 3] = ["DaemonSet", "Job", "Node"];

/// Key of an object with this metadata.
pub fn key(metadata: &ObjectMeta) -> ObjectKey {
    ObjectKey::new(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// A `VariantAutoscaling`.
pub fn variant(object: VariantAutoscaling) -> Variant {
    Variant {
        status_writes: status_writes(&object.metadata),
        labelled_at: labelled_at(&object.metadata),
        accelerator: object.accelerator_label().map(str::to_owned),
        model: object.spec.model().map(str::to_owned),
        cost: object.spec.cost(),
        uid: object.metadata.uid.unwrap_or_default(),
        version: object.metadata.resource_version.unwrap_or_default(),
        labels: object.metadata.labels.unwrap_or_default(),
        annotations: meaningful(object.metadata.annotations.unwrap_or_default()),
        generation: object.metadata.generation,
        target: object.spec.scale_target_ref,
        status: object.status.unwrap_or_default(),
    }
}

/// The annotations that say what was promised, and what is paused.
fn meaningful(mut annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let promises = [labels::SLO_TPOT_MS, labels::SLO_TTFT_MS, labels::SERVICE_CLASS];
    annotations.retain(|name, _| promises.contains(&&**name) || pause::ANNOTATIONS.contains(&&**name));
    annotations
}

/// Which controller instances wrote the status of an object with this metadata.
pub fn status_writes(metadata: &ObjectMeta) -> Vec<StatusWrite> {
    managed(metadata).filter_map(status_write).collect()
}

fn managed(metadata: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    metadata.managed_fields.iter().flatten()
}

/// When the label that names the owner was last written.
pub fn labelled_at(metadata: &ObjectMeta) -> Option<Timestamp> {
    managed(metadata).filter(|entry| owns_instance_label(entry)).filter_map(time_of).max()
}

/// A write of status by a controller instance.
pub fn status_write(entry: &ManagedFieldsEntry) -> Option<StatusWrite> {
    let by = Instance::of_field_manager(entry.manager.as_deref()?)?;
    let at = time_of(entry)?;
    (entry.subresource.as_deref() == Some("status")).then_some(StatusWrite { by, at })
}

/// Whether this manager wrote the label that names the owner.
fn owns_instance_label(entry: &ManagedFieldsEntry) -> bool {
    let path = ["f:metadata", "f:labels", INSTANCE_LABEL_FIELD];
    let Some(fields) = &entry.fields_v1 else { return false };
    path.iter().try_fold(&fields.0, |fields, name| fields.get(name)).is_some()
}

fn time_of(entry: &ManagedFieldsEntry) -> Option<Timestamp> {
    entry.time.as_ref().map(|time| time.0)
}

/// A Deployment.
pub fn deployment(object: ApiDeployment) -> Deployment {
    let ApiDeployment { metadata, spec, status } = object;
    let spec = spec.unwrap_or_default();
    let pod_labels = spec.template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
    let template = spec.template.spec.unwrap_or_default();
    Deployment {
        owner: controller_of(&metadata).map(|owner| owner.uid.clone()),
        uid: metadata.uid.unwrap_or_default(),
        deleting: metadata.deletion_timestamp.is_some(),
        spec_replicas: spec.replicas.map_or(1, count),
        status_replicas: status.and_then(|status| status.replicas).map_or(0, count),
        pod_labels,
        accelerator: workload::accelerator(&template),
        gpus_per_replica: workload::gpus_per_replica(&template),
        server: Box::new(workload::server(&template)),
    }
}

/// A `ReplicaSet`; `None` when nothing controls it.
pub fn replica_set(object: PartialObjectMeta<ApiReplicaSet>) -> Option<ReplicaSet> {
    let owner = controller_of(&object.metadata)?.uid.clone();
    Some(ReplicaSet { uid: object.metadata.uid.unwrap_or_default(), owner })
}

/// A pod; `None` when nothing controls it that could be scaled.
pub fn pod(object: ApiPod) -> Option<Pod> {
    // A kind that does not call itself the controller of its pods owns them all the same.
    let owner = controller_of(&object.metadata).or_else(|| object.metadata.owner_references.as_ref()?.first())?;
    if NEVER_SCALED.contains(&owner.kind.as_str()) {
        return None;
    }
    let owner = owner.uid.clone();
    let status = object.status.unwrap_or_default();
    let obstacle = obstacle::of(&status).map(Box::new);
    let ready = status.conditions.unwrap_or_default().into_iter().find(|condition| condition.type_ == "Ready");
    let created = object.metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let since = ready.as_ref().and_then(|ready| ready.last_transition_time.as_ref()).map_or(created, |time| time.0);
    Some(Pod {
        owner,
        labels: Arc::new(object.metadata.labels.unwrap_or_default()),
        leaving: object.metadata.deletion_timestamp.is_some()
            || matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
        created,
        ready: if ready.is_some_and(|ready| ready.status == "True") {
            Readiness::Ready { since }
        } else {
            Readiness::NotReady { since }
        },
        obstacle,
    })
}

/// Lets pods of one owner share their labels, which are the same for nearly all of them: of a fleet's pods, they are most of
/// what is kept.
#[derive(Debug, Default)]
pub struct SharedLabels(Mutex<HashMap<String, Weak<BTreeMap<String, String>>>>);

impl SharedLabels {
    /// The pod, with the labels of another one of its owner if those are the same.
    pub fn share(&self, mut pod: Pod) -> Pod {
        let mut known = lock(&self.0);
        let shared = known.get(&pod.owner).and_then(Weak::upgrade).filter(|labels| *labels == pod.labels);
        if let Some(labels) = shared {
            pod.labels = labels;
            return pod;
        }
        if known.len() == known.capacity() {
            known.retain(|_, labels| labels.strong_count() > 0);
        }
        known.insert(pod.owner.clone(), Arc::downgrade(&pod.labels));
        pod
    }
}

/// A Namespace.
pub fn namespace(object: ApiNamespace) -> Namespace {
    let mut labels = object.metadata.labels.unwrap_or_default();
    labels.retain(|name, _| name == labels::CONFIG_ENABLED);
    let mut annotations = object.metadata.annotations.unwrap_or_default();
    annotations.retain(|name, _| name == labels::EXCLUDE);
    Namespace { labels, annotations }
}

/// The owner that controls an object.
fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// Replicas are never negative; the API server sees to that.
pub(super) fn count(replicas: i32) -> u32 {
    u32::try_from(replicas).unwrap_or(0)
}
