//! What one replica takes, found by trying: the knee that every comparison is measured with.

use std::collections::BTreeMap;
use std::time::Duration;

use vllm_engine::{Engine, Event, FinishReason, NewRequest};

use crate::load::{Arrival, Random, Workload};
use crate::number::{float, seconds};
use crate::scenario::{Scenario, Slo};
use crate::server::Server;

/// Share of requests whose promises must be kept at the rate a replica is said to take.
const KEPT: f64 = 0.99;
/// Requests a rate is tried with.
const REQUESTS: usize = 4000;
/// Steps of the search; the last one is below a thousandth of the highest rate.
const STEPS: u32 = 12;

/// Requests per second that one replica of each variant takes so that the promises of 99 % of them are kept, the requests
/// being those of the workload.
pub fn capacities(scenario: &Scenario, workload: &Workload) -> Vec<f64> {
    let mut known: BTreeMap<String, f64> = BTreeMap::new();
    let of =
        |server: &Server| *known.entry(format!("{server:?}")).or_insert_with(|| knee(server, workload, scenario.slo));
    scenario.variants.iter().map(|variant| &variant.server).map(of).collect()
}

/// The highest rate at which a replica keeps the promises of 99 % of its requests.
pub fn knee(server: &Server, workload: &Workload, slo: Slo) -> f64 {
    let (mut low, mut high) = (0.0, throughput(server, workload));
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if attainment(server, workload, slo, middle) >= KEPT {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Requests per second that a replica completes when there are always more waiting.
pub fn throughput(server: &Server, workload: &Workload) -> f64 {
    let ends = serve(server, workload, f64::INFINITY, Slo::default()).ends;
    // The first fill the batch, and the last empty it.
    let middle = ends.get(ends.len() / 4..ends.len() * 3 / 4).unwrap_or_default();
    match (middle.first(), middle.last()) {
        (Some(first), Some(last)) if last > first => {
            float(middle.len() - 1) / last.saturating_sub(*first).as_secs_f64()
        }
        _ => 0.0,
    }
}

/// Share of requests whose promises one replica keeps at a rate.
pub fn attainment(server: &Server, workload: &Workload, slo: Slo, rate: f64) -> f64 {
    let Served { kept, ends, .. } = serve(server, workload, rate, slo);
    kept / float(ends.len().max(1))
}

struct Served {
    kept: f64,
    ends: Vec<Duration>,
    /// Requests in the replica, on average until the last one arrives.
    in_flight: f64,
}

/// Sends requests drawn from the workload to one replica, in time or all at once.
fn serve(server: &Server, workload: &Workload, rate: f64, slo: Slo) -> Served {
    let mut random = Random::new(0, "capacity");
    let mut engine = Engine::without_tokens(vllm_engine::Settings { max_num_waiting: u32::MAX, ..server.engine() });
    let (mut kept, mut ends, mut at, mut stayed) = (0.0, Vec::new(), 0.0, 0.0);
    let mut note = |events: Vec<Event>| {
        for event in events {
            let Event::Finished(finished) = event else { continue };
            ends.push(finished.ended);
            stayed += finished.ended.saturating_sub(finished.arrived).as_secs_f64();
            let first = finished.first_token.unwrap_or(finished.ended);
            let itl = first.abs_diff(finished.ended).as_secs_f64() / f64::from(finished.generated_tokens.max(2) - 1);
            let ttft = first.saturating_sub(finished.arrived).as_secs_f64();
            if ttft <= slo.ttft_seconds && itl <= slo.itl_seconds {
                kept += 1.0;
            }
        }
    };
    let count = workload.arrivals.len();
    for _ in 0..REQUESTS {
        at += random.exponential() / rate;
        let Some(Arrival { prompt, output, .. }) =
            workload.arrivals.get(crate::number::index(random.fraction() * float(count))).copied()
        else {
            break;
        };
        let now = seconds(at);
        note(engine.advance(now));
        let finish_reason = FinishReason::Length;
        // Too long for this server is a miss for every policy alike.
        let _ = engine.submit(
            NewRequest { prompt_tokens: prompt, block_hashes: Vec::new(), output_tokens: output, finish_reason },
            now,
        );
    }
    while let Some(at) = engine.next_event() {
        note(engine.advance(at + Duration::from_mins(1)));
    }
    Served { kept, ends, in_flight: stayed / at }
}

/// What a replica has on average at a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AtKnee {
    /// Requests in it.
    pub in_flight: f64,
    /// Used share of its KV cache.
    pub kv_usage: f64,
}

/// What a replica has on average at a rate: requests by Little's law, each of which holds its prompt and half its answer.
pub fn at_knee(server: &Server, workload: &Workload, rate: f64) -> AtKnee {
    let Served { in_flight, .. } = serve(server, workload, rate, Slo::default());
    let (prompt, output) = workload.mean_lengths();
    let kv_usage = in_flight * (prompt + output / 2.0) / f64::from(server.kv_tokens.max(1));
    AtKnee { in_flight, kv_usage: kv_usage.min(1.0) }
}
