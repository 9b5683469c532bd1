//! What one decision leaves for the next.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::plan::Target;
use crate::serde_pairs;
use crate::snapshot::VariantKey;

/// Memory of the decision core. Empty after a restart: what must survive one comes back through the snapshot
/// ([`Variant::desired`](crate::snapshot::Variant::desired)), and only the clocks of time-outs start again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Variants of the last snapshot; others are forgotten.
    #[serde(with = "serde_pairs")]
    pub(crate) variants: BTreeMap<VariantKey, VariantMemory>,
}

/// What is remembered of one variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariantMemory {
    /// Replicas published last.
    target: u32,
    /// Replicas it had then.
    current: u32,
    /// Since when both have been what they are.
    since: Timestamp,
}

impl Memory {
    /// How long `target` has been published without the `current` replicas moving.
    pub(crate) fn unchanged_for(
        &self,
        variant: &VariantKey,
        target: u32,
        current: u32,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let memory = self.variants.get(variant).filter(|it| it.target == target && it.current == current)?;
        Some(now.duration_since(memory.since))
    }

    /// Starts the variant's clock again.
    pub(crate) fn forget(&mut self, variant: &VariantKey) {
        self.variants.remove(variant);
    }

    /// Remembers the targets and forgets every variant that has none.
    pub(crate) fn remember(&mut self, targets: &[Target], now: Timestamp) {
        let remember = |target: &Target| {
            let Target { variant, current, replicas, model_id: _, accelerator: _, reason: _, notes: _, evidence: _ } =
                target;
            let unchanged = self.unchanged_for(variant, *replicas, *current, now).is_some();
            let since = self.variants.get(variant).filter(|_| unchanged).map_or(now, |it| it.since);
            (variant.clone(), VariantMemory { target: *replicas, current: *current, since })
        };
        let variants = targets.iter().map(remember).collect();
        self.variants = variants;
    }
}
