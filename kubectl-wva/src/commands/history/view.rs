//! The answer as data. Text and JSON are both made from it.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use serde::Serialize;
use wva_api::VariantAutoscaling;
use wva_engine::history::{Decision, VariantHistory};

use crate::readers::recorded::Recorded;
use crate::readers::variants::{self, Guarded};

/// Time that nobody needs to be asked about: a controller looks at a new variant within it.
const UNKNOWN: SignedDuration = SignedDuration::from_secs(20);

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
    /// Who tells of the time before the controller's own memory: a Prometheus, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_by: Option<String>,
    /// Why nobody does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<String>,
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
    /// Class of the reason; [`RECORDED`] where only the numbers are known.
    pub class: String,
    /// The reason.
    pub reason: String,
}

/// Class of the changes that Prometheus recorded, of which load and reason are not known.
pub const RECORDED: &str = "recorded";

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
            recorded_by: None,
            unrecorded: Vec::new(),
            cut: history.is_some_and(|history| history.is_cut() && history.decisions[0].at > from),
            changes: changes.into_iter().filter(|change| change.until >= from).collect(),
        }
    }

    /// Until when somebody else has to tell: the begin of what the controller keeps, when that is later than what was asked
    /// for and the variant was there before.
    pub fn unknown_until(&self, created: Option<Timestamp>) -> Option<Timestamp> {
        let begin = self.changes.first().map_or(self.as_of, |first| first.at);
        let there = created.map_or(self.from, |created| created.max(self.from));
        (begin.duration_since(there) > UNKNOWN).then_some(begin)
    }

    /// Puts what Prometheus recorded before the changes that the controller keeps; `cost` is that of a replica per hour.
    pub fn add_recorded(&mut self, recorded: &Recorded, cost: f64) {
        let begin = self.changes.first().map_or(self.as_of, |first| first.at);
        let mut earlier: Vec<ChangeView> = Vec::new();
        for (point, until) in recorded.spans(&self.namespace, &self.name, begin) {
            let Some(to) = point.desired.or(point.current) else { continue };
            let current = point.current.unwrap_or(to);
            match earlier.last_mut() {
                Some(last) if (last.to, last.current, last.until) == (to, current, point.at) => last.until = until,
                last => {
                    let from = last.map(|last| last.to);
                    earlier.push(ChangeView {
                        at: point.at,
                        until,
                        from,
                        to,
                        current,
                        kv_usage: None,
                        queue_length: None,
                        cost_per_hour: cost * f64::from(to),
                        class: RECORDED.to_owned(),
                        reason: format!("not known: recorded by Prometheus {}", recorded.service),
                    });
                }
            }
        }
        if !earlier.is_empty() {
            self.recorded_by = Some(recorded.service.clone());
            self.changes.splice(0..0, earlier);
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
