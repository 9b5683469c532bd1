//! What would change a decision: the engine is asked again with other readings.
//!
//! Nothing here knows an analyzer's formulas: the load of all pods of the model is raised and lowered step by step, and
//! the first step with another number is the answer. It holds for whichever analyzer decided.

use serde::Serialize;
use wva_engine::snapshot::{Model, Reading};
use wva_engine::{ModelKey, Snapshot, VariantKey, decide};

use crate::readers::debug_state::LastCycle;

/// Steps in which the KV-cache use is changed.
const KV_STEP: f64 = 0.01;
/// Longest queue tried.
const LONGEST_QUEUE: u32 = 100;

/// The readings at which a variant's number would be another, as means over the pods of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    /// Mean use of the KV cache now, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_now: Option<f64>,
    /// Lowest mean use of the KV cache at which the number would be higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_grows_at: Option<f64>,
    /// Highest mean use of the KV cache at which the number would be lower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_shrinks_at: Option<f64>,
    /// Mean queue length now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_now: Option<f64>,
    /// Lowest mean queue length at which the number would be higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_grows_at: Option<f64>,
    /// Highest mean queue length at which the number would be lower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_shrinks_at: Option<f64>,
}

/// Asks the engine.
pub fn what_if(cycle: &LastCycle, model: &ModelKey, variant: &VariantKey) -> WhatIf {
    let Some(found) = cycle.snapshot.models.iter().find(|found| found.key == *model) else { return WhatIf::default() };
    let Some(now) = number(cycle, found.clone(), variant) else { return WhatIf::default() };
    let (kv, queue) = (mean(found, kv_of), mean(found, queue_of));
    let mut answer = WhatIf { kv_now: kv, queue_now: queue, ..WhatIf::default() };
    if let Some(kv) = kv {
        let steps =
            |limit: f64| (1..=100u8).map(move |step| f64::from(step) * KV_STEP).take_while(move |by| *by <= limit);
        let with = |by: f64| number(cycle, shifted(found, by, kv_of, 1.0), variant);
        answer.kv_grows_at = steps(1.0 - kv).find(|by| with(*by) > Some(now)).map(|by| kv + by);
        answer.kv_shrinks_at = steps(kv).find(|by| with(-by).is_some_and(|then| then < now)).map(|by| kv - by);
    }
    if let Some(queue) = queue {
        let with = |by: f64| number(cycle, shifted(found, by, queue_of, f64::MAX), variant);
        let steps = || (1..=LONGEST_QUEUE).map(f64::from);
        answer.queue_grows_at = steps().find(|by| with(*by) > Some(now)).map(|by| queue + by);
        let down = steps().take_while(|by| *by <= queue.ceil());
        answer.queue_shrinks_at =
            down.into_iter().find(|by| with(-by).is_some_and(|then| then < now)).map(|by| (queue - by).max(0.0));
    }
    answer
}

type Part = fn(&mut wva_engine::snapshot::Sample) -> &mut Option<Reading>;

fn kv_of(sample: &mut wva_engine::snapshot::Sample) -> &mut Option<Reading> {
    &mut sample.kv_usage
}

fn queue_of(sample: &mut wva_engine::snapshot::Sample) -> &mut Option<Reading> {
    &mut sample.queue_length
}

/// The number decided for a variant when its model looks like this.
fn number(cycle: &LastCycle, model: Model, variant: &VariantKey) -> Option<u32> {
    let Snapshot { models: _, inventory, momentary } = &cycle.snapshot;
    let snapshot = Snapshot { models: vec![model], inventory: inventory.clone(), momentary: *momentary };
    let plan = decide(&snapshot, &mut cycle.before.clone(), &cycle.settings, cycle.at);
    plan.targets.iter().find(|target| target.variant == *variant).map(|target| target.replicas)
}

fn mean(model: &Model, part: Part) -> Option<f64> {
    let mut model = model.clone();
    let pods = model.variants.iter_mut().flat_map(|variant| &mut variant.pods);
    let values: Vec<f64> = pods
        .filter_map(|pod| pod.sample.as_mut())
        .filter_map(|sample| part(sample).map(|reading| reading.value))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a count of pods")]
    let count = values.len() as f64;
    (count > 0.0).then(|| values.iter().sum::<f64>() / count)
}

/// The model with one reading of all its pods changed by the same amount, within 0 and `most`.
fn shifted(model: &Model, by: f64, part: Part, most: f64) -> Model {
    let mut model = model.clone();
    for pod in model.variants.iter_mut().flat_map(|variant| &mut variant.pods) {
        if let Some(reading) = pod.sample.as_mut().and_then(|sample| part(sample).as_mut()) {
            reading.value = (reading.value + by).clamp(0.0, most);
        }
    }
    model
}
