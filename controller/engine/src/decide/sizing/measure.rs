//! What arrives for a model and what its replicas take.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::rates::kv_tokens;
use super::super::readings::fresh;
use super::super::tokens::mean;
use super::super::view::View;
use super::{Measured, Over, SIZED_FOR, ordered};
use crate::memory::{Flow, Look, Present, Queue, Taken};
use crate::number::{float, sum};
use crate::proactive::{Forecast, Learnt};
use crate::settings::{Settings, Thresholds};
use crate::snapshot::{Demand, Gateway, Reading, Tokens};
use crate::threshold::Replica;

/// Seconds in which requests that wait are to have gone. Load is what counts: a backlog asks for one replica at most.
const BACKLOG_GONE_AFTER: f64 = 300.0;
/// How many times what replicas take a load must be to count at once, without having lasted: noise is less.
const CLEARLY: f64 = 1.1;
/// Share of the requests that fit into a replica that it is to have at once where it is known how long it computes: with more of
/// them, tokens come late and a peak fills it.
const AT_ONCE: f32 = 0.4;
/// How soon a load that has just jumped is looked at again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// Standard error of a rate that is known well enough, as a share of it.
const ERROR: f64 = 0.06;
/// How long a replica must have been ready for what it completes to be of a whole window.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Looks at what arrives and remembers what there is to remember; `None` when the rates are not known.
pub(crate) fn measure(
    active: &[&View<'_>],
    demand: &Demand,
    (forecast, learnt): (Option<&Forecast>, &Learnt),
    thresholds: &Thresholds,
    flow: &mut Flow,
    settings: &Settings,
    now: Timestamp,
) -> Option<Measured> {
    let (mut queues, mut completed, mut taken) = (Vec::new(), Vec::new(), BTreeMap::new());
    let (mut present, mut is_saturated, mut is_above_quiet) = (Vec::new(), false, false);
    let (mut is_any_young, mut is_any_old) = (false, false);
    let Thresholds { kv_cache_threshold, queue_length_threshold, kv_spare_trigger, queue_spare_trigger } = *thresholds;
    for view in active {
        let (mut rates, mut full, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for it in view.readings.each() {
            let waiting = fresh(it.pace.waiting, settings).map_or(it.replica.queue_length, |it| it.value);
            let scraped = scraped(it.age, now);
            queues.push(Queue { pod: it.replica.pod, scraped, waiting });
            let Replica { kv_usage, queue_length, .. } = *it.replica;
            is_saturated |= kv_usage >= kv_cache_threshold || queue_length >= queue_length_threshold;
            is_above_quiet |= kv_usage > kv_cache_threshold - kv_spare_trigger
                || queue_length > queue_length_threshold - queue_spare_trigger;
            if let Some(requests) = fresh(it.pace.present, settings) {
                let rate = fresh(it.pace.rate, settings).map_or(0.0, |it| it.value);
                present.push(Present { pod: it.replica.pod, scraped, requests: requests.value, completes: rate });
            }
            let is_young = it.ready_since.is_some_and(|since| now.duration_since(since) < WINDOW);
            is_any_young |= is_young;
            is_any_old |= !is_young;
            let Some(rate) = fresh(it.pace.rate, settings).map(|it| it.value) else { continue };
            completed.push(rate);
            let is_full = waiting >= queue_length_threshold.max(1.0);
            if is_full && it.ready_since.is_some_and(|since| now.duration_since(since) >= WINDOW.saturating_mul(2)) {
                full.push(rate);
            } else {
                rates.push(rate);
            }
            shares.push(if kv_cache_threshold > 0.0 { (kv_usage / kv_cache_threshold).min(1.0) } else { 1.0 });
        }
        let of = |values: Vec<f64>| (!values.is_empty()).then(|| mean(values));
        let look = Look { rate: of(rates), share: mean(shares), full: of(full) };
        flow.observe(view.name(), look, settings.interval, now);
        let profile = forecast.and_then(|it| it.variants.iter().find(|it| it.variant == view.name()));
        let profile = profile.map(|it| Taken::measured(it.per_replica, SIZED_FOR));
        let seen = flow.taken_by(view.name(), look, now);
        let is_full = seen.is_some_and(|it| it.measured);
        let computed = || served(view, learnt, settings).filter(|_| !is_full);
        if let Some(it) = profile.or_else(computed).or(seen) {
            taken.insert(view.name().to_owned(), it);
        }
    }
    let at_gateway = match demand.gateway {
        Gateway::Queued(it) => fresh(Some(it), settings),
        Gateway::None | Gateway::Unknown => None,
    };
    let at_gateway = at_gateway.map(|it| (scraped(it.age, now), it.value.max(0.0)));
    let waits = at_gateway.filter(|(_, waiting)| *waiting > 0.0);
    queues.extend(waits.map(|(scraped, waiting)| Queue { pod: "", scraped, waiting }));
    // Requests move to replicas that have joined others: until they have been there for a window, rates are not of the load alone.
    let has_joined = is_any_young && is_any_old;
    let rising = flow.burst(&present, at_gateway, now).filter(|_| !has_joined);
    let is_above_quiet = is_above_quiet || waits.is_some();
    let waiting = sum(queues.iter().map(|it| it.waiting).collect());
    let growth = flow.growth(queues, settings.interval);
    let is_completing = !completed.is_empty();
    let seen = is_completing.then(|| sum(completed) + growth.unwrap_or(0.0));
    // What pods get that waited at the gateway arrived before, and what waits there has arrived at no pod yet.
    let counted = fresh(demand.arrival_rate, settings).map(|it| (it.value + flow.gateway_growth(now)).max(0.0));
    let rate = counted.or(seen)?;
    let rising = rising.filter(|it| is_saturated && it.certain > rate);
    let is_fleeting = rising.is_some_and(|it| it.likely - it.certain > ERROR * it.likely);
    let (rate, certain) = rising.map_or((rate, rate), |it| (it.likely, it.certain));
    let most = flow.most_arriving(rate, settings.interval, now);
    let settled = active.iter().all(|view| view.unsettled().is_none());
    let replicas: usize = active.iter().map(|view| view.readings.replicas.len()).sum();
    let at_all = float(i64::try_from(replicas).unwrap_or(i64::MAX)) * queue_length_threshold.max(1.0);
    let backlogged = waiting >= at_all;
    let stuck = flow.is_stuck((settled && backlogged).then_some(waiting), settings.interval, now);
    let Compared { anticipated, backlog, slack, is_coming, is_known } = compare(active, &taken, waiting, growth);
    // What replicas take when they are full is more than what they are sized for.
    let sized_for = taken.values().map(|it| it.sized_for).fold(1.0, f64::min);
    let is_over = certain + backlog > sized_for * anticipated + slack;
    let over_for = flow.over_for(is_over, now);
    // What was counted since a load has jumped is no noise: growth that has begun goes on at once.
    let goes_on = rising.is_some() && is_coming && certain > sized_for * anticipated;
    let is_clear = goes_on || certain + backlog > CLEARLY * anticipated;
    let over = match is_over {
        false => Over::No,
        true if over_for >= settings.interval || is_clear => Over::Lasting,
        true => Over::Lately,
    };
    let is_known = over == Over::Lasting && is_known && (rising.is_some() || is_above_quiet);
    // It is sized by what is certain, so that what is counted too high by chance at one of many looks orders nothing.
    let rate = if goes_on { certain } else { rate };
    let load = rate + backlog;
    Some(Measured {
        rate,
        is_known,
        most,
        sized_for,
        completes: is_completing,
        waiting,
        anticipated,
        load,
        over,
        stuck,
        again_after: is_fleeting.then_some(AGAIN_AFTER),
        taken,
    })
}

/// What the replicas there and on their way take, and what is to be taken into account besides what arrives.
struct Compared {
    anticipated: f64,
    /// Requests per second that the backlog counts for.
    backlog: f64,
    /// Requests per second that may be too many.
    slack: f64,
    /// Whether replicas are on their way.
    is_coming: bool,
    /// Whether it is known of all variants what a replica takes, and not only what it completed.
    is_known: bool,
}

fn compare(active: &[&View<'_>], taken: &BTreeMap<String, Taken>, waiting: f64, growth: Option<f64>) -> Compared {
    let least = taken.values().map(|it| it.per_replica).fold(f64::INFINITY, f64::min);
    // Those that cannot run take nothing; those of which nothing is known yet what the least able ones do.
    let able = |view: &&View<'_>| {
        let replicas = ordered(view).saturating_sub(view.readings.stuck);
        if replicas == 0 {
            0.0
        } else {
            f64::from(replicas) * taken.get(view.name()).map_or(least, |it| it.per_replica)
        }
    };
    let anticipated: f64 = active.iter().map(able).sum();
    let is_coming = active.iter().any(|view| ordered(view) > view.readings.ready);
    let is_known = taken.values().all(|it| it.measured);
    // While replicas are on their way, and it is not quite known what one takes, a backlog is no reason for more, and nor is
    // what half of one makes up for.
    let backlog = (waiting / BACKLOG_GONE_AFTER).min(least);
    let (backlog, slack) = if is_coming && !is_known { (0.0, least / 2.0) } else { (backlog, 0.0) };
    // One that is gone in time without it asks for nothing.
    let is_going = growth.is_some_and(|growth| waiting <= -growth * BACKLOG_GONE_AFTER);
    let backlog = if is_going { 0.0 } else { backlog };
    Compared { anticipated, backlog, slack, is_coming, is_known }
}

/// What one replica of a variant takes, by how long its servers were seen to compute and how many requests fit into them. It is
/// sized for the rate at which it has [`AT_ONCE`] of them.
fn served(view: &View<'_>, learnt: &Learnt, settings: &Settings) -> Option<Taken> {
    let average = |of: fn(&Tokens) -> Option<Reading>| {
        let values = view.readings.tokens.iter().filter_map(|it| fresh(of(it), settings));
        Some(mean(values.map(|it| it.value).filter(|it| *it > 0.0).collect())).filter(|it| *it > 0.0)
    };
    let lengths = (average(|it| it.avg_input)?, average(|it| it.avg_output)?);
    let server = view.variant.server.as_ref();
    let [full, sized] = learnt.rates(&view.variant.accelerator, lengths, server, kv_tokens(view), AT_ONCE)?;
    Some(Taken::measured(full, (sized / full).min(SIZED_FOR)))
}

/// When a reading of this age was made.
fn scraped(age: SignedDuration, now: Timestamp) -> Timestamp {
    now.checked_sub(age.max(SignedDuration::ZERO)).unwrap_or(now)
}
