//! Who carries out what WVA publishes.

use std::time::Duration;

use hpa::{Behavior, Bounds, Memory, Tolerance};
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use serde::{Deserialize, Serialize};

use super::View;
use crate::monitoring::last_scrape;
use crate::number::{seconds, signed, unsigned};

/// Who carries out what WVA publishes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Follower {
    /// It is carried out at once.
    #[default]
    AtOnce,
    /// An HPA on the published number, as an external metric with `averageValue: 1`. A `ScaledObject` of KEDA between one
    /// replica and many is the same.
    Hpa {
        /// Its `behavior`; that of Kubernetes if not given.
        #[serde(default)]
        behavior: Option<Box<HorizontalPodAutoscalerBehavior>>,
        /// Pause between two evaluations.
        #[serde(default = "fifteen")]
        sync_seconds: f64,
    },
}

fn fifteen() -> f64 {
    15.0
}

/// When virtual time begins, for those who think in dates.
pub(super) const BEGIN: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A moment as a date.
pub(super) fn date(now: Duration) -> Timestamp {
    BEGIN.checked_add(now).unwrap_or(Timestamp::MAX)
}

/// One HPA for each variant, which follow the numbers that are published.
#[derive(Debug)]
pub(super) struct Hpas {
    behavior: Behavior,
    tolerance: Tolerance,
    memories: Vec<Memory>,
    sync: Duration,
    pub(super) next: Duration,
    /// Where in the pause between two scrapes of the controller its scrapes are.
    phase: f64,
}

impl Hpas {
    pub(super) fn new(behavior: Option<&HorizontalPodAutoscalerBehavior>, sync_seconds: f64, variants: usize) -> Self {
        Self {
            behavior: Behavior::of(behavior),
            tolerance: Tolerance::of(behavior),
            memories: vec![Memory::default(); variants],
            sync: seconds(sync_seconds),
            next: seconds(sync_seconds / 2.0),
            phase: 0.3,
        }
    }

    /// Evaluates all of them. `published` says what was published at a moment.
    pub(super) fn evaluate(
        &mut self,
        view: &View<'_>,
        published: impl Fn(Duration, usize) -> Option<u32>,
    ) -> Vec<(usize, u32)> {
        self.next = view.now + self.sync;
        let Some(scraped) = last_scrape(view.now, view.scenario.scrape_seconds, self.phase) else { return Vec::new() };
        let variants = view.scenario.variants.len();
        let wanted: Vec<_> = (0..variants)
            .map(|variant| {
                let value = i64::from(published(scraped, variant)?) * 1000;
                let current = signed(view.fleet.replicas(variant));
                Some(hpa::metric::by_average(current, value, 1000, self.tolerance))
            })
            .collect();
        follow(view, &self.behavior, &mut self.memories, &wanted)
    }
}

/// Carries out what metrics want, as far as the behaviour allows.
pub(super) fn follow(
    view: &View<'_>,
    behavior: &Behavior,
    memories: &mut [Memory],
    wanted: &[Option<i32>],
) -> Vec<(usize, u32)> {
    let mut scale = Vec::new();
    for (variant, (memory, wanted)) in memories.iter_mut().zip(wanted).enumerate() {
        let (Some(wanted), Some(of)) = (*wanted, view.scenario.variants.get(variant)) else { continue };
        let current = signed(view.fleet.spec(variant));
        // An HPA leaves a target at zero alone.
        if current == 0 && of.min > 0 {
            continue;
        }
        let bounds = Bounds { min: signed(of.min), max: signed(of.max) };
        let now = date(view.now);
        let decision = behavior.apply(memory, current, wanted, bounds, now);
        if decision.replicas != current {
            memory.scaled(current, decision.replicas, now);
            scale.push((variant, unsigned(decision.replicas)));
        }
    }
    scale
}
