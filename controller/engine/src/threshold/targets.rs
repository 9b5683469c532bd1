//! From a model's spare capacity to replicas for each of its variants.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Analysis, Choice, Spare, VariantAnalysis, VariantState};
use crate::reason::{Reason, Unsettled};

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
        self.state.unsettled(self.variant.replicas)
    }

    fn can_grow(&self) -> bool {
        let VariantState { current, pending, bounds, barred, .. } = self.state;
        pending == 0 && !barred && bounds.max.is_none_or(|max| current < max)
    }

    /// One replica stays to serve: what a workload counts besides may be pods that do not.
    fn can_shrink(&self) -> bool {
        self.variant.replicas > 1 && self.state.current > self.state.bounds.min.unwrap_or(1).max(1)
    }

    /// From cheap to dear, then by name. A cost that is not a number comes after all others.
    fn by_cost(&self, other: &Self) -> Ordering {
        let (a, b) = (self.variant.cost, other.variant.cost);
        let by_number = a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal));
        by_number.then_with(|| self.variant.variant.cmp(&other.variant.variant))
    }
}

/// Decides for a model of which nothing is under way.
fn choose(analysis: &Analysis, candidates: &[Candidate<'_>]) -> Vec<Choice> {
    let (step, otherwise) = match (reason_to_grow(analysis), analysis.remaining) {
        (Some(reason), _) => match cheapest(candidates) {
            Some(chosen) => grow(chosen, reason),
            None => (None, Reason::NoVariantCanGrow),
        },
        (None, Some(remaining)) if analysis.scale_down_safe => match most_expensive(candidates) {
            Some(chosen) => shrink(chosen, remaining, analysis),
            None => (None, Reason::Steady),
        },
        (None, _) => (None, Reason::Steady),
    };
    let choice = |it: &Candidate<'_>| match &step {
        Some((mover, choice)) if *mover == it.variant.variant => choice.clone(),
        _ => Choice { replicas: it.state.current, reason: otherwise.clone() },
    };
    candidates.iter().map(choice).collect()
}

/// The variant that moves and where to, if one does.
type Step<'a> = Option<(&'a str, Choice)>;

/// Why a variant of the model grows; `None` unless the model needs capacity.
pub(crate) fn reason_to_grow(analysis: &Analysis) -> Option<Reason> {
    Some(Reason::ScaleUp {
        avg_spare_kv: analysis.avg_spare_kv,
        avg_spare_queue: analysis.avg_spare_queue,
        trigger: analysis.trigger?,
        thresholds: analysis.thresholds,
    })
}

fn grow<'a>(chosen: &'a Candidate<'_>, reason: Reason) -> (Step<'a>, Reason) {
    let name = chosen.variant.variant.as_str();
    let choice = Choice { replicas: chosen.state.current.saturating_add(1), reason };
    (Some((name, choice)), Reason::OtherVariantScalesUp { variant: name.to_owned() })
}

fn shrink<'a>(chosen: &'a Candidate<'_>, remaining: Spare, analysis: &Analysis) -> (Step<'a>, Reason) {
    let name = chosen.variant.variant.as_str();
    let Spare { kv: remaining_kv, queue: remaining_queue } = remaining;
    let reason = Reason::ScaleDown { remaining_kv, remaining_queue, thresholds: analysis.thresholds };
    let choice = Choice { replicas: chosen.state.current.saturating_sub(1), reason };
    (Some((name, choice)), Reason::OtherVariantScalesDown { variant: name.to_owned() })
}

/// Of equally cheap variants, the first by name.
fn cheapest<'a>(candidates: &'a [Candidate<'a>]) -> Option<&'a Candidate<'a>> {
    let growing = candidates.iter().filter(|candidate| candidate.can_grow());
    growing.min_by(|a, b| a.state.refused.cmp(&b.state.refused).then_with(|| a.by_cost(b)))
}

/// Of equally dear variants, the last by name. One whose cost is not a number is not taken for the most expensive.
fn most_expensive<'a>(candidates: &'a [Candidate<'a>]) -> Option<&'a Candidate<'a>> {
    let shrinking = candidates.iter().filter(|candidate| candidate.can_shrink());
    shrinking.max_by(|a, b| b.variant.cost.is_nan().cmp(&a.variant.cost.is_nan()).then_with(|| a.by_cost(b)))
}
