//! What arrives for a model and what its replicas take.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::readings::fresh;
use super::super::tokens::mean;
use super::super::view::View;
use super::super::wake;
use super::{Measured, Over, ordered};
use crate::memory::{Flow, Look, Queue, Taken};
use crate::number::{float, sum};
use crate::proactive::Forecast;
use crate::settings::{Settings, Thresholds};
use crate::snapshot::Demand;

/// Seconds in which requests that wait are to have gone. Load is what counts: a backlog asks for one replica at most.
const BACKLOG_GONE_AFTER: f64 = 1200.0;
/// How many times what replicas take a load must be to count at once, without having lasted: noise is less.
const CLEARLY: f64 = 1.1;
/// How long a replica must have been ready for what it completes to be of a whole window.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Looks at what arrives and remembers what there is to remember; `None` when the rates are not known.
pub(crate) fn measure(
    active: &[&View<'_>],
    demand: &Demand,
    forecast: Option<&Forecast>,
    thresholds: &Thresholds,
    flow: &mut Flow,
    settings: &Settings,
    now: Timestamp,
) -> Option<Measured> {
    let (mut queues, mut completed, mut taken) = (Vec::new(), Vec::new(), BTreeMap::new());
    for view in active {
        let (mut rates, mut full, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for it in view.readings.each() {
            let waiting = fresh(it.pace.waiting, settings).map_or(it.replica.queue_length, |it| it.value);
            queues.push(Queue {
                pod: it.replica.pod,
                scraped: now.checked_sub(it.age.max(SignedDuration::ZERO)).unwrap_or(now),
                waiting,
            });
            let Some(rate) = fresh(it.pace.rate, settings).map(|it| it.value) else { continue };
            completed.push(rate);
            let is_full = waiting >= thresholds.queue_length_threshold.max(1.0);
            if is_full && it.ready_since.is_some_and(|since| now.duration_since(since) >= WINDOW) {
                full.push(rate);
            } else {
                rates.push(rate);
            }
            let room = thresholds.kv_cache_threshold;
            shares.push(if room > 0.0 { (it.replica.kv_usage / room).min(1.0) } else { 1.0 });
        }
        let of = |values: Vec<f64>| (!values.is_empty()).then(|| mean(values));
        let look = Look { rate: of(rates), share: mean(shares), full: of(full) };
        flow.observe(view.name(), look, settings.interval, now);
        let profile = forecast.and_then(|it| it.variants.iter().find(|it| it.variant == view.name()));
        let profile = profile.map(|it| Taken { per_replica: it.per_replica, measured: true, telling: true });
        if let Some(it) = profile.or_else(|| flow.taken_by(view.name(), look, now)) {
            taken.insert(view.name().to_owned(), it);
        }
    }
    if let Some(waiting) = wake::waiting(demand, settings).map(requests) {
        queues.push(Queue { pod: "", scraped: now, waiting });
    }
    let waiting = sum(queues.iter().map(|it| it.waiting).collect());
    let growth = flow.growth(queues, settings.interval);
    let seen = (!completed.is_empty()).then(|| sum(completed) + growth.unwrap_or(0.0));
    let counted = fresh(demand.arrival_rate, settings).map(|it| it.value);
    let is_counted = seen.is_some();
    let most = flow.most_arriving(counted.or(seen)?, settings.interval, now);
    let settled = active.iter().all(|view| view.unsettled().is_none());
    let replicas: usize = active.iter().map(|view| view.readings.replicas.len()).sum();
    let at_all = float(i64::try_from(replicas).unwrap_or(i64::MAX)) * thresholds.queue_length_threshold.max(1.0);
    let backlogged = waiting >= at_all;
    let stuck = flow.is_stuck((settled && backlogged).then_some(waiting), settings.interval, now);
    let rate = seen.into_iter().chain(counted).fold(0.0, f64::max);
    let (anticipated, load, is_over) = compare(active, &taken, rate, waiting);
    let over_for = flow.over_for(is_over, now);
    let over = match is_over {
        false => Over::No,
        true if over_for >= settings.interval || load > CLEARLY * anticipated => Over::Lasting,
        true => Over::Lately,
    };
    Some(Measured { rate, most, completes: is_counted, waiting, anticipated, load, over, stuck, taken })
}

/// What the replicas there and on their way take, the load they are to take, and whether that is too much.
fn compare(active: &[&View<'_>], taken: &BTreeMap<String, Taken>, rate: f64, waiting: f64) -> (f64, f64, bool) {
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
    // While replicas are on their way a backlog is no reason for more, and nor is what half of one makes up for.
    let is_coming = active.iter().any(|view| ordered(view) > view.readings.ready);
    let (backlog, slack) =
        if is_coming { (0.0, least / 2.0) } else { ((waiting / BACKLOG_GONE_AFTER).min(least), 0.0) };
    (anticipated, rate + backlog, rate + backlog > anticipated + slack)
}

fn requests(count: u64) -> f64 {
    float(i64::try_from(count).unwrap_or(i64::MAX))
}
