//! Scaling from zero: which variant of a sleeping model is woken for the requests that wait at the gateway.

use std::cmp::Ordering;

use super::limit::Pools;
use super::readings::fresh;
use super::view::{Choices, View};
use crate::Settings;
use crate::number::whole;
use crate::plan::Reason;
use crate::snapshot::{Demand, Gateway};
use crate::threshold::Choice;

/// What the variants of a sleeping model are to have if requests wait for it; nothing when none are known to.
///
/// Only one variant is woken: the one that is waking already, else the cheapest that can run. One that nobody woke although
/// it was to be woken comes after the others, and so does one for which there are no free GPUs.
pub(super) fn wake<'a>(views: &[View<'a>], demand: &Demand, pools: &Pools, settings: &Settings) -> Choices<'a> {
    let woken = views.iter().filter(|view| can_run(view)).min_by(|a, b| {
        let waking = |view: &View<'_>| view.standing.held > 0;
        waking(b).cmp(&waking(a)).then_with(|| by_preference(a, b, pools))
    });
    let (Some(queued), Some(woken)) = (waiting(demand, settings), woken) else { return Choices::new() };
    let choice = |view: &View<'a>| {
        let held = view.standing.held;
        if view.key == woken.key {
            view.choice(view.variant.bounds.clamp(held.max(1)), Reason::Woken { queued })
        } else {
            view.choice(held, Reason::OtherVariantWakes { variant: woken.variant.name.clone() })
        }
    };
    views.iter().map(choice).collect()
}

/// Requests that are known to wait at the gateway, if any do.
pub(super) fn waiting(demand: &Demand, settings: &Settings) -> Option<u64> {
    let Gateway::Queued(queued) = demand.gateway else { return None };
    let waiting = fresh(Some(queued), settings).filter(|queued| queued.value > 0.0)?;
    Some(whole(waiting.value.ceil()))
}

/// The sleeping variant that is woken, for `reason`, because the running ones cannot grow any more; `None` while one is
/// waking already.
pub(super) fn reserve<'a>(views: &[View<'a>], reason: Reason, pools: &Pools) -> Option<(&'a str, Choice)> {
    let asleep: Vec<_> = views.iter().filter(|view| !view.is_active()).collect();
    let waking = asleep.iter().any(|view| view.standing.held > 0);
    let woken = asleep.into_iter().filter(|view| can_run(view)).min_by(|a, b| by_preference(a, b, pools));
    let woken = woken.filter(|_| !waking)?;
    Some(woken.choice(woken.variant.bounds.clamp(1), reason))
}

fn can_run(view: &View<'_>) -> bool {
    view.variant.bounds.max != Some(0)
}

fn by_preference(a: &View<'_>, b: &View<'_>, pools: &Pools) -> Ordering {
    let rank = |view: &View<'_>| (view.standing.state.refused, !pools.fit(view.variant));
    rank(a).cmp(&rank(b)).then_with(|| a.by_cost(b))
}
