//! Carrying out a plan: publishing its numbers for whoever scales by them.

use std::collections::BTreeMap;

use wva_engine::{Plan, Reason, Snapshot, Target};

use crate::cluster::index::ObjectKey;
use crate::ledger::Ledger;
use crate::metrics::published::Numbers;
use crate::metrics::{Metrics, Published, ReasonLabel};

/// Publishes every target of the plan, and counts the decisions.
pub fn actuate(plan: &Plan, snapshot: &Snapshot, ledger: &Ledger, metrics: &Metrics) {
    let before = published_before(snapshot);
    for target in &plan.targets {
        let variant = ObjectKey::new(&*target.variant.namespace, &*target.variant.name);
        publish(&variant, target, before.get(&variant).copied().flatten(), ledger, &metrics.published);
        metrics.cycle.decisions.get_or_create(&ReasonLabel { reason: target.reason.class() }).inc();
    }
}

/// Publishes one target. `before` is what was published before this process did so for the first time.
pub fn publish(variant: &ObjectKey, target: &Target, before: Option<u32>, ledger: &Ledger, published: &Published) {
    let was = ledger.publish(variant, target.replicas).or(before);
    let numbers = Numbers {
        accelerator: &target.accelerator,
        current: target.current,
        desired: target.replicas,
        before: was,
        reason: target.reason.class(),
        paused: matches!(target.reason, Reason::VariantPaused { .. }),
    };
    published.publish(variant, numbers);
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

/// Takes back the numbers of all variants but those `kept`. Returns whose were taken back.
pub fn withdraw(kept: impl Fn(&ObjectKey) -> bool, ledger: &Ledger, published: &Published) -> Vec<ObjectKey> {
    let gone = ledger.withdraw(kept);
    for variant in &gone {
        published.remove(variant);
    }
    gone
}

/// What each variant's target was, as far as the snapshot knows.
pub fn published_before(snapshot: &Snapshot) -> BTreeMap<ObjectKey, Option<u32>> {
    let variants = snapshot.models.iter().flat_map(|model| {
        model.variants.iter().map(|variant| (ObjectKey::new(&*model.key.namespace, &*variant.name), variant.desired))
    });
    variants.collect()
}
