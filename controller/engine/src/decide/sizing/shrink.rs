//! Replicas that what arrives does not need.

use super::super::tokens::{candidate, name_movers, place};
use super::super::view::{Choices, View};
use super::{Measured, SIZED_FOR};
use crate::plan::Reason;
use crate::saturation::Candidate;
use crate::threshold::Choice;

/// What the running variants of a model that is not short are to have, when `analysed` is what the analyzer asks for.
///
/// They keep what the most that arrived within the look back needs, with the share that is to stay free. Where replicas were
/// seen to be full, or a profile says what they take, all that is beyond that goes, at most half of a variant at a time;
/// otherwise no more than the analyzer lets go.
pub(crate) fn shrink<'a>(measured: &Measured, mut analysed: Choices<'a>, active: &[&View<'a>]) -> Choices<'a> {
    if active.iter().any(|view| view.unsettled().is_some()) {
        return analysed;
    }
    let Measured { most, sized_for, completes, waiting, ref taken, .. } = *measured;
    // What waits has come for them.
    let most = most.filter(|_| waiting <= 0.0);
    if taken.is_empty() && (!completes || most.is_some_and(|most| most <= 0.0)) {
        // What replicas complete is not known, or they never had anything to do.
        return analysed;
    }
    let of = |view: &View<'_>| taken.get(view.name()).copied();
    let candidates: Vec<_> =
        active.iter().map(|view| candidate(view, of(view).map_or(0.0, |it| it.per_replica))).collect();
    let takes = |(view, it): (&&View<'_>, &Candidate<'_>)| {
        f64::from(it.current.saturating_sub(view.readings.stuck)) * it.per_replica
    };
    let supply: f64 = active.iter().zip(&candidates).map(takes).sum();
    let spare = most.map_or(0.0, |most| supply - most / sized_for.min(SIZED_FOR));
    let targets = place(&candidates, active, 0.0, spare);
    let measured = active.iter().all(|view| of(view).is_some_and(|it| it.measured));
    for it in &candidates {
        let Some(choice) = analysed.get_mut(it.variant).filter(|choice| choice.replicas <= it.current) else {
            continue;
        };
        let needed = targets.get(it.variant).copied().unwrap_or(it.current);
        let replicas = if measured { needed } else { choice.replicas.max(needed) };
        if replicas == choice.replicas {
            continue;
        }
        let reason = if replicas < it.current {
            let (rate, per_replica) = (most.unwrap_or_default(), it.per_replica);
            Reason::LoadToSpare { rate, supply, spare, per_replica }
        } else {
            Reason::Steady
        };
        *choice = Choice { replicas, reason };
    }
    name_movers(analysed, &candidates)
}
