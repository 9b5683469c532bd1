//! The answer as data. Text and JSON are both made from it.

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;
use wva_api::VariantAutoscaling;
use wva_engine::history::{Decision, VariantHistory};

use crate::readers::variants::{self, Guarded};

/// What was decided of one variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// Namespace.
    pub namespace: String,
    /// Name of the variant.
    pub name: String,
    /// The name given to add-model or helm, else its own.
    pub shown: String,
    /// Model it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When the controller was asked.
    pub as_of: Timestamp,
    /// Begin of the time that was asked for.
    pub from: Timestamp,
    /// Since when the leader decides for the variant, which is how far it knows; absent before its first decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_since: Option<Timestamp>,
    /// Whether changes since then are no longer kept, because there were too many.
    pub cut: bool,
    /// The changes, oldest first. The first may have begun before the time that was asked for; the last is in force.
    pub changes: Vec<ChangeView>,
}

/// A decision that differed from the one before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeView {
    /// When it was first taken.
    pub at: Timestamp,
    /// When the next one was, or the last cycle ended.
    pub until: Timestamp,
    /// Replicas decided before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// Replicas decided.
    pub to: u32,
    /// Replicas there.
    pub current: u32,
    /// Mean used share of the KV cache of its pods, 0 to 1, when it was first taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f32>,
    /// Mean number of requests that waited in a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_length: Option<f32>,
    /// Cost per hour of the replicas decided, in the currency of `variantCost`.
    pub cost_per_hour: f64,
    /// Class of the reason.
    pub class: String,
    /// The reason.
    pub reason: String,
}

impl HistoryView {
    /// The changes of a variant since `from`.
    pub fn build(
        variant: &VariantAutoscaling,
        history: Option<&VariantHistory>,
        from: Timestamp,
        now: Timestamp,
    ) -> Self {
        let changes: Vec<ChangeView> = history.map(changes).unwrap_or_default();
        Self {
            namespace: variant.namespace().unwrap_or_default(),
            name: variant.name_any(),
            shown: variants::shown(&variant.metadata).to_owned(),
            model: variant.spec.model().map(str::to_owned),
            as_of: now,
            from,
            known_since: history.map(|history| history.since),
            cut: history.is_some_and(|history| history.is_cut() && history.decisions[0].at > from),
            changes: changes.into_iter().filter(|change| change.until >= from).collect(),
        }
    }

    /// Calls variants in the reasons by the names that people know.
    pub fn call_by_known_names(&mut self, listed: &[Guarded]) {
        for change in &mut self.changes {
            change.reason = variants::by_known_names(&change.reason, &self.namespace, listed);
        }
    }
}

fn changes(history: &VariantHistory) -> Vec<ChangeView> {
    let begins = history.decisions.iter().skip(1).map(|next| Some(next.at)).chain([None]);
    let view = |(decision, next): (&Decision, Option<Timestamp>)| ChangeView {
        at: decision.at,
        until: next.unwrap_or(decision.until),
        from: decision.from,
        to: decision.to,
        current: decision.current,
        kv_usage: decision.kv_usage,
        queue_length: decision.queue_length,
        cost_per_hour: decision.cost * f64::from(decision.to),
        class: decision.class.to_string(),
        reason: decision.why.to_string(),
    };
    history.decisions.iter().zip(begins).map(view).collect()
}
