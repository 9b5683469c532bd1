//! The pods of the workloads that variants scale, where not all of them serve: a few requests for what ails, none for
//! what is in good order.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use wva_api::{ScaleTargetRef, VariantAutoscaling};

use crate::readers::lists::{self, Part};
use crate::readers::pods::{self, Health, Nodes};
use crate::readers::variants::Guarded;
use crate::session::Session;

/// Label of the pods of a `LeaderWorkerSet`.
const LWS: &str = "leaderworkerset.sigs.k8s.io/name";

/// Pods of the namespaces in which a target has fewer ready replicas than it should.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// The pods, or why they could not be listed, by namespace.
    pub pods: BTreeMap<String, Part<Pod>>,
    /// The nodes of those that are not ready.
    pub nodes: Nodes,
}

impl Servers {
    /// Lists the pods where something ails.
    pub async fn gather(session: &Session, variants: &[Guarded], deployments: &Part<Deployment>) -> Self {
        let places: BTreeSet<String> = variants
            .iter()
            .filter_map(|guarded| guarded.0.as_ref().ok())
            .filter(|variant| ails(variant, deployments))
            .filter_map(ResourceExt::namespace)
            .collect();
        let list = |namespace: String| async move {
            let doing = format!("list pods in namespace {namespace}");
            let found = lists::list::<Pod>(session, Some(&namespace), &doing, &ListParams::default()).await;
            (namespace, found)
        };
        let pods: BTreeMap<String, Part<Pod>> = join_all(places.into_iter().map(list)).await.into_iter().collect();
        let nodes = Nodes::gather(session, pods.values().flatten().flatten()).await;
        Self { pods, nodes }
    }

    /// What ails the pods of a target, worst first; nothing when all serve, or nothing is known of them.
    pub fn ailments(&self, namespace: &str, target: &ScaleTargetRef, now: Timestamp) -> Vec<Ailment> {
        let mut found: Vec<Ailment> = Vec::new();
        let own = self.pods.get(namespace).into_iter().flatten().flatten().filter(|pod| belongs(pod, target));
        for pod in own {
            let health = Health::of(pod, &self.nodes, now);
            let Some(why) = health.trouble() else { continue };
            // Names of pods differ from pod to pod; the rest of the sentence is what they have in common.
            let why = why.replace(&pod.name_any(), "POD");
            match found.iter_mut().find(|one| one.why == why) {
                Some(one) => one.pods.push(pod.name_any()),
                None => found.push(Ailment { pods: vec![pod.name_any()], why, health }),
            }
        }
        found.sort_by_key(|one| !one.health.is_bad());
        found
    }
}

/// Something that keeps pods of one target from serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    /// The pods.
    pub pods: Vec<String>,
    /// Why they do not serve; of several pods the same.
    pub why: String,
    /// How the first of them fares.
    pub health: Health,
}

impl Ailment {
    /// One sentence without its subject's kind: `2 pods cannot be scheduled: …`.
    pub fn sentence(&self) -> String {
        let count = crate::output::console::counted(self.pods.len(), "pod");
        let one = self.pods.len() == 1;
        let verb = match self.health {
            Health::Pending(_) => "cannot be scheduled",
            Health::Lost(_) if one => "is lost",
            Health::Lost(_) => "are lost",
            Health::Failing(_) if one => "does not run",
            Health::Failing(_) => "do not run",
            _ if one => "is starting",
            _ => "are starting",
        };
        format!("{count} {verb}: {}", self.why)
    }
}

/// Whether a target may have pods that do not serve. Of kinds other than Deployments only their pods tell.
fn ails(variant: &VariantAutoscaling, deployments: &Part<Deployment>) -> bool {
    let target = &variant.spec.scale_target_ref;
    if target.kind != "Deployment" {
        return true;
    }
    let is_it = |found: &&Deployment| found.namespace() == variant.namespace() && found.name_any() == target.name;
    deployments.iter().flatten().find(is_it).is_some_and(falls_short)
}

/// Whether a Deployment has fewer ready replicas than it should, or another number of pods.
pub fn falls_short(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let (all, ready) = (status.replicas.unwrap_or(0), status.ready_replicas.unwrap_or(0));
    ready < wanted || all != ready
}

/// Why a Deployment cannot make its pods, such as a quota.
pub fn not_made(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|one| one.type_ == "ReplicaFailure" && one.status == "True")?;
    failure.message.clone().or_else(|| failure.reason.clone())
}

/// Whether a pod is one of a target's.
fn belongs(pod: &Pod, target: &ScaleTargetRef) -> bool {
    if pods::is_of(pod, &target.name) {
        return true;
    }
    let owned = pod.owner_references().iter().any(|owner| owner.kind == target.kind && owner.name == target.name);
    owned || (target.kind == "LeaderWorkerSet" && pod.labels().get(LWS) == Some(&target.name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, owner: &Value) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "models", "ownerReferences": [owner]},
            "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"},
            ]},
        })
    }

    fn target(kind: &str) -> ScaleTargetRef {
        ScaleTargetRef { api_version: "apps/v1".to_owned(), kind: kind.to_owned(), name: "llama".to_owned() }
    }

    #[rstest]
    #[case::deployment("Deployment", json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llama-5d4f8c7b9", "uid": "u"}), 2)]
    #[case::stateful_set("StatefulSet", json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "llama", "uid": "u"}), 2)]
    #[case::rollout("Rollout", json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llama-5d4f8c7b9", "uid": "u"}), 2)]
    #[case::of_another("Deployment", json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "other-5d4f8c7b9", "uid": "u"}), 0)]
    fn pods_with_the_same_trouble_are_one_sentence(#[case] kind: &str, #[case] owner: Value, #[case] count: usize) {
        let pods = [pod("llama-5d4f8c7b9-a", &owner), pod("llama-5d4f8c7b9-b", &owner)]
            .map(|pod| serde_json::from_value(pod).unwrap());
        let servers = Servers { pods: [("models".to_owned(), Ok(pods.to_vec()))].into(), nodes: Nodes::default() };
        let found = servers.ailments("models", &target(kind), "2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(found.iter().map(|one| one.pods.len()).sum::<usize>(), count);
        let said: Vec<String> = found.iter().map(Ailment::sentence).collect();
        let expect = "2 pods cannot be scheduled: 0/2 nodes are available";
        assert_eq!(said, vec![expect; usize::from(count > 0)]);
    }
}
