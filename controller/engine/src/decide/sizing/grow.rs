//! Growth of a model that is short.

use super::super::tokens::{candidate, place};
use super::super::view::{Choices, View};
use super::{Measured, Over, ordered};
use crate::plan::Reason;
use crate::saturation::Candidate;
use crate::threshold::Choice;

/// How far growth goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As far as the load needs, and no less far than the analyzer asks for.
    Needed,
    /// As far as the analyzer asks for, and no further than the load needs.
    AtMostNeeded,
}

/// What the running variants of a model that is short are to have, when `stepped` is what the analyzer asks for.
///
/// Where the replicas there and on their way take what arrives, and the backlog becomes smaller, nothing grows whatever the
/// analyzer asks for: the model is short because of what came before. Otherwise it grows by a replica at least: at once where
/// the load is clearly more than they take; else once it has been more for a cycle, because noise is not.
pub(crate) fn grow<'a>(measured: &Measured, extent: Extent, stepped: Choices<'a>, active: &[&View<'a>]) -> Choices<'a> {
    if !measured.is_telling() {
        return stepped;
    }
    let Measured { rate, sized_for, waiting, anticipated, load, over, stuck, .. } = *measured;
    let candidates: Vec<_> = active
        .iter()
        .map(|view| {
            let most = view.standing.state.bounds.max.unwrap_or(u32::MAX);
            let current = ordered(view);
            let ceiling = if view.standing.state.barred { current } else { most.max(current) };
            Candidate { current, ceiling, ..candidate(view, measured.per_replica(view.name())) }
        })
        .collect();
    match over {
        Over::No if stuck => return stepped,
        Over::No | Over::Lately => return hold(measured, stepped, &candidates),
        Over::Lasting => {}
    }
    let required = (rate / sized_for).max(load) - anticipated;
    let targets = place(&candidates, active, required.max(f64::MIN_POSITIVE), 0.0);

    let target = |it: &Candidate<'_>| targets.get(it.variant).copied().unwrap_or(it.current);
    let total: u64 = candidates.iter().map(|it| u64::from(target(it))).sum();
    let analysed: u64 = stepped.values().map(|choice| u64::from(choice.replicas)).sum();
    let any_grows = candidates.iter().any(|it| target(it) > it.current);
    if !any_grows || total == analysed || (extent == Extent::AtMostNeeded && analysed < total) {
        return stepped;
    }
    let grows = |it: &&Candidate<'_>| target(it) > it.current;
    let other = candidates.iter().find(grows).map(|it| it.variant.to_owned());
    let reason = Reason::LoadShort { rate, waiting, anticipated };
    let choice = |it: &Candidate<'a>| {
        let otherwise = || {
            let kept = stepped.get(it.variant).map(|choice| choice.reason.clone());
            let waits = kept.filter(|reason| matches!(reason, Reason::InTransition { .. }));
            waits.or_else(|| Some(Reason::OtherVariantScalesUp { variant: other.clone()? }))
        };
        let reason = if grows(&it) { Some(reason.clone()) } else { otherwise() };
        (it.variant, Choice { replicas: target(it), reason: reason.unwrap_or(Reason::NoVariantCanGrow) })
    };
    candidates.iter().map(choice).collect()
}

/// Nothing grows beyond what was ordered.
fn hold<'a>(measured: &Measured, mut stepped: Choices<'a>, candidates: &[Candidate<'_>]) -> Choices<'a> {
    let Measured { rate, waiting, anticipated, .. } = *measured;
    for it in candidates {
        let Some(choice) = stepped.get_mut(it.variant) else { continue };
        // A forecast has its own share that is to stay free.
        if !matches!(choice.reason, Reason::InTransition { .. } | Reason::Held | Reason::RateShort { .. }) {
            *choice = Choice { replicas: it.current, reason: Reason::LoadCovered { rate, waiting, anticipated } };
        }
    }
    stepped
}
