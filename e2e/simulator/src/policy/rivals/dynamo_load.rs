//! Dynamo's planner, load mode: one worker more or less, by what each worker has now.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Act, Autoscaler, View};
use super::one_of_the_pool;
use crate::fleet::{Pod, State};
use crate::number::{count, float};

/// Pause between two decisions.
const TICK: Duration = Duration::from_secs(5);
/// Share of a promise below which a worker may go.
const SENSITIVITY: f64 = 0.8;

/// What its load mode aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DynamoTarget {
    /// The promises, with estimates of what the next request would see.
    Sla,
    /// Full workers: more from 100 % of the KV cache on, fewer below 60 %, with what waits.
    Throughput,
    /// Quick ones: more from 40 %, fewer below 10 %.
    Latency,
}

/// The planner in load mode.
#[derive(Debug)]
pub(in crate::policy) struct DynamoLoad {
    target: DynamoTarget,
    /// Mean lengths of prompts and answers, in tokens.
    lengths: (f64, f64),
    next: Duration,
}

/// What a worker has, as the planner sees it.
struct Worker {
    /// Tokens in use and waiting, as a share of the KV cache.
    full: f64,
    /// Estimates of what the next request would see, in seconds: the first token, of that what the queue adds, and between
    /// two tokens.
    ttft: f64,
    queue: f64,
    itl: f64,
}

impl DynamoLoad {
    pub(in crate::policy) fn new(target: DynamoTarget, view: &View<'_>) -> Self {
        Self { target, lengths: view.workload.mean_lengths(), next: TICK }
    }

    /// What a worker has when its load is `factor` times what it is. The regression that the planner fits is taken to be
    /// perfect: it is the server's own.
    fn worker(&self, view: &View<'_>, pod: &Pod, factor: f64) -> Worker {
        let server = &view.scenario.variants[pod.variant].server;
        let (load, (input, output)) = (pod.load(), self.lengths);
        // What waits in front of the servers is spread over them.
        let outside = f64::from(view.fleet.at_gateway()) / f64::from(view.fleet.count(Pod::is_ready).max(1));
        let waiting = (f64::from(pod.in_flight() - load.running) + outside) * factor;
        let running = f64::from(load.running) * factor;
        let capacity = f64::from(server.kv_tokens);
        let used = load.kv_usage * capacity * factor;
        let itl = (server.alpha_ms + server.beta_ms * (running + 1.0) + server.gamma_ms * (used + input)) / 1000.0;
        // Prompts that wait are computed while the batch goes on; when it is full, places come as answers end.
        let places = (capacity / (input + output / 2.0)).min(f64::from(server.max_num_seqs));
        let full = (running + waiting + 1.0 - places).max(0.0) * output * itl / places.max(1.0);
        let prefill = |tokens: f64| tokens * server.beta_ms / 1000.0;
        let queue = prefill(waiting * input) + full;
        Worker { full: (used + waiting * input) / capacity, ttft: prefill(input) + itl + queue, queue, itl }
    }

    /// Whether one worker more, or one less, or neither is wanted.
    fn direction(&self, view: &View<'_>) -> Option<bool> {
        let workers: Vec<&Pod> = view.fleet.pods().iter().filter(|pod| pod.is_ready()).collect();
        let n = float(workers.len());
        let now: Vec<Worker> = workers.iter().map(|pod| self.worker(view, pod, 1.0)).collect();
        let shares = match self.target {
            DynamoTarget::Throughput => Some((1.0, 0.6)),
            DynamoTarget::Latency => Some((0.4, 0.1)),
            DynamoTarget::Sla => None,
        };
        if let Some((up, down)) = shares {
            return if now.iter().any(|worker| worker.full > up) {
                Some(true)
            } else {
                (count(workers.len()) > 1 && now.iter().all(|worker| worker.full < down)).then_some(false)
            };
        }
        let slo = view.scenario.slo;
        let is_over = |worker: &Worker| worker.ttft > slo.ttft_seconds || worker.itl > slo.itl_seconds;
        if !now.is_empty() && now.iter().all(is_over) {
            return Some(true);
        }
        if n < 2.0 {
            return None;
        }
        let fewer: Vec<Worker> = workers.iter().map(|pod| self.worker(view, pod, n / (n - 1.0))).collect();
        let is_easy = |worker: &Worker| {
            let own = worker.ttft - worker.queue;
            worker.itl < SENSITIVITY * slo.itl_seconds
                && worker.full < 1.0
                && worker.queue < SENSITIVITY * (slo.ttft_seconds - own)
        };
        fewer.iter().all(is_easy).then_some(false)
    }
}

impl Autoscaler for DynamoLoad {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + TICK;
        let is_under_way = view.fleet.pods().iter().any(|pod| pod.state != State::Ready);
        let direction = if is_under_way { None } else { self.direction(view) };
        let Some(up) = direction else {
            let wanted = (0..view.scenario.variants.len()).map(|variant| view.fleet.spec(variant)).collect();
            return Act { wanted: Some(wanted), ..Act::default() };
        };
        let wanted = one_of_the_pool(view, up);
        Act { scale: wanted.iter().copied().enumerate().collect(), wanted: Some(wanted), reasons: Vec::new() }
    }
}
