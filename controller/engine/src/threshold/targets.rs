//! From a model's spare capacity to replicas for each of its variants.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Analysis, Choice, Spare, VariantAnalysis, VariantState};
use crate::plan::{Reason, Unsettled};

/// Replicas for every variant that has readings, by name; moves at most one variant, by one replica.
///
/// A variant with readings but without a state counts as one with no replicas. When no variant has readings, every
/// state keeps the replicas it has.
pub fn targets(analysis: &Analysis, states: &[VariantState<'_>]) -> BTreeMap<String, Choice> {
    if analysis.variants.is_empty() {
        let keep = |state: &VariantState<'_>| Choice { replicas: state.current, reason: Reason::Held };
        return states.iter().map(|state| (state.variant.to_owned(), keep(state))).collect();
    }
    let states: BTreeMap<_, _> = states.iter().map(|state| (state.variant, *state)).collect();
    let candidates: Vec<_> = analysis
        .variants
        .iter()
        .map(|variant| {
            let nothing = VariantState { variant: &variant.variant, ..VariantState::default() };
            Candidate { variant, state: states.get(variant.variant.as_str()).copied().unwrap_or(nothing) }
        })
        .collect();

    let blocker = candidates.iter().find_map(|it| Some((it.variant.variant.as_str(), it.unsettled()?)));
    let choices = match blocker {
        Some((variant, unsettled)) => candidates
            .iter()
            .map(|it| match it.unsettled() {
                Some(own) => hold(&it.state, it.state.variant, own),
                None => hold(&it.state, variant, unsettled),
            })
            .collect(),
        None => choose(analysis, &candidates),
    };
    candidates.iter().map(|it| it.variant.variant.clone()).zip(choices).collect()
}

/// What a variant is to have while its model waits for `blocker`: what was published, else what it has.
pub(crate) fn hold(state: &VariantState<'_>, blocker: &str, unsettled: Unsettled) -> Choice {
    Choice {
        replicas: state.desired.unwrap_or(state.current),
        reason: Reason::InTransition { variant: blocker.to_owned(), unsettled },
    }
}

/// A variant that has readings.
struct Candidate<'a> {
    variant: &'a VariantAnalysis,
    state: VariantState<'a>,
}

impl Candidate<'_> {
    fn unsettled(&self) -> Option<Unsettled> {
        let VariantState { variant: _, current, expected, desired, pending: _, bounds: _ } = self.state;
        match desired {
            Some(desired) if desired != current => Some(Unsettled::Replicas { desired, current }),
            _ if self.variant.replicas != expected => {
                Some(Unsettled::Metrics { reporting: self.variant.replicas, current: expected })
            }
            _ => None,
        }
    }

    fn can_grow(&self) -> bool {
        self.state.pending == 0 && self.state.bounds.max.is_none_or(|max| self.state.current < max)
    }

    fn can_shrink(&self) -> bool {
        self.state.current > self.state.bounds.min.unwrap_or(1).max(1)
    }

    /// A cost that is not a number is the last choice in either direction.
    fn by_cost(&self, other: &Self, cheapest_first: bool) -> Ordering {
        let (a, b) = (self.variant.cost, other.variant.cost);
        let by_cost = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        let by_cost = by_cost.then_with(|| self.variant.variant.cmp(&other.variant.variant));
        a.is_nan().cmp(&b.is_nan()).then(if cheapest_first { by_cost } else { by_cost.reverse() })
    }
}

/// Decides for a model of which nothing is under way.
fn choose(analysis: &Analysis, candidates: &[Candidate<'_>]) -> Vec<Choice> {
    let cheapest = || candidates.iter().filter(|candidate| candidate.can_grow()).min_by(|a, b| a.by_cost(b, true));
    let dearest = || candidates.iter().filter(|candidate| candidate.can_shrink()).min_by(|a, b| a.by_cost(b, false));

    let keep = |reason: Reason| move |it: &Candidate<'_>| Choice { replicas: it.state.current, reason: reason.clone() };
    if let Some(trigger) = analysis.trigger {
        let Some(chosen) = cheapest() else {
            return candidates.iter().map(keep(Reason::NoVariantCanGrow)).collect();
        };
        let name = &chosen.variant.variant;
        let grow = Choice {
            replicas: chosen.state.current.saturating_add(1),
            reason: Reason::ScaleUp {
                avg_spare_kv: analysis.avg_spare_kv,
                avg_spare_queue: analysis.avg_spare_queue,
                trigger,
                thresholds: analysis.thresholds,
            },
        };
        let others = keep(Reason::OtherVariantScalesUp { variant: name.clone() });
        return candidates
            .iter()
            .map(|it| if it.variant.variant == *name { grow.clone() } else { others(it) })
            .collect();
    }
    if let (true, Some(Spare { kv, queue }), Some(chosen)) = (analysis.scale_down_safe, analysis.remaining, dearest()) {
        let name = &chosen.variant.variant;
        let shrink = Choice {
            replicas: chosen.state.current.saturating_sub(1),
            reason: Reason::ScaleDown { remaining_kv: kv, remaining_queue: queue, thresholds: analysis.thresholds },
        };
        let others = keep(Reason::OtherVariantScalesDown { variant: name.clone() });
        return candidates
            .iter()
            .map(|it| if it.variant.variant == *name { shrink.clone() } else { others(it) })
            .collect();
    }
    candidates.iter().map(keep(Reason::Steady)).collect()
}
