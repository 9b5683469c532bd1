//! One model: from its readings to a target for each of its variants.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::limit::Pools;
use super::readings::Readings;
use super::view::{Choices, View};
use super::{Decided, idle, wake};
use crate::plan::{Evidence, ModelOutcome, Reason, Unsettled};
use crate::settings::ZeroPolicy;
use crate::snapshot::{Model, Source};
use crate::threshold::{self, Analysis, Choice, analyze};
use crate::{Memory, Settings};

/// Decides for one model.
pub(super) fn decide<'a>(
    model: &'a Model,
    memory: &mut Memory,
    settings: &Settings,
    pools: &Pools,
    now: Timestamp,
) -> (ModelOutcome, Vec<Decided<'a>>) {
    let Model { key, source, demand, variants: _ } = model;
    let views = View::all(model, memory, settings, now);
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();
    let quiet_for = idle::watch(model, !active.is_empty(), memory, settings, now);

    let together = active.iter().fold(Readings::default(), |all, view| all.merge(&view.readings));
    let evidence = match source {
        Source::Answered => together.evidence(),
        Source::Failed { message } => Evidence::SourceFailed { message: message.clone() },
    };
    let analysis = (evidence == Evidence::Complete).then(|| analyze(&together.replicas, settings.thresholds_of(key)));

    let reason = |view: &View<'_>| match (settings.enabled, view.is_active()) {
        (false, _) => Reason::Paused,
        (true, true) => Reason::Held,
        (true, false) => Reason::AtZero,
    };
    let mut choices: Choices<'_> = views.iter().map(|view| view.choice(view.standing.held, reason(view))).collect();
    // Readings that ought to be there and are not: whatever is done now could be wrong.
    let blind = matches!(source, Source::Failed { .. }) || !together.silent.is_empty();
    if settings.enabled && active.is_empty() {
        choices.extend(wake::wake(&views, demand, pools, settings));
    } else if settings.enabled && !blind {
        for view in active.iter().filter(|view| view.standing.dropped.is_some()) {
            memory.forget(&view.key);
        }
        let policy = settings.zero.of(key);
        choices.extend(match analysis.as_ref().and_then(|_| idle::put_to_sleep(&active, quiet_for, policy, now)) {
            Some(asleep) => asleep,
            None => serve(&views, analysis.as_ref(), policy, pools),
        });
    }

    let decided = views.iter().filter_map(|view| {
        Some(Decided {
            target: view.target(key, choices.remove(view.name())?, source),
            variant: view.variant,
            spare: spare_of(analysis.as_ref(), view.name()),
        })
    });
    let decided = decided.collect();
    (ModelOutcome { key: key.clone(), evidence, analysis }, decided)
}

/// What the variants of a model that serves are to have.
fn serve<'a>(views: &[View<'a>], analysis: Option<&Analysis>, policy: &ZeroPolicy, pools: &Pools) -> Choices<'a> {
    let active: Vec<_> = views.iter().filter(|view| view.is_active()).collect();
    let mut analysed = analysis.map(|analysis| choose(analysis, &active)).unwrap_or_default();
    let mut choices: Choices<'_> = active
        .iter()
        .map(|view| {
            let choice = analysed.remove(view.name()).unwrap_or_else(|| unanalysed(view));
            let Choice { replicas, reason } = view.standing.conclude(choice);
            view.choice(replicas, reason)
        })
        .collect();
    // With a policy, variants sleep because they were idle, not because a person wants them to.
    let exhausted = active.iter().all(|view| view.is_at_its_maximum())
        && choices.values().all(|choice| choice.reason == Reason::NoVariantCanGrow);
    let reason = analysis.filter(|_| policy.enabled && exhausted).and_then(threshold::reason_to_grow);
    if let Some((variant, woken)) = reason.and_then(|reason| wake::reserve(views, reason, pools)) {
        for choice in choices.values_mut() {
            choice.reason = Reason::OtherVariantScalesUp { variant: variant.to_owned() };
        }
        choices.insert(variant, woken);
    }
    choices
}

/// Asks the analyzer, unless a variant that it cannot see yet is about to report.
fn choose(analysis: &Analysis, active: &[&View<'_>]) -> BTreeMap<String, Choice> {
    let settling = active.iter().find(|view| view.readings.replicas.is_empty() && view.readings.settling > 0);
    if let Some(View { standing, .. }) = settling {
        let unsettled = Unsettled::Metrics { reporting: 0, current: standing.state.expected };
        let hold = |view: &&View<'_>| {
            let choice = threshold::hold(&view.standing.state, standing.state.variant, unsettled);
            (view.variant.name.clone(), choice)
        };
        return active.iter().map(hold).collect();
    }
    let states: Vec<_> = active.iter().map(|view| view.standing.state).collect();
    threshold::targets(analysis, &states)
}

/// A variant none of whose pods report: it waits for them, and its model does not wait for it.
fn unanalysed(view: &View<'_>) -> Choice {
    let state = &view.standing.state;
    match state.expected {
        0 => Choice { replicas: view.standing.held, reason: Reason::Held },
        current => threshold::hold(state, state.variant, Unsettled::Metrics { reporting: 0, current }),
    }
}

/// What a variant has to spare; one without readings has nothing.
fn spare_of(analysis: Option<&Analysis>, variant: &str) -> f64 {
    let of_variant = analysis.and_then(|it| it.variants.iter().find(|it| it.variant == variant));
    of_variant.map_or(0.0, |it| it.avg_spare_kv)
}
