//! An HPA on metrics of the servers, as of the Prometheus adapter or of KEDA; one for each variant.

use std::time::Duration;

use hpa::{Behavior, Memory, Tolerance, metric};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;

use super::super::follower::follow;
use super::super::{Act, Autoscaler, View};
use super::at_gateway;
use crate::fleet::Pod;
use crate::monitoring::Scrape;
use crate::number::{count, seconds, signed, unsigned};

/// Pause between two evaluations, as the controller manager has it.
const SYNC: f64 = 15.0;

/// What an HPA looks at, and the target of each variant.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Metric {
    /// Requests that wait, in the servers and in front of them: External, `averageValue`.
    Queue(Vec<f64>),
    /// Requests that servers work on: External, `averageValue`.
    Running(Vec<f64>),
    /// Used share of the KV cache: Pods, `averageValue`.
    KvUsage(Vec<f64>),
    /// How saturated the pool of servers is on average, the larger of KV use of 80 % and five that wait: External, `value`.
    Saturation(Vec<f64>),
}

/// An HPA for each variant.
#[derive(Debug)]
pub(in crate::policy) struct HpaOnMetrics {
    metrics: Vec<Metric>,
    behavior: Behavior,
    tolerance: Tolerance,
    memories: Vec<Memory>,
    next: Duration,
}

impl HpaOnMetrics {
    pub(in crate::policy) fn new(
        metrics: Vec<Metric>,
        behavior: Option<&HorizontalPodAutoscalerBehavior>,
        variants: usize,
    ) -> Self {
        Self {
            metrics,
            behavior: Behavior::of(behavior),
            tolerance: Tolerance::of(behavior),
            memories: vec![Memory::default(); variants],
            next: Duration::ZERO,
        }
    }

    /// Replicas that one metric wants of a variant; `None` while it says nothing.
    fn proposal(&self, metric: &Metric, view: &View<'_>, variant: usize) -> Option<i32> {
        let pods = || view.fleet.pods().iter().filter(move |pod| pod.variant == variant && !pod.is_draining());
        let scraped = |pod: &Pod| view.monitoring.of(pod.serial).and_then(|history| history.at(view.now)).copied();
        let sum = |of: fn(&Scrape) -> f64| -> Option<f64> {
            let found: Vec<f64> = pods().filter_map(scraped).map(|scrape| of(&scrape)).collect();
            (!found.is_empty()).then(|| found.iter().sum())
        };
        let current = signed(view.fleet.replicas(variant));
        let target = |targets: &[f64]| milli(targets.get(variant).copied().unwrap_or(1.0)).max(1);
        Some(match metric {
            Metric::Queue(targets) => {
                let waiting = sum(|scrape| f64::from(scrape.waiting))? + at_gateway(view, variant);
                metric::by_average(current, milli(waiting), target(targets), self.tolerance)
            }
            Metric::Running(targets) => {
                let running = sum(|scrape| f64::from(scrape.running))?;
                metric::by_average(current, milli(running), target(targets), self.tolerance)
            }
            Metric::KvUsage(targets) => {
                let ready: Vec<&Pod> = pods().filter(|pod| pod.is_ready()).collect();
                let values: Vec<i64> =
                    ready.iter().filter_map(|pod| scraped(pod)).map(|scrape| milli(scrape.kv_usage)).collect();
                let silent = signed(count(ready.len() - values.len()));
                let unready = current - signed(count(ready.len()));
                metric::by_pods(current, &values, silent, unready, target(targets), self.tolerance)
            }
            Metric::Saturation(targets) => {
                let of = |scrape: Scrape| (scrape.kv_usage / 0.8).max(f64::from(scrape.waiting) / 5.0);
                let found: Vec<f64> = pods().filter_map(scraped).map(of).collect();
                let mean = found.iter().sum::<f64>() / crate::number::float(found.len().max(1));
                let ready = signed(view.fleet.ready(variant));
                metric::by_value(current, ready, milli(mean), target(targets), self.tolerance)
            }
        })
    }
}

impl Autoscaler for HpaOnMetrics {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + seconds(SYNC);
        let of = |variant| self.metrics.iter().filter_map(|metric| self.proposal(metric, view, variant)).max();
        let proposals: Vec<_> = (0..view.scenario.variants.len()).map(of).collect();
        let scale = follow(view, &self.behavior, &mut self.memories, &proposals);
        let mut wanted: Vec<u32> = (0..proposals.len()).map(|variant| view.fleet.spec(variant)).collect();
        for (variant, replicas) in &scale {
            wanted[*variant] = *replicas;
        }
        let reasons =
            proposals.iter().map(|it| it.map_or_else(String::new, |n| format!("metrics ask for {}", unsigned(n))));
        Act { scale, wanted: Some(wanted), reasons: reasons.collect() }
    }
}

/// In thousandths.
#[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
fn milli(value: f64) -> i64 {
    (value * 1000.0).ceil() as i64
}
