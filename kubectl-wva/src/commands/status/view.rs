//! The answer as data. Text and JSON are both made from it.

mod build;
mod verdict;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use wva_api::Instance;

use super::Problem;
use crate::readers::hpas;

/// Which variants to show.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Name of the variant, or of the release it belongs to.
    pub name: Option<String>,
    /// Instance it belongs to.
    pub instance: Option<Instance>,
    /// Model it serves.
    pub model: Option<String>,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// When the cluster was asked.
    pub as_of: Timestamp,
    /// Controller instances, by id; the one without an id comes first.
    pub instances: Vec<InstanceView>,
    /// Variants, by namespace and name.
    pub variants: Vec<VariantView>,
    /// Parts of the answer that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// Why loads are missing: no reason to doubt the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A part of the answer that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The part.
    pub what: &'static str,
    /// Why.
    pub error: String,
}

/// One instance: its controllers, and how its variants fare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// The id; absent for the one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Whether nothing is wrong with it or any of its variants shown.
    pub healthy: bool,
    /// Its variants shown.
    pub variants: usize,
    /// Those that are Ready.
    pub ready: usize,
    /// Its controllers; absent when they could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controllers: Option<Vec<ControllerView>>,
    /// What is not right with them yet, and need not be so early.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starting: Vec<String>,
    /// What is wrong with its controllers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerView {
    /// Namespace of its Deployment.
    pub namespace: String,
    /// Name of its Deployment.
    pub name: String,
    /// Replicas ready.
    pub ready: i32,
    /// Replicas asked for.
    pub replicas: i32,
    /// Namespaces it watches; empty means all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub namespaces: BTreeSet<String>,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// One variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Release it was installed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Instance it belongs to; absent for the controller without an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What it scales.
    pub target: TargetView,
    /// Model it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Accelerator: of its label, else as the controller found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// Cost of one replica.
    pub cost: String,
    /// Load of its pods as the last decision saw it; absent when the controller could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadView>,
    /// Replicas now and wanted.
    pub replicas: ReplicasView,
    /// The HPA of its target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hpa: Option<HpaView>,
    /// Condition `Ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<ConditionView>,
    /// Condition `MetricsAvailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<ConditionView>,
    /// Condition `OptimizationReady`: the last decision and its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<ConditionView>,
    /// When the variant was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the number last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What is not right yet, and need not be so early.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starting: Vec<String>,
}

impl VariantView {
    /// The name that people know.
    pub fn shown(&self) -> &str {
        self.release.as_deref().unwrap_or(&self.name)
    }
}

/// What a variant scales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TargetView {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// Replicas of a target. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplicasView {
    /// Replicas there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<i32>,
    /// Replicas ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// Replicas the controller wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
}

/// Load of a variant's pods, as means over those that report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadView {
    /// Used share of the KV cache.
    pub kv_usage: f64,
    /// Requests waiting.
    pub queue_length: f64,
    /// What that is by the thresholds in force.
    pub level: Level,
    /// Each pod.
    pub each: Vec<PodLoad>,
    /// Pods that report.
    pub pods: usize,
    /// Age of the oldest reading, in seconds.
    pub age_seconds: i64,
}

/// What a load is by the thresholds in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// There is room.
    #[default]
    Usual,
    /// There is less room than what makes the model grow.
    High,
    /// There is none.
    Saturated,
}

/// Load of one pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLoad {
    /// Name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Used share of its KV cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f64>,
    /// Requests waiting for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_length: Option<f64>,
    /// What that is by the thresholds in force.
    pub level: Level,
}

/// An HPA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HpaView {
    /// Name.
    pub name: String,
    /// Replicas it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<i32>,
    /// Replicas it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// Fewest replicas.
    pub min: i32,
    /// Most replicas.
    pub max: i32,
    /// KEDA's `ScaledObject` that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled_object: Option<String>,
    /// Why it does not scale; absent when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive: Option<String>,
    /// Since when it does not scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_since: Option<Timestamp>,
    /// What it waits for, when it does not ask for the replicas that are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<hpas::Wait>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionView {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Reason, one word.
    pub reason: String,
    /// Message, a sentence.
    pub message: String,
    /// When the status last changed.
    pub since: Timestamp,
}
