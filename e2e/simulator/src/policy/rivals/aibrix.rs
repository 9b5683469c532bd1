//! `AIBrix`' APA on KV use: a proportion with a dead band, at most twice or half at once; one for each variant.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::{Act, Autoscaler, View};
use crate::number::{ceil, float};

/// Pause between two decisions.
const TICK: Duration = Duration::from_secs(10);
/// For how long a lower number must last before it is followed.
const COOL_DOWN: Duration = Duration::from_mins(5);
/// How far use may be from its target.
const FLUCTUATION: f64 = 0.1;

/// An APA for each variant.
#[derive(Debug)]
pub(in crate::policy) struct Apa {
    /// KV use that a replica is to have, by variant.
    targets: Vec<f64>,
    /// What was recommended lately, by variant.
    recommended: Vec<VecDeque<(Duration, u32)>>,
    next: Duration,
}

impl Apa {
    pub(in crate::policy) fn new(targets: Vec<f64>) -> Self {
        let recommended = vec![VecDeque::new(); targets.len()];
        Self { targets, recommended, next: TICK }
    }
}

/// What one decision asks for, with `n` replicas there whose use is `q` times its target.
fn recommend(n: u32, q: f64) -> u32 {
    let proportional = ceil(f64::from(n) * q);
    if q > 1.0 + FLUCTUATION {
        proportional.min(n.saturating_mul(2))
    } else if q < 1.0 - FLUCTUATION {
        proportional.max(n / 2)
    } else {
        n
    }
}

impl Autoscaler for Apa {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + TICK;
        let mut wanted = Vec::new();
        for (variant, (target, recommended)) in self.targets.iter().zip(&mut self.recommended).enumerate() {
            let current = view.fleet.spec(variant);
            // It asks the ready pods themselves.
            let ready = view.fleet.pods().iter().filter(|pod| pod.variant == variant && pod.is_ready());
            let usage: Vec<f64> = ready.map(|pod| pod.load().kv_usage).collect();
            let mean = usage.iter().sum::<f64>() / float(usage.len().max(1));
            let now = if usage.is_empty() { current } else { recommend(current, mean / target) };
            recommended.push_back((view.now, now));
            recommended.retain(|(at, _)| *at + COOL_DOWN > view.now);
            let highest = recommended.iter().map(|(_, replicas)| *replicas).max().unwrap_or(now);
            let bounds = &view.scenario.variants[variant];
            let stable = if now < current { highest.min(current) } else { now };
            wanted.push(stable.clamp(bounds.min, bounds.max));
        }
        Act { scale: wanted.iter().copied().enumerate().collect(), wanted: Some(wanted), reasons: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::in_the_dead_band(4, 1.1, 4)]
    #[case::in_proportion(4, 1.5, 6)]
    #[case::at_most_twice_as_many(2, 9.0, 4)]
    #[case::down_in_proportion(4, 0.6, 3)]
    #[case::at_most_half_as_many(8, 0.1, 4)]
    fn use_is_brought_to_its_target(#[case] n: u32, #[case] q: f64, #[case] expected: u32) {
        assert_eq!(recommend(n, q), expected);
    }
}
