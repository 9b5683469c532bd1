//! The frame around the forecast: what it may see, and how far its word goes.
//!
//! It counts replicas on their way as capacity, so a model for which too many requests arrive may grow while an earlier
//! change is under way; it shrinks only when it is settled. Growth at most doubles a variant in one cycle. What goes is at
//! most what the analyzer thinks safe: one replica of the model with the thresholds, replicas that hold no more tokens than
//! are to spare with the `saturation` analyzer.

use std::collections::BTreeMap;

use super::readings::fresh;
use super::tokens::{cache, candidate, mean, name_movers, place};
use super::view::{Choices, View};
use crate::number::{float, whole};
use crate::plan::Reason;
use crate::proactive::{
    self, Forecast, Learnt, Load, Missing, Positions, Rates, Serving, Verdict, arbitrate, forecast,
};
use crate::queueing::Observation;
use crate::saturation::{self, Candidate};
use crate::settings::{Lookup, Settings};
use crate::snapshot::{Demand, Gateway, ModelKey, Pace, Reading, Tokens};
use crate::threshold::Choice;

/// Learns from what requests see how fast the model is, where no profile says it. Only of a model that is settled: while
/// replicas come and go, none has the same load for long.
pub(super) fn learn(
    model: &ModelKey,
    active: &[&View<'_>],
    known: Option<&Lookup<'_>>,
    learnt: &mut Learnt,
    settings: &Settings,
) {
    if active.iter().any(|view| view.unsettled().is_some()) {
        return;
    }
    let profile =
        |view: &View<'_>| known.and_then(|it| it.profile_of(&model.model_id, &view.variant.accelerator)).is_some();
    for view in active.iter().filter(|view| !profile(view)) {
        if let Some(observation) = observation(view, settings) {
            learnt.observe(&view.variant.accelerator, &observation);
        }
    }
}

/// What the requests of a variant's replicas see on average; `None` unless everything is known of each of them.
fn observation(view: &View<'_>, settings: &Settings) -> Option<Observation> {
    let average = |readings: Vec<Option<Reading>>| {
        let values: Option<Vec<_>> = readings.into_iter().map(|it| Some(fresh(it, settings)?.value)).collect();
        values.filter(|values| !values.is_empty()).map(mean)
    };
    let of_paces = |of: fn(&Pace) -> Option<Reading>| average(view.readings.paces.iter().map(of).collect());
    let of_tokens = |of: fn(&Tokens) -> Option<Reading>| average(view.readings.tokens.iter().map(of).collect());
    let (input, output) = (of_tokens(|it| it.avg_input)?, of_tokens(|it| it.avg_output)?);
    Some(Observation {
        rate: of_paces(|it| it.rate)?,
        input,
        output,
        max_batch: proactive::max_batch(view.variant.server.as_ref(), kv_tokens(view), Some((input, output))),
        ttft_ms: of_paces(|it| it.ttft_ms)?,
        itl_ms: of_paces(|it| it.itl_ms)?,
    })
}

/// Compares what arrives for a model with what its replicas can take.
pub(super) fn look(
    model: &ModelKey,
    active: &[&View<'_>],
    demand: &Demand,
    known: &Lookup<'_>,
    learnt: &Learnt,
    rates: &mut Rates,
    settings: &Settings,
) -> Result<Forecast, Missing> {
    let average = |of: fn(&Tokens) -> Option<Reading>| {
        let readings = active.iter().flat_map(|view| &view.readings.tokens).filter_map(|it| fresh(of(it), settings));
        Some(mean(readings.map(|it| it.value).filter(|it| *it > 0.0).collect())).filter(|it| *it > 0.0)
    };
    let load = Load {
        rate: rate(demand, settings),
        input: average(|it| it.avg_input),
        output: average(|it| it.avg_output),
        variants: active.iter().map(|view| serving(view)).collect(),
    };
    forecast(model, &load, learnt, known, rates)
}

fn serving<'a>(view: &View<'a>) -> Serving<'a> {
    Serving {
        variant: view.name(),
        accelerator: &view.variant.accelerator,
        server: view.variant.server.as_ref(),
        kv_tokens: kv_tokens(view),
        ready: view.readings.ready.min(view.standing.state.current),
        pending: view.standing.state.pending,
    }
}

/// Tokens that the KV cache of a replica holds, by the smallest of those that say so; else as its arguments fix it.
pub(super) fn kv_tokens(view: &View<'_>) -> Option<i64> {
    let said = view.readings.tokens.iter().filter_map(cache).min();
    said.or_else(|| view.variant.server.as_ref()?.fixed_kv_capacity())
}

/// Requests per second that are to be served: those that arrive at the servers, and those that wait at the gateway, which
/// are to have gone by the next decision.
fn rate(demand: &Demand, settings: &Settings) -> Option<f64> {
    let arriving = fresh(demand.arrival_rate, settings)?.value;
    let queued = match demand.gateway {
        Gateway::Queued(queued) => fresh(Some(queued), settings).map_or(0.0, |it| it.value),
        Gateway::None | Gateway::Unknown => 0.0,
    };
    let cycle = settings.interval.as_secs_f64().max(1.0);
    Some(arriving + queued / cycle)
}

/// What the analyzer lets go.
#[derive(Clone, Copy)]
pub(super) enum Allowance<'a> {
    /// Nothing.
    None,
    /// One replica of the model.
    OneReplica,
    /// Replicas that hold no more tokens than are to spare.
    Tokens(&'a saturation::Analysis),
}

/// What the running variants are to have, after `analysed` said what the analyzer asks for.
pub(super) fn choose<'a>(
    forecast: &Forecast,
    mut analysed: Choices<'a>,
    allowance: Allowance<'_>,
    active: &[&View<'a>],
) -> Choices<'a> {
    let settled = active.iter().all(|view| view.unsettled().is_none());
    let short = forecast.required > 0.0;
    let candidates: Vec<_> = active.iter().map(|view| candidate(view, per_replica(forecast, view.name()))).collect();
    let mut targets = place(&candidates, active, forecast.required, if settled { forecast.spare } else { 0.0 });
    let safe = !matches!(allowance, Allowance::None);
    keep_within(allowance, &candidates, &mut targets);

    let grows = candidates.iter().any(|it| targets.get(it.variant).is_some_and(|target| *target > it.current));
    let otherwise = if short && !grows { Reason::NoVariantCanGrow } else { Reason::Steady };
    let choice = |(view, candidate): (&&View<'a>, &Candidate<'_>)| {
        let current = candidate.current;
        let wanted = targets.get(candidate.variant).copied().unwrap_or(current);
        let Choice { replicas, reason } = analysed.remove(view.name())?;
        let choice = match (settled, short) {
            (true, _) => {
                let positions = Positions { current, analyzer: replicas, forecast: wanted, safe };
                let (decided, verdict) = arbitrate(positions);
                let reason = match verdict {
                    Verdict::Forecast => why(forecast, candidate, wanted),
                    Verdict::Vetoed => Reason::ForecastVetoed { wanted, saturated: replicas > current },
                    Verdict::Needed => Reason::NeededByForecast { analyzer: replicas },
                    Verdict::Analyzer if reason == Reason::Steady => otherwise.clone(),
                    Verdict::Analyzer => reason,
                };
                Choice { replicas: decided, reason }
            }
            (false, true) if wanted > replicas => Choice { replicas: wanted, reason: why(forecast, candidate, wanted) },
            (false, _) => Choice { replicas, reason },
        };
        Some((view.name(), choice))
    };
    let choices = active.iter().zip(&candidates).filter_map(choice).collect();
    name_movers(choices, &candidates)
}

fn per_replica(forecast: &Forecast, variant: &str) -> f64 {
    forecast.variants.iter().find(|it| it.variant == variant).map_or(0.0, |it| it.per_replica)
}

/// Why a variant grows or shrinks to `wanted`.
fn why(forecast: &Forecast, candidate: &Candidate<'_>, wanted: u32) -> Reason {
    let Forecast { rate, supply, anticipated, required, spare, .. } = *forecast;
    if wanted > candidate.current {
        Reason::RateShort { rate, anticipated, required }
    } else {
        Reason::RateToSpare { rate, supply, spare, per_replica: candidate.per_replica }
    }
}

/// Why a variant of the model grows; `None` unless more requests arrive than its replicas can take.
pub(super) fn reason_to_grow(forecast: &Forecast) -> Option<Reason> {
    let Forecast { rate, anticipated, required, .. } = *forecast;
    (required > 0.0).then_some(Reason::RateShort { rate, anticipated, required })
}

/// Takes back what goes beyond what the analyzer lets go; of several variants, the most expensive goes first.
fn keep_within<'a>(allowance: Allowance<'_>, candidates: &[Candidate<'a>], targets: &mut BTreeMap<&'a str, u32>) {
    let mut shrinking: Vec<_> =
        candidates.iter().filter(|it| targets.get(it.variant).is_some_and(|target| *target < it.current)).collect();
    shrinking.sort_by(|a, b| b.cost.total_cmp(&a.cost).then_with(|| b.variant.cmp(a.variant)));
    let mut tokens = match allowance {
        Allowance::Tokens(analysis) => analysis.spare,
        Allowance::None | Allowance::OneReplica => 0.0,
    };
    let mut first = true;
    for it in shrinking {
        let wanted = it.current - targets.get(it.variant).copied().unwrap_or(it.current);
        let allowed = match allowance {
            // The veto says so; what was asked for stays in its words.
            Allowance::None => wanted,
            Allowance::OneReplica => u32::from(std::mem::take(&mut first)),
            Allowance::Tokens(analysis) => {
                let held = analysis.variants.iter().find(|found| found.variant == it.variant);
                let held = held.map_or(0.0, |found| float(found.per_replica));
                let fitting = if held > 0.0 { whole((tokens / held).floor()) } else { 0 };
                let allowed = u32::try_from(fitting).unwrap_or(u32::MAX).min(wanted);
                tokens -= f64::from(allowed) * held;
                allowed
            }
        };
        targets.insert(it.variant, it.current - wanted.min(allowed));
    }
}
