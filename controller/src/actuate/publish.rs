//! Carrying out a plan: publishing its numbers for whoever scales by them.

use std::collections::{BTreeMap, BTreeSet};

use wva_engine::{Plan, Reason, Snapshot, Target};

use crate::cluster::index::ObjectKey;
use crate::metrics::published::Numbers;
use crate::metrics::{CycleMetrics, Published, ReasonLabel};

/// Variants that were held at the last cycle. They are logged when they enter and leave this set, not every time.
#[derive(Clone, Debug, Default)]
pub struct SafetyNet(BTreeSet<ObjectKey>);

/// Publishes every target of the plan, counts and logs what changed.
pub fn actuate(
    plan: &Plan,
    snapshot: &Snapshot,
    published: &Published,
    metrics: &CycleMetrics,
    safety_net: &mut SafetyNet,
) {
    let before = published_before(snapshot);
    let mut held = BTreeSet::new();
    for target in &plan.targets {
        let variant = ObjectKey::new(&*target.variant.namespace, &*target.variant.name);
        let before = before.get(&variant).copied().flatten();
        let reason = target.reason.class();
        publish(&variant, target, before, published);
        metrics.decisions.get_or_create(&ReasonLabel { reason }).inc();
        if target.reason == Reason::Held {
            if !safety_net.0.contains(&variant) {
                metrics.safety_net_activations.inc();
                log_held(target, before);
            }
            held.insert(variant);
        }
    }
    for variant in safety_net.0.difference(&held) {
        tracing::info!(variant = variant.name, namespace = variant.namespace, "Safety net released");
    }
    metrics.safety_net.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
    safety_net.0 = held;
}

/// Publishes one target. `before` is what was published before this process did so for the first time.
pub fn publish(variant: &ObjectKey, target: &Target, before: Option<u32>, published: &Published) {
    let numbers = Numbers {
        accelerator: &target.accelerator,
        current: target.current,
        desired: target.replicas,
        before,
        reason: target.reason.class(),
    };
    let was = published.publish(variant, numbers).or(before);
    if was != Some(target.replicas) {
        tracing::info!(
            variant = variant.name,
            namespace = variant.namespace,
            current = target.current,
            before = was,
            desired = target.replicas,
            reason = %target.reason,
            "Published new target"
        );
    }
}

fn log_held(target: &Target, before: Option<u32>) {
    tracing::warn!(
        variant = target.variant.name,
        namespace = target.variant.namespace,
        currentReplicas = target.current,
        desiredReplicas = target.replicas,
        accelerator = target.accelerator,
        fallbackSource = if before.is_some() { "previous-desired" } else { "current-replicas" },
        evidence = %target.evidence,
        "Safety net activated: emitted fallback metrics"
    );
}

/// What each variant's target was, as far as the snapshot knows.
pub fn published_before(snapshot: &Snapshot) -> BTreeMap<ObjectKey, Option<u32>> {
    let variants = snapshot.models.iter().flat_map(|model| {
        model.variants.iter().map(|variant| (ObjectKey::new(&*model.key.namespace, &*variant.name), variant.desired))
    });
    variants.collect()
}
