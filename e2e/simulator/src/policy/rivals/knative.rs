//! Knative's KPA: requests in flight, in a stable and in a panic window; one for each variant.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::{Act, Autoscaler, View};
use super::at_gateway;
use crate::fleet::Pod;
use crate::number::{ceil, float};

/// Pause between two decisions.
const TICK: Duration = Duration::from_secs(2);
/// Decisions in the stable window of 60 s, and in the panic window of 6 s.
const STABLE: usize = 30;
const PANIC: usize = 3;
/// Panic begins when the panic window wants so many times the ready replicas.
const PANIC_AT: f64 = 2.0;
/// It ends when it has not begun again for that long.
const CALM_AFTER: Duration = Duration::from_mins(1);

/// A KPA for each variant.
#[derive(Debug)]
pub(in crate::policy) struct Kpa {
    /// Requests in flight that a replica is to have, by variant.
    targets: Vec<f64>,
    states: Vec<State>,
    next: Duration,
}

#[derive(Clone, Debug, Default)]
struct State {
    in_flight: VecDeque<f64>,
    /// When it last had reason to panic, and the most replicas it wanted since.
    panic: Option<(Duration, u32)>,
}

impl Kpa {
    pub(in crate::policy) fn new(targets: Vec<f64>) -> Self {
        let states = vec![State::default(); targets.len()];
        Self { targets, states, next: TICK }
    }
}

impl State {
    fn mean(&self, samples: usize) -> f64 {
        let last = self.in_flight.iter().rev().take(samples);
        let count = last.len().max(1);
        last.sum::<f64>() / float(count)
    }

    fn decide(&mut self, ready: f64, target: f64, now: Duration) -> u32 {
        let limited = |samples| {
            let wanted = ceil(self.mean(samples) / target);
            wanted.clamp(crate::number::floor(ready / 2.0), ceil(1000.0 * ready).max(1))
        };
        let (stable, panic) = (limited(STABLE), limited(PANIC));
        if f64::from(panic) / ready.max(1.0) >= PANIC_AT {
            self.panic = Some((now, self.panic.map_or(0, |(_, most)| most)));
        } else if self.panic.is_some_and(|(at, _)| at + CALM_AFTER <= now) {
            self.panic = None;
        }
        let Some((_, most)) = &mut self.panic else { return stable };
        *most = (*most).max(stable).max(panic);
        *most
    }
}

impl Autoscaler for Kpa {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + TICK;
        let mut wanted = Vec::new();
        for (variant, (state, target)) in self.states.iter_mut().zip(&self.targets).enumerate() {
            let of = |pod: &&Pod| pod.variant == variant;
            let in_servers: u32 = view.fleet.pods().iter().filter(of).map(Pod::in_flight).sum();
            state.in_flight.push_back(f64::from(in_servers) + at_gateway(view, variant));
            if state.in_flight.len() > STABLE {
                state.in_flight.pop_front();
            }
            let bounds = &view.scenario.variants[variant];
            let ready = f64::from(view.fleet.ready(variant));
            wanted.push(state.decide(ready, *target, view.now).clamp(bounds.min, bounds.max));
        }
        Act { scale: wanted.iter().copied().enumerate().collect(), wanted: Some(wanted), reasons: Vec::new() }
    }
}
