//! What the controller's queries tell the engine: the same numbers, with the same ages and windows, as from Prometheus.

use std::time::Duration;

use jiff::SignedDuration;
use wva_engine::ModelKey;
use wva_engine::snapshot::{
    Autoscaler, Bounds, Demand, Gateway, Gpus, Inventory, Model, Obstacle, Pace, Pod, Readiness, Reading, Sample,
    Snapshot, Source, Tokens, Variant,
};
use wva_engine::vllm::ServerArguments;

use super::View;
use super::follower::date;
use crate::fleet::{self, State};
use crate::monitoring::{History, Scrape};
use crate::number::float64;
use crate::scenario::Routing;

/// The model that is served.
pub(super) const MODEL: &str = "model";
/// Its namespace.
pub(super) const NAMESPACE: &str = "simulation";
/// How far the queries for peaks and rates look back.
const WINDOW: Duration = Duration::from_mins(1);
/// How far those for lengths do.
const LENGTHS: Duration = Duration::from_mins(5);

/// Which model it is.
pub(super) fn key() -> ModelKey {
    ModelKey { namespace: NAMESPACE.to_owned(), model_id: MODEL.to_owned() }
}

/// A look at the queue of the gateway: when, and how many requests waited.
pub(super) type Looked = (Duration, u32);

/// What the engine is told. `published` is what was published last of each variant, `looked` the last look at the gateway.
pub(super) fn snapshot(
    view: &View<'_>,
    published: &[Option<u32>],
    looked: Looked,
    autoscaler: Option<&Autoscaler>,
) -> Snapshot {
    let variants = view.scenario.variants.iter().enumerate().map(|(place, of)| {
        let pods = view.fleet.pods().iter().filter(|pod| pod.variant == place && !pod.is_draining());
        let (spec, current) = (view.fleet.spec(place), view.fleet.replicas(place));
        Variant {
            name: of.name.clone(),
            accelerator: of.accelerator.clone(),
            cost: of.cost,
            spec_replicas: spec,
            current: if current == 0 { spec } else { current },
            desired: published.get(place).copied().flatten(),
            desired_since: None,
            bounds: Bounds { min: Some(of.min), max: Some(of.max) },
            autoscaler: autoscaler.cloned(),
            pause: None,
            gpus_per_replica: of.gpus_per_replica,
            server: Some(arguments(&of.server)),
            pods: pods.map(|it| pod(view, it)).collect(),
        }
    });
    let model =
        Model { key: key(), source: Source::Answered, demand: demand(view, looked), variants: variants.collect() };
    Snapshot { models: vec![model], inventory: inventory(view), ..Snapshot::default() }
}

fn arguments(server: &crate::server::Server) -> ServerArguments {
    ServerArguments {
        block_size: i64::from(server.block_size),
        max_num_seqs: i64::from(server.max_num_seqs),
        max_num_batched_tokens: i64::from(server.max_num_batched_tokens),
        num_gpu_blocks_override: i64::from(server.kv_tokens / server.block_size.max(1)),
        ..ServerArguments::default()
    }
}

fn pod(view: &View<'_>, pod: &fleet::Pod) -> Pod {
    let since = date(pod.since);
    let (ready, obstacle) = match pod.state {
        State::Ready | State::Draining { .. } => (Readiness::Ready { since }, None),
        State::Starting { .. } => (Readiness::NotReady { since }, None),
        State::Unschedulable => {
            let message = "no node has free GPUs".to_owned();
            (Readiness::NotReady { since }, Some(Obstacle::Unschedulable { since, message }))
        }
    };
    let sample = view.monitoring.of(pod.serial).and_then(|history| sample(view, pod, history));
    Pod { name: pod.name.clone(), ready, obstacle, sample }
}

fn sample(view: &View<'_>, pod: &fleet::Pod, history: &History) -> Option<Sample> {
    let now = view.now;
    let last = history.at(now)?;
    let age = signed(now.saturating_sub(last.at));
    let reading = |value: f64| Reading { value, age };
    let fresh = |value: f64| Reading { value, age: SignedDuration::ZERO };
    let kv = history.peak(|it| it.kv_usage, WINDOW, now)?;
    let queue = history.peak(|it| f64::from(it.waiting), WINDOW, now)?;
    let server = &view.scenario.variants.get(pod.variant)?.server;
    let blocks = u64::from(server.kv_tokens / server.block_size.max(1));
    let answered = |it: &Scrape| float64(it.counters.answered);
    let mean = |sum: fn(&Scrape) -> f64| history.ratio(sum, answered, LENGTHS, now).map(fresh);
    let tokens = Tokens {
        engines: 1,
        kv_blocks: Some(blocks),
        kv_block_size: Some(u64::from(server.block_size)),
        kv_in_use: Some(kv * float64(blocks * u64::from(server.block_size))),
        queued: Some(queue),
        avg_input: mean(|it| float64(it.counters.prompt_tokens)),
        avg_output: mean(|it| float64(it.counters.output_tokens)),
    };
    let rate = completions(history, now);
    let pace = Pace {
        rate: rate.map(fresh),
        arrivals: rate.map(|rate| fresh((rate + growth(view, pod.serial, history)).max(0.0))),
        waiting: Some(fresh(f64::from(last.waiting))),
        present: Some(reading(f64::from(last.running + last.waiting))),
        ttft_ms: history
            .ratio(|it| it.counters.ttft.as_secs_f64() * 1000.0, |it| float64(it.counters.first_tokens), WINDOW, now)
            .map(fresh),
        itl_ms: history
            .ratio(|it| it.counters.gaps.time.as_secs_f64() * 1000.0, |it| float64(it.counters.gaps.count), WINDOW, now)
            .map(fresh),
    };
    let model_id = MODEL.to_owned();
    Some(Sample { model_id, kv_usage: Some(reading(kv)), queue_length: Some(reading(queue)), tokens, pace })
}

/// Requests a pod completes per second.
fn completions(history: &History, now: Duration) -> Option<f64> {
    history.rate(|it| float64(it.counters.answered), WINDOW, now)
}

/// Requests per second by which those in a pod become more, or fewer.
fn growth(view: &View<'_>, serial: u32, history: &History) -> f64 {
    let present = |scrape: &Scrape| f64::from(scrape.running + scrape.waiting);
    let pod = view.fleet.pod(serial);
    let is_young = pod.is_some_and(|pod| pod.since + WINDOW > view.now);
    let before = view.now.checked_sub(WINDOW).and_then(|moment| history.at(moment)).map(present);
    let growth = match (pod.and_then(|_| history.at(view.now)).map(present), before) {
        (Some(now), Some(before)) => now - before,
        (Some(now), None) if is_young => now,
        (None, Some(before)) => -before,
        _ => 0.0,
    };
    growth / WINDOW.as_secs_f64()
}

fn demand(view: &View<'_>, (looked, queued): Looked) -> Demand {
    let now = view.now;
    let fresh = |value: f64| Reading { value, age: SignedDuration::ZERO };
    let (mut running, mut waiting, mut completed, mut grown) = (None, None, None, 0.0);
    let add = |sum: &mut Option<f64>, value: f64| *sum = Some(sum.unwrap_or(0.0) + value);
    for (serial, history) in view.monitoring.all() {
        grown += growth(view, serial, history);
        // A pod that has just gone has completed what it has, too.
        if let Some(rate) = completions(history, now) {
            add(&mut completed, rate);
        }
        let is_serving = view.fleet.pod(serial).is_some_and(|pod| !pod.is_draining());
        if let Some(last) = history.at(now).filter(|_| is_serving) {
            add(&mut running, f64::from(last.running));
            add(&mut waiting, history.peak(|it| f64::from(it.waiting), WINDOW, now).unwrap_or(0.0));
        }
    }
    let gateway = match view.scenario.routing {
        Routing::FlowControl { .. } => {
            Gateway::Queued(Reading { value: f64::from(queued), age: signed(now.saturating_sub(looked)) })
        }
        Routing::FewestRequests | Routing::RoundRobin => Gateway::None,
    };
    Demand {
        completed: None,
        running: running.map(fresh),
        waiting: waiting.map(fresh),
        gateway,
        arrival_rate: completed.map(|completed: f64| fresh(f64::max(completed + grown, 0.0))),
    }
}

fn inventory(view: &View<'_>) -> Option<Inventory> {
    if view.scenario.gpus.is_empty() {
        return None;
    }
    let draining = |accelerator: &str| {
        let of = |pod: &&fleet::Pod| {
            pod.is_draining() && view.scenario.variants.get(pod.variant).is_some_and(|it| it.accelerator == accelerator)
        };
        let gpus =
            |pod: &fleet::Pod| view.scenario.variants.get(pod.variant).map_or(0, |it| it.gpus_per_replica.max(1));
        view.fleet.pods().iter().filter(of).map(gpus).sum()
    };
    let gpus = view.scenario.gpus.iter();
    let gpus = gpus.map(|(name, total)| (name.clone(), Gpus { total: *total, used_by_others: draining(name) }));
    Some(Inventory { gpus: gpus.collect() })
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}
