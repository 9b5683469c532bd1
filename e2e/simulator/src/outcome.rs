//! What came of a run.

mod quantiles;
mod series;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::quantiles::Quantiles;
pub(crate) use self::quantiles::median;
pub use self::series::{Decision, Second};
use crate::fleet::{Fleet, Used};
use crate::ledger::{End, Record};
use crate::load::Workload;
use crate::number::{ceil, count, floor};
use crate::policy::{Act, Policy, View};
use crate::scenario::{Scenario, Slo};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Seed of the run.
    pub seed: u64,
    /// The policy.
    pub policy: Policy,
    /// What became of the requests.
    pub requests: Requests,
    /// Share of all requests whose promises were kept; what is dropped, fails or is given up is a miss.
    pub attainment: f64,
    /// Share of all requests whose first token came in time.
    pub ttft_attainment: f64,
    /// Share of all requests whose later tokens came in time.
    pub itl_attainment: f64,
    /// Seconds to the first token, of those that had one.
    pub ttft: Quantiles,
    /// The same on average.
    pub mean_ttft: f64,
    /// Seconds between two tokens, the average of each request.
    pub itl: Quantiles,
    /// What was used.
    pub used: UsedInAll,
    /// How the numbers of replicas moved.
    pub scaling: Scaling,
    /// Seconds to the first token, 95 % quantile of those that arrived in each half minute, by its beginning in seconds. One
    /// that gave up counts with the time it waited.
    pub ttft_over_time: Vec<(f64, f64)>,
    /// Each second.
    pub seconds: Vec<Second>,
    /// What was decided when.
    pub decisions: Vec<Decision>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// All that arrived.
    pub arrived: u32,
    /// Of these, answered.
    pub answered: u32,
    /// Left before the first token.
    pub gave_up: u32,
    /// Taken by no server.
    pub refused: u32,
    /// Cut off when their server went away.
    pub killed: u32,
    /// Not ended when the run ended.
    pub open: u32,
    /// Waited for long, or gave up, or were refused.
    pub waited_long: u32,
    /// Gave up after as many replicas as are needed were ready for the first time after the load had grown most.
    pub gave_up_when_ready: u32,
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedInAll {
    /// In the scenario's currency.
    pub cost: f64,
    /// GPUs that were held, times hours.
    pub gpu_hours: f64,
    /// Replicas on average.
    pub mean_replicas: f64,
}

/// How the numbers of replicas moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Changes of the replicas asked for, over all variants.
    pub events: u32,
    /// How often a change went the other way than the last.
    pub direction_changes: u32,
    /// Most replicas wanted at once.
    pub most_wanted: u32,
    /// Most replicas the load needed.
    pub needed: u32,
    /// Wanted in the first decision that saw a saturated replica after the load had grown most.
    pub first_wanted: Option<u32>,
    /// Seconds from when the load had grown most until as many replicas as it needs were ready; `None` when never.
    pub seconds_to_right_size: Option<f64>,
    /// Seconds in which the ready replicas took less than arrived.
    pub under_seconds: f64,
    /// Requests per second that were too many for them, times seconds.
    pub under_requests: f64,
    /// Replicas beyond those needed, times seconds.
    pub over_replica_seconds: f64,
}

/// Takes notes during a run.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    scenario: &'a Scenario,
    workload: &'a Workload,
    capacity: &'a [f64],
    seconds: Vec<Second>,
    decisions: Vec<Decision>,
    used: Used,
    noted: Duration,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(scenario: &'a Scenario, workload: &'a Workload, capacity: &'a [f64]) -> Self {
        Self {
            scenario,
            workload,
            capacity,
            seconds: Vec::new(),
            decisions: Vec::new(),
            used: Used::default(),
            noted: Duration::ZERO,
        }
    }

    /// Notes how things are.
    pub(crate) fn record(&mut self, fleet: &Fleet<'_>, now: Duration) {
        let variants = 0..self.scenario.variants.len();
        let rate = self.workload.rate(now);
        let (mut waiting, mut running, mut kv) = (fleet.at_gateway(), 0, 0.0_f64);
        for pod in fleet.pods().iter().filter(|pod| pod.is_ready() || pod.is_draining()) {
            let load = pod.load();
            running += load.running;
            waiting += pod.in_flight() - load.running;
            kv = kv.max(load.kv_usage);
        }
        self.used = fleet.used(now);
        self.noted = now;
        if now >= self.scenario.duration() {
            return;
        }
        self.seconds.push(Second {
            rate,
            needed: self.needed(rate),
            spec: variants.clone().map(|variant| fleet.spec(variant)).collect(),
            ready: variants.map(|variant| fleet.ready(variant)).collect(),
            waiting,
            running,
            kv_usage: kv,
            cost: self.used.cost,
        });
    }

    /// Replicas that a rate needs, the cheapest variants first.
    fn needed(&self, rate: f64) -> u32 {
        let mut order: Vec<_> = self.scenario.variants.iter().zip(self.capacity).collect();
        order.sort_by(|(a, x), (b, y)| (a.cost / *x).total_cmp(&(b.cost / *y)));
        let (mut left, mut replicas) = (rate, 0);
        for (variant, each) in order {
            let more = ceil(left / each - 1e-9).min(variant.max);
            replicas += more;
            left -= f64::from(more) * each;
        }
        replicas.max(self.scenario.variants.iter().map(|variant| variant.min).sum())
    }

    /// Notes what was decided.
    pub(crate) fn acted(&mut self, view: &View<'_>, act: Act) {
        let Some(wanted) = act.wanted else { return };
        let is_saturated = view.fleet.pods().iter().any(|pod| {
            let last = view.monitoring.of(pod.serial).and_then(|history| history.last());
            last.is_some_and(|scrape| scrape.kv_usage >= 0.8 || scrape.waiting >= 5)
        });
        let decision = Decision { at: view.now.as_secs_f64(), wanted, saturated: is_saturated, reasons: act.reasons };
        let is_news = self.decisions.last().is_none_or(|last| {
            (&last.wanted, last.saturated, &last.reasons) != (&decision.wanted, decision.saturated, &decision.reasons)
        });
        if is_news {
            self.decisions.push(decision);
        }
    }

    /// Draws the line.
    pub(crate) fn finish(self, ledger: &[Record], policy: &Policy, seed: u64) -> Outcome {
        let grown_at = self.grown_most_at();
        let scaling = self.scaling(grown_at);
        let ready_at = scaling.seconds_to_right_size.map(|after| grown_at + after);
        let end = self.scenario.duration();
        let requests = requests(ledger, self.scenario.long_wait_seconds, ready_at, end);
        let Slo { ttft_seconds, itl_seconds } = self.scenario.slo;
        let arrived = f64::from(requests.arrived.max(1));
        let ttft_kept = |record: &&Record| {
            let in_time = record.ttft().is_some_and(|ttft| ttft.as_secs_f64() <= ttft_seconds);
            in_time && !matches!(record.end, End::Killed)
        };
        let itl_kept = |record: &&Record| {
            record.end == End::Answered && record.itl().is_none_or(|itl| itl.as_secs_f64() <= itl_seconds)
        };
        let share = |kept: usize| f64::from(count(kept)) / arrived;
        let hours = (self.noted.as_secs_f64() / 3600.0).max(f64::MIN_POSITIVE);
        Outcome {
            seed,
            policy: policy.clone(),
            attainment: share(ledger.iter().filter(|it| ttft_kept(it) && itl_kept(it)).count()),
            ttft_attainment: share(ledger.iter().filter(ttft_kept).count()),
            itl_attainment: share(ledger.iter().filter(itl_kept).count()),
            ttft: Quantiles::of(ledger.iter().filter_map(Record::ttft).map(|it| it.as_secs_f64())),
            mean_ttft: quantiles::mean(ledger.iter().filter_map(Record::ttft).map(|it| it.as_secs_f64())),
            itl: Quantiles::of(ledger.iter().filter_map(Record::itl).map(|it| it.as_secs_f64())),
            used: UsedInAll {
                cost: self.used.cost,
                gpu_hours: self.used.gpu_hours,
                mean_replicas: self.used.replica_hours / hours,
            },
            ttft_over_time: ttft_over_time(ledger, end),
            requests,
            scaling,
            seconds: self.seconds,
            decisions: self.decisions,
        }
    }

    /// When the load had grown most within a minute, in seconds.
    fn grown_most_at(&self) -> f64 {
        let rates = &self.workload.rates;
        let growth = |second: usize| rates[second] - rates[second.saturating_sub(60)];
        // The first of equals, and the moment at which it had grown rather than a minute later.
        let most = (0..rates.len()).map(growth).fold(0.0, f64::max);
        let first = (0..rates.len()).find(|second| growth(*second) >= most * 0.999).unwrap_or(0);
        f64::from(count(first))
    }

    fn scaling(&self, grown_at: f64) -> Scaling {
        let mut scaling = Scaling::default();
        let total = |replicas: &[u32]| replicas.iter().sum::<u32>();
        let mut last_direction = None;
        for (before, after) in self.seconds.iter().zip(self.seconds.iter().skip(1)) {
            scaling.events += count(before.spec.iter().zip(&after.spec).filter(|(a, b)| a != b).count());
            let direction = total(&before.spec).cmp(&total(&after.spec));
            if direction.is_ne() {
                scaling.direction_changes += u32::from(last_direction.is_some_and(|last| last != direction));
                last_direction = Some(direction);
            }
        }
        let slowest = self.capacity.iter().copied().fold(f64::INFINITY, f64::min);
        for second in &self.seconds {
            scaling.needed = scaling.needed.max(second.needed);
            let takes: f64 = second.ready.iter().zip(self.capacity).map(|(n, each)| f64::from(*n) * each).sum();
            if takes + 1e-9 < second.rate && total(&second.ready) < second.needed {
                scaling.under_seconds += 1.0;
                scaling.under_requests += second.rate - takes;
            }
            let beyond = total(&second.ready).saturating_sub(second.needed);
            let room = floor((takes - second.rate) / slowest + 1e-9);
            scaling.over_replica_seconds += f64::from(beyond.min(room));
        }
        let wanted = |decision: &Decision| total(&decision.wanted);
        scaling.most_wanted = self.decisions.iter().map(wanted).max().unwrap_or(0);
        scaling.first_wanted = self.decisions.iter().find(|it| it.at >= grown_at && it.saturated).map(wanted);
        let from = crate::number::index(grown_at);
        let right = self.seconds.iter().enumerate().skip(from).find(|(_, it)| total(&it.ready) >= it.needed);
        scaling.seconds_to_right_size = right.map(|(second, _)| f64::from(count(second)) - grown_at);
        scaling
    }
}

fn ttft_over_time(ledger: &[Record], end: Duration) -> Vec<(f64, f64)> {
    const HALF_MINUTE: Duration = Duration::from_secs(30);
    let of = |record: &Record| record.ttft().unwrap_or_else(|| record.waited(end)).as_secs_f64();
    let (mut points, mut from, mut rest) = (Vec::new(), Duration::ZERO, ledger);
    while !rest.is_empty() {
        let (bin, after) = rest.split_at(rest.partition_point(|record| record.arrived < from + HALF_MINUTE));
        points.push((from.as_secs_f64(), Quantiles::of(bin.iter().map(of)).p95));
        (from, rest) = (from + HALF_MINUTE, after);
    }
    points
}

fn requests(ledger: &[Record], long_wait: f64, ready_at: Option<f64>, end: Duration) -> Requests {
    let mut requests = Requests { arrived: count(ledger.len()), ..Requests::default() };
    for record in ledger {
        let counter = match record.end {
            End::Open => &mut requests.open,
            End::Answered => &mut requests.answered,
            End::GaveUp => &mut requests.gave_up,
            End::Refused => &mut requests.refused,
            End::Killed => &mut requests.killed,
        };
        *counter += 1;
        let is_lost = matches!(record.end, End::GaveUp | End::Refused);
        requests.waited_long += u32::from(is_lost || record.waited(end).as_secs_f64() > long_wait);
        let ended = record.ended.unwrap_or(end).as_secs_f64();
        let when_ready = record.end == End::GaveUp && ready_at.is_some_and(|ready| ended > ready);
        requests.gave_up_when_ready += u32::from(when_ready);
    }
    requests
}
