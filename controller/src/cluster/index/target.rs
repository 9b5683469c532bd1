//! A target of whichever kind, in one shape.

use std::collections::BTreeMap;

use kube::core::Expression;
use wva_api::ScaleTargetRef;
use wva_engine::vllm::ServerArguments;

use super::{Index, ObjectKey, Scaled, TargetKey};

/// What is known of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a> {
    /// It is there.
    Found(Workload<'a>),
    /// It does not exist, or is being deleted.
    Missing,
    /// Its kind cannot be scaled here; the reason, as a sentence.
    Unscalable(&'a str),
    /// It has not been read yet.
    Unread,
}

/// A target that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload<'a> {
    /// `spec.replicas`.
    pub spec_replicas: u32,
    /// `status.replicas`.
    pub status_replicas: u32,
    /// Accelerator its pods ask for, as far as its template says.
    pub accelerator: Option<&'a str>,
    /// GPUs one replica requests.
    pub gpus_per_replica: u32,
    /// How its servers are started; `None` when its kind has no pod template that is known.
    pub server: Option<&'a ServerArguments>,
    /// How its pods are found.
    pub pods: PodsOf<'a>,
    /// Labels of its pods, as far as its template says.
    pub pod_labels: &'a BTreeMap<String, String>,
}

/// How the pods of a target are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PodsOf<'a> {
    /// By the chain of owners that ends at the Deployment with this uid.
    Owner(&'a str),
    /// By labels, whoever owns them.
    Selector {
        /// Uid of the target. What belongs to another target is none of its pods, whatever its labels.
        uid: &'a str,
        /// The labels; `None` when the target does not say which.
        selector: Option<&'a [Expression]>,
    },
}

impl Index {
    /// The target of a variant in `namespace`.
    pub fn target(&self, namespace: &str, target: &ScaleTargetRef) -> Target<'_> {
        let Some(key) = TargetKey::of(namespace, target) else {
            let deployment = self.deployments.get(&ObjectKey::new(namespace, &*target.name));
            let Some(found) = deployment.filter(|deployment| !deployment.deleting) else { return Target::Missing };
            return Target::Found(Workload {
                spec_replicas: found.spec_replicas,
                status_replicas: found.status_replicas,
                accelerator: found.accelerator.as_deref(),
                gpus_per_replica: found.gpus_per_replica,
                server: Some(&found.server),
                pods: PodsOf::Owner(&found.uid),
                pod_labels: &found.pod_labels,
            });
        };
        match self.scaled.get(&key) {
            None => Target::Unread,
            Some(Scaled::Unscalable(why)) => Target::Unscalable(why),
            Some(scaled) => scaled.found().map_or(Target::Missing, |found| {
                Target::Found(Workload {
                    spec_replicas: found.spec_replicas,
                    status_replicas: found.status_replicas,
                    accelerator: found.accelerator.as_deref(),
                    gpus_per_replica: found.gpus_per_replica,
                    server: found.server.as_ref(),
                    pods: PodsOf::Selector { uid: &found.uid, selector: found.pods.as_deref() },
                    pod_labels: &found.pod_labels,
                })
            }),
        }
    }
}
