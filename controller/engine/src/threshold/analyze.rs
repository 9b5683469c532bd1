//! From the readings of a model's replicas to its spare capacity.

use super::{Analysis, Replica, Spare, VariantAnalysis};
use crate::reason::Trigger;
use crate::settings::Thresholds;

/// Finds a model's spare capacity and whether it calls for a change.
pub fn analyze(replicas: &[Replica<'_>], thresholds: &Thresholds) -> Analysis {
    let mut replicas = replicas.to_vec();
    // Names identify replicas; the readings only order what a hostile snapshot names twice.
    replicas.sort_by(|a, b| {
        (a.variant, a.pod)
            .cmp(&(b.variant, b.pod))
            .then_with(|| a.kv_usage.total_cmp(&b.kv_usage))
            .then_with(|| a.queue_length.total_cmp(&b.queue_length))
            .then_with(|| a.cost.total_cmp(&b.cost))
    });
    let variants: Vec<_> = replicas
        .chunk_by(|a, b| a.variant == b.variant)
        .filter_map(|group| Some(analyze_variant(group.first()?, group, thresholds)))
        .collect();

    let total = variants.iter().map(|variant| variant.replicas).sum();
    let non_saturated = variants.iter().map(|variant| variant.non_saturated).sum();
    // Weighted back from the variants' means: in floating point not always the mean over all replicas.
    let average = |spare: fn(&VariantAnalysis) -> f64| {
        let sum: f64 = variants.iter().map(|variant| spare(variant) * f64::from(variant.non_saturated)).sum();
        mean(sum, non_saturated)
    };
    let spare = Spare { kv: average(|v| v.avg_spare_kv), queue: average(|v| v.avg_spare_queue) };

    // Without any replica there is nothing to be short of.
    let trigger = if total == 0 { None } else { trigger(spare, thresholds) };
    let remaining = remaining(spare, non_saturated, thresholds);
    Analysis {
        total,
        non_saturated,
        avg_spare_kv: spare.kv,
        avg_spare_queue: spare.queue,
        should_scale_up: trigger.is_some(),
        scale_down_safe: remaining
            .is_some_and(|left| left.kv >= thresholds.kv_spare_trigger && left.queue >= thresholds.queue_spare_trigger),
        trigger,
        remaining,
        thresholds: *thresholds,
        variants,
    }
}

fn analyze_variant(first: &Replica<'_>, replicas: &[Replica<'_>], thresholds: &Thresholds) -> VariantAnalysis {
    let Thresholds { kv_cache_threshold, queue_length_threshold, kv_spare_trigger: _, queue_spare_trigger: _ } =
        *thresholds;
    let (saturated, healthy): (Vec<&Replica<'_>>, Vec<&Replica<'_>>) = replicas
        .iter()
        .partition(|replica| replica.kv_usage >= kv_cache_threshold || replica.queue_length >= queue_length_threshold);
    let spare_kv: f64 = healthy.iter().map(|replica| kv_cache_threshold - replica.kv_usage).sum();
    let spare_queue: f64 = healthy.iter().map(|replica| queue_length_threshold - replica.queue_length).sum();
    let non_saturated = count(healthy.len());
    VariantAnalysis {
        variant: first.variant.to_owned(),
        accelerator: first.accelerator.to_owned(),
        cost: first.cost,
        replicas: count(replicas.len()),
        non_saturated,
        saturated_pods: saturated.iter().map(|replica| replica.pod.to_owned()).collect(),
        max_kv_usage: replicas.iter().map(|replica| replica.kv_usage).fold(first.kv_usage, f64::max),
        max_queue_length: replicas.iter().map(|replica| replica.queue_length).fold(first.queue_length, f64::max),
        avg_spare_kv: mean(spare_kv, non_saturated),
        avg_spare_queue: mean(spare_queue, non_saturated),
    }
}

/// Exactly at a trigger is still enough: 0.10 of spare KV cache does not ask for more when the trigger is 0.10.
fn trigger(spare: Spare, thresholds: &Thresholds) -> Option<Trigger> {
    match (spare.kv < thresholds.kv_spare_trigger, spare.queue < thresholds.queue_spare_trigger) {
        (true, true) => Some(Trigger::Both),
        (true, false) => Some(Trigger::KvCache),
        (false, true) => Some(Trigger::Queue),
        (false, false) => None,
    }
}

/// Spreads the load of `replicas` over one replica fewer.
///
/// Three replicas with 0.55 of 0.80 spare each use 0.25; two would use 0.375 each, leaving 0.425.
fn remaining(spare: Spare, replicas: u32, thresholds: &Thresholds) -> Option<Spare> {
    if replicas < 2 {
        return None;
    }
    let factor = f64::from(replicas) / f64::from(replicas - 1);
    let left = |threshold: f64, spare: f64| threshold - (threshold - spare) * factor;
    Some(Spare {
        kv: left(thresholds.kv_cache_threshold, spare.kv),
        queue: left(thresholds.queue_length_threshold, spare.queue),
    })
}

fn mean(sum: f64, count: u32) -> f64 {
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
