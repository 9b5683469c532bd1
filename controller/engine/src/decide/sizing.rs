//! How many replicas a model is to have, once the thresholds say that it is short (`scaleUpPolicy: demand`).
//!
//! What arrives is what the servers complete, and what becomes more in front of them. What a replica takes follows from its
//! profile; else it is the most that replicas of its variant were seen to complete, as long as they were seen often enough:
//! a burst on replicas that had nothing to do says nothing of what they can take. What is on its way counts as there.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::readings::fresh;
use super::tokens::{candidate, place};
use super::view::{Choices, View};
use super::wake;
use crate::memory::Flow;
use crate::number::float;
use crate::plan::Reason;
use crate::proactive::Forecast;
use crate::saturation::Candidate;
use crate::settings::{Settings, Thresholds};
use crate::snapshot::Demand;
use crate::threshold::Choice;

/// Seconds in which requests that wait are to have gone. Load is what counts: a backlog asks for one replica at most.
const BACKLOG_GONE_AFTER: f64 = 1200.0;

/// What arrives for a model, and what its replicas take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// Requests that arrive per second.
    rate: f64,
    /// Requests that wait.
    waiting: f64,
    /// Requests per second that one replica takes, by variant.
    per_replica: BTreeMap<String, f64>,
}

/// Looks at what arrives and remembers what there is to remember; `None` when the rates are not known.
pub(super) fn measure(
    active: &[&View<'_>],
    demand: &Demand,
    forecast: Option<&Forecast>,
    thresholds: &Thresholds,
    flow: &mut Flow,
    settings: &Settings,
    now: Timestamp,
) -> Option<Measured> {
    let queues = active.iter().flat_map(|view| &view.readings.replicas).map(|replica| replica.queue_length);
    let waiting = sum(queues.collect()) + wake::waiting(demand, settings).map_or(0.0, whole);
    let growth = flow.growth(waiting, settings.interval, now);

    let mut completed = Vec::new();
    let mut per_replica = BTreeMap::new();
    for view in active {
        let (mut all, mut saturated) = (Vec::new(), Vec::new());
        for (replica, pace) in view.readings.replicas.iter().zip(&view.readings.paces) {
            let Some(rate) = fresh(pace.rate, settings).map(|it| it.value) else { continue };
            all.push(rate);
            let is_full = replica.kv_usage >= thresholds.kv_cache_threshold
                || replica.queue_length >= thresholds.queue_length_threshold;
            saturated.extend(is_full.then_some(rate));
        }
        completed.extend(&all);
        flow.observe(view.name(), mean(if saturated.is_empty() { all } else { saturated }));
        let profile = forecast.and_then(|it| it.variants.iter().find(|it| it.variant == view.name()));
        if let Some(rate) = profile.map(|it| it.per_replica).or_else(|| flow.taken_by(view.name())) {
            per_replica.insert(view.name().to_owned(), rate);
        }
    }
    let seen = (!completed.is_empty()).then(|| sum(completed) + growth.unwrap_or(0.0));
    let counted = fresh(demand.arrival_rate, settings).map(|it| it.value);
    let rate = seen.into_iter().chain(counted).reduce(f64::max)?;
    Some(Measured { rate, waiting, per_replica }).filter(|it| !it.per_replica.is_empty())
}

/// What the running variants are to have, when `stepped` is what the analyzer asks for. Never less, over all of them.
pub(super) fn choose<'a>(measured: &Measured, stepped: Choices<'a>, active: &[&View<'a>]) -> Choices<'a> {
    let Measured { rate, waiting, per_replica } = measured;
    let coming = |view: &View<'_>| {
        let (state, unfollowed) = (&view.standing.state, view.standing.unfollowed);
        state.current.max(state.desired.or(unfollowed).unwrap_or(0))
    };
    let candidates: Vec<_> = active
        .iter()
        .map(|view| {
            let of = per_replica.get(view.name()).copied().unwrap_or(0.0);
            let candidate = candidate(view, of);
            let most = view.standing.state.bounds.max.unwrap_or(u32::MAX);
            let current = coming(view);
            let ceiling = if view.standing.state.barred { current } else { most.max(current) };
            Candidate { current, ceiling, ..candidate }
        })
        .collect();
    let least = per_replica.values().copied().fold(f64::INFINITY, f64::min);
    // Those that cannot run take nothing.
    let takes = |(view, it): (&&View<'_>, &Candidate<'_>)| {
        f64::from(it.current.saturating_sub(view.readings.stuck)) * it.per_replica
    };
    let anticipated: f64 = active.iter().zip(&candidates).map(takes).sum();
    let required = rate + (waiting / BACKLOG_GONE_AFTER).min(least) - anticipated;
    let targets = place(&candidates, active, required, 0.0);

    let target = |it: &Candidate<'_>| targets.get(it.variant).copied().unwrap_or(it.current);
    let total: u64 = candidates.iter().map(|it| u64::from(target(it))).sum();
    if required <= 0.0 || total <= stepped.values().map(|choice| u64::from(choice.replicas)).sum() {
        return stepped;
    }
    let grows = |it: &&Candidate<'_>| target(it) > it.current;
    let other = candidates.iter().find(grows).map(|it| it.variant.to_owned());
    let reason = Reason::LoadShort { rate: *rate, waiting: *waiting, anticipated };
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

/// In order of size, so that the order of the readings does not matter.
fn sum(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.iter().sum()
}

fn mean(values: Vec<f64>) -> f64 {
    super::tokens::mean(values)
}

fn whole(requests: u64) -> f64 {
    float(i64::try_from(requests).unwrap_or(i64::MAX))
}
