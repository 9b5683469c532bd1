//! The `VariantAutoscaling` custom resource. The CRD generated from these types is in [`crate::crd`].

#![expect(unreachable_pub, reason = "KubeSchema repeats each type inside a private scope, keeping its `pub`")]
#![expect(clippy::duplicated_attributes, reason = "printer columns repeat their type")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::labels;

/// Cost of a variant that names none, and of one whose cost is no number.
pub const DEFAULT_COST: f64 = 10.0;

/// Asks for one workload that serves a model to be scaled with its load.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "llmd.ai",
    version = "v1alpha1",
    kind = "VariantAutoscaling",
    plural = "variantautoscalings",
    singular = "variantautoscaling",
    shortname = "va",
    namespaced,
    derive = "Default",
    derive = "PartialEq",
    doc = "VariantAutoscaling scales one workload that serves a model on one kind of accelerator.",
    status = "VariantAutoscalingStatus",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.scaleTargetRef.name"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelID"),
    printcolumn(name = "Optimized", type_ = "string", json_path = ".status.desiredOptimizedAlloc.numReplicas"),
    printcolumn(
        name = "MetricsReady",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='MetricsAvailable')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        priority = 1
    ),
    printcolumn(
        name = "Instance",
        type_ = "string",
        json_path = ".metadata.labels.wva\\.llmd\\.ai/controller-instance",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='OptimizationReady')].message",
        priority = 1
    ),
    printcolumn(name = "Cost", type_ = "string", json_path = ".spec.variantCost", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.modelID) != has(self.modelId)", "set spec.modelID to the model name the servers report (spec.modelId is its deprecated alias; set exactly one of the two)"))]
pub struct VariantAutoscalingSpec {
    /// The workload to scale, in the namespace of this object: a Deployment, or any kind with a scale subresource.
    pub scale_target_ref: ScaleTargetRef,

    /// Name of the model as the servers report it in the label `model_name`, e.g. `meta-llama/Llama-3.1-8B`.
    #[serde(rename = "modelID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub model_id: Option<String>,

    /// Deprecated alias of `modelID`.
    #[serde(rename = "modelId", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub model_id_alias: Option<String>,

    /// Cost of one replica per unit of time, a decimal number. The cheapest variant of a model grows first, the
    /// most expensive shrinks first.
    #[serde(default = "default_cost")]
    #[schemars(regex(pattern = r"^\d+(\.\d+)?$"))]
    pub variant_cost: String,
}

/// The workload to scale.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTargetRef {
    /// API group and version of the target.
    #[serde(default = "default_api_version")]
    pub api_version: String,

    /// Kind of the target.
    #[serde(default = "default_kind")]
    pub kind: String,

    /// Name of the target.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// What the controller found and decided.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantAutoscalingStatus {
    /// The last decision; empty while the target does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_optimized_alloc: Option<DesiredAllocation>,

    /// Whether the last decision is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actuation: Option<Actuation>,

    /// State of this object: Ready, `TargetResolved`, `MetricsAvailable`, `OptimizationReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A decision.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredAllocation {
    /// When it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_time: Option<Time>,

    /// Accelerator of the variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,

    /// Replicas the target is to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub num_replicas: Option<i32>,
}

/// Whether a decision reached whoever carries it out.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actuation {
    /// The target has the desired replicas.
    #[serde(default)]
    pub applied: bool,
}

fn default_api_version() -> String {
    "apps/v1".to_owned()
}

fn default_kind() -> String {
    "Deployment".to_owned()
}

fn default_cost() -> String {
    "10.0".to_owned()
}

impl VariantAutoscalingSpec {
    /// The model's name, from `modelID` or its alias; `None` when neither holds text, which the API server refuses
    /// but an object stored by an older CRD may have.
    pub fn model(&self) -> Option<&str> {
        self.model_id.as_deref().or(self.model_id_alias.as_deref()).filter(|name| !name.is_empty())
    }

    /// The cost as a number; [`DEFAULT_COST`] when the text is none.
    pub fn cost(&self) -> f64 {
        self.variant_cost.parse().ok().filter(|cost: &f64| cost.is_finite()).unwrap_or(DEFAULT_COST)
    }
}

impl VariantAutoscaling {
    /// The accelerator named by this object's label.
    pub fn accelerator_label(&self) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(labels::ACCELERATOR).map(String::as_str).filter(|name| !name.is_empty())
    }
}
