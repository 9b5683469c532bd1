//! Where a variant stands: what it has, what was published, and which of that is still waited for.

use super::readings::Readings;
use crate::plan::Reason;
use crate::snapshot::{Bounds, Variant};
use crate::threshold::{Choice, VariantState};

/// Where one variant stands.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    /// For the analyzer.
    pub(super) state: VariantState<'a>,
    /// What it is to have when no decision is taken: what was published, else what it has.
    pub(super) held: u32,
    /// A published number that nobody followed in time, and that therefore does not count any longer.
    pub(super) dropped: Option<u32>,
    /// A published scale-down that nobody has carried out, and that is taken back because the model is short.
    pub(super) taken_back: Option<u32>,
    /// A published growth that nobody carries out, and that stays published while other variants grow.
    pub(super) unfollowed: Option<u32>,
    /// Replicas the workload asks for.
    spec_replicas: u32,
    /// What was published, before limits.
    published: Option<u32>,
    /// What can be reached.
    bounds: Bounds,
}

impl<'a> Standing<'a> {
    /// Finds out where the variant stands; `timed_out` says whether a number was published for too long.
    pub(super) fn of(variant: &'a Variant, readings: &Readings<'_>, timed_out: impl Fn(u32) -> bool) -> Self {
        let Variant { name, spec_replicas, current, desired, bounds, .. } = variant;
        let (spec_replicas, current) = (*spec_replicas, *current);
        if spec_replicas == 0 {
            return Self::at_zero(variant, timed_out);
        }

        // No decision takes a running workload to 0, so a published 0 dates from when it was there: somebody has
        // scaled it up since, and sending it back would undo that.
        let published = desired.filter(|desired| *desired > 0);
        // What was published under other limits is not waited for beyond what can be reached now.
        let reachable = published.map(|published| limit(published, *bounds));
        let unreached = reachable.filter(|target| *target != current && timed_out(*target));

        // A rolling update runs more pods than asked for. The number was followed then, and these pods only pass.
        let surge = current.saturating_sub(spec_replicas);
        let followed = surge > 0 && reachable == Some(spec_replicas);
        let dropped = unreached.filter(|_| !followed);

        // Pods that are given up need not be among those the workload counts (an evicted pod is not).
        let waited_for = readings.ready.saturating_add(readings.pending);
        let expected = current.saturating_sub(readings.stuck).max(waited_for.min(current));
        // What the update has too many and cannot get rid of are no replicas to build on.
        let passing = if unreached.is_some() && followed { surge } else { surge.min(current - expected) };

        let state = VariantState {
            variant: name,
            current: current - passing,
            expected,
            desired: if dropped.is_some() { None } else { reachable },
            pending: expected.saturating_sub(readings.ready),
            bounds: *bounds,
            // The same step may be taken again, and then what is published does not waver: an autoscaler that waits
            // for the number to last would wait for ever otherwise.
            refused: dropped.is_some_and(|target| target > current) || readings.stuck > 0,
            barred: !readings.stopped.is_empty(),
        };
        let held = limit(reachable.unwrap_or(current), *bounds);
        Self { held, dropped, published, ..Self::new(state, spec_replicas, *bounds) }
    }

    /// The lower limit is not applied: it would wake what was put to sleep. An upper one of 0 is: nobody wakes what is paused.
    fn at_zero(variant: &'a Variant, timed_out: impl Fn(u32) -> bool) -> Self {
        let published = variant.desired;
        let dropped = published.filter(|target| *target != variant.current && timed_out(*target));
        // What still runs is on its way out.
        let held = published.filter(|_| dropped.is_none()).unwrap_or(0);
        let held = if variant.bounds.max == Some(0) { 0 } else { held };
        let state = VariantState {
            desired: published,
            refused: dropped.is_some_and(|target| target > 0),
            ..VariantState::new(&variant.name, variant.current)
        };
        Self { held, dropped, published, ..Self::new(state, variant.spec_replicas, variant.bounds) }
    }

    /// A variant of which nothing was published.
    fn new(state: VariantState<'a>, spec_replicas: u32, bounds: Bounds) -> Self {
        let held = limit(state.current, bounds);
        Self { state, held, dropped: None, taken_back: None, unfollowed: None, spec_replicas, published: None, bounds }
    }

    /// Of a model that is short, only growth is worth waiting for. A published scale-down that nobody has carried out yet is
    /// taken back, and a growth that nobody carries out (`unfollowed`) no longer keeps the others from growing.
    pub(super) fn while_short(&mut self, unfollowed: bool) {
        let Some(desired) = self.state.desired else { return };
        let there = self.state.current.min(self.spec_replicas);
        if desired < there {
            let state = VariantState { current: there, desired: None, ..self.state };
            *self = Self { taken_back: Some(desired), ..Self::new(state, self.spec_replicas, self.bounds) };
        } else if desired > self.state.current && unfollowed {
            self.unfollowed = Some(desired);
            self.state.desired = None;
            self.state.refused = true;
        }
    }

    /// Brings a choice within the limits and says what moved it.
    pub(super) fn conclude(&self, choice: Choice) -> Choice {
        let Choice { replicas, reason } = choice;
        let wanted = match (&reason, self.published, self.dropped) {
            (Reason::InTransition { .. }, Some(published), None) => published,
            _ => replicas,
        };
        let bounded = limit(replicas, self.bounds);
        let reason = if bounded != wanted {
            Reason::Bounded { min: self.bounds.min, max: self.bounds.max }
        } else if let Some(unreached) = self.dropped.filter(|_| replicas == self.state.current) {
            Reason::Rebased { unreached }
        } else {
            reason
        };
        Choice { replicas: bounded, reason }
    }
}

/// Within what can be reached; a running workload keeps a replica.
fn limit(replicas: u32, bounds: Bounds) -> u32 {
    bounds.clamp(replicas).max(1)
}
