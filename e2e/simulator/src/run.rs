//! One run: a scenario, a policy, a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::load::{Random, Workload};
use crate::monitoring::Monitoring;
use crate::number::seconds;
use crate::outcome::{Outcome, Recorder};
use crate::policy::{Autoscaler, Policy, View};
use crate::scenario::Scenario;

/// How long requests that wait in front of servers go unnoticed by them: as an endpoint picker refreshes its readings.
const GATEWAY_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at pods that finish what they have begun.
const DRAIN_PAUSE: Duration = Duration::from_secs(1);
/// Pause between two entries of the record.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// How long after the last arrival answers are waited for.
const AFTERWARDS: Duration = Duration::from_mins(2);

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next request arrives.
    Arrival,
    /// The patience of the client of the next request ends.
    Patience,
    /// A pod becomes ready, or has to go.
    Pods,
    /// Servers may have room for requests in front of them.
    Gateway,
    /// A pod is scraped.
    Scrape(u32),
    /// Whoever scales looks.
    Autoscaler,
    /// An entry of the record.
    Record,
}

struct Run<'a> {
    scenario: &'a Scenario,
    workload: &'a Workload,
    capacity: &'a [f64],
    fleet: Fleet<'a>,
    monitoring: Monitoring,
    autoscaler: Option<Box<dyn Autoscaler>>,
    recorder: Recorder<'a>,
    queue: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    pushed: u64,
    next_arrival: usize,
    next_patience: usize,
    /// When the next change of pods is planned for.
    pods_at: Option<Duration>,
    gateway_is_planned: bool,
    phases: Random,
    /// The first pod whose scrapes are not planned.
    unscraped: u32,
}

/// Simulates. The same arguments give the same outcome. `capacity` is what [`capacities`](crate::capacity::capacities) says
/// of the variants.
pub fn run(scenario: &Scenario, workload: &Workload, policy: &Policy, seed: u64, capacity: &[f64]) -> Outcome {
    let mut run = Run {
        scenario,
        workload,
        capacity,
        fleet: Fleet::new(scenario, workload, seed),
        monitoring: Monitoring::default(),
        autoscaler: None,
        recorder: Recorder::new(scenario, workload, capacity),
        queue: BinaryHeap::new(),
        pushed: 0,
        next_arrival: 0,
        next_patience: 0,
        pods_at: None,
        gateway_is_planned: false,
        phases: Random::new(seed, "scrapes"),
        unscraped: 0,
    };
    run.autoscaler = Some(policy.autoscaler(&run.view(Duration::ZERO)));
    if policy.begins_ready() {
        run.act(Duration::ZERO);
        run.fleet.begin_ready();
    }
    run.all();
    run.recorder.finish(&run.fleet.ledger, policy, seed)
}

impl Run<'_> {
    fn view(&self, now: Duration) -> View<'_> {
        View {
            now,
            scenario: self.scenario,
            fleet: &self.fleet,
            monitoring: &self.monitoring,
            workload: self.workload,
            capacity: self.capacity,
        }
    }

    fn push(&mut self, at: Duration, event: Event) {
        self.queue.push(Reverse((at, self.pushed, event)));
        self.pushed += 1;
    }

    fn all(&mut self) {
        self.push(Duration::ZERO, Event::Record);
        self.plan_arrival();
        self.plan_patience();
        if let Some(at) = self.autoscaler.as_ref().and_then(|autoscaler| autoscaler.next()) {
            self.push(at, Event::Autoscaler);
        }
        self.plan_pods(Duration::ZERO);
        let end = self.scenario.duration() + AFTERWARDS;
        while let Some(Reverse((now, _, event))) = self.queue.pop() {
            if now > end {
                break;
            }
            if !matches!(event, Event::Patience) {
                self.fleet.settle(now);
            }
            self.happen(event, now);
            self.plan_pods(now);
        }
        self.fleet.settle(end);
    }

    fn happen(&mut self, event: Event, now: Duration) {
        match event {
            Event::Arrival => {
                self.fleet.arrive(self.next_arrival, now);
                self.next_arrival += 1;
                self.plan_arrival();
            }
            Event::Patience => {
                self.fleet.give_up(self.next_patience, now);
                self.next_patience += 1;
                self.plan_patience();
            }
            Event::Pods => self.pods_at = None,
            Event::Gateway => self.gateway_is_planned = false,
            Event::Scrape(serial) => self.scrape(serial, now),
            Event::Autoscaler => {
                self.act(now);
                if let Some(at) = self.autoscaler.as_ref().and_then(|autoscaler| autoscaler.next()) {
                    self.push(at.max(now), Event::Autoscaler);
                }
            }
            Event::Record => {
                self.recorder.record(&self.fleet, now);
                // What is used after the load has ended is nobody's fault.
                if now + RECORD_PAUSE <= self.scenario.duration() {
                    self.push(now + RECORD_PAUSE, Event::Record);
                }
            }
        }
    }

    fn act(&mut self, now: Duration) {
        let Some(mut autoscaler) = self.autoscaler.take() else { return };
        let act = autoscaler.act(&self.view(now));
        self.autoscaler = Some(autoscaler);
        for (variant, replicas) in &act.scale {
            if let Some(of) = self.scenario.variants.get(*variant) {
                let replicas = (*replicas).clamp(of.min, of.max);
                if replicas != self.fleet.spec(*variant) {
                    self.fleet.scale(*variant, replicas, now);
                }
            }
        }
        let view = View {
            now,
            scenario: self.scenario,
            fleet: &self.fleet,
            monitoring: &self.monitoring,
            workload: self.workload,
            capacity: self.capacity,
        };
        self.recorder.acted(&view, act);
    }

    fn plan_arrival(&mut self) {
        if let Some(next) = self.workload.arrivals.get(self.next_arrival) {
            self.push(next.at, Event::Arrival);
        }
    }

    fn plan_patience(&mut self) {
        let Some(patience) = self.scenario.patience_seconds else { return };
        // Most have their first token long before: their patience need not be looked at.
        while self.fleet.ledger.get(self.next_patience).is_some_and(|record| record.first_token.is_some()) {
            self.next_patience += 1;
        }
        if let Some(next) = self.workload.arrivals.get(self.next_patience) {
            self.push(next.at + seconds(patience), Event::Patience);
        }
    }

    /// Plans what follows from how pods are now.
    fn plan_pods(&mut self, now: Duration) {
        let mut next = self.fleet.next_change();
        if self.fleet.is_draining() {
            next = next.map(|at| at.min(now + DRAIN_PAUSE));
        }
        if let Some(at) = next.filter(|at| self.pods_at.is_none_or(|planned| *at < planned)) {
            self.pods_at = Some(at);
            self.push(at, Event::Pods);
        }
        if !self.gateway_is_planned && self.fleet.waits_for_room() {
            self.gateway_is_planned = true;
            self.push(now + GATEWAY_PAUSE, Event::Gateway);
        }
        let serials: Vec<u32> =
            self.fleet.pods().iter().map(|pod| pod.serial).filter(|it| *it >= self.unscraped).collect();
        for serial in serials {
            // A target that is new is scraped first somewhere within an interval.
            let at = now + seconds(self.scenario.scrape_seconds * self.phases.fraction());
            self.push(at, Event::Scrape(serial));
            self.unscraped = serial + 1;
        }
    }

    fn scrape(&mut self, serial: u32, now: Duration) {
        let Some(pod) = self.fleet.pod(serial) else {
            self.monitoring.forget(now);
            return;
        };
        if pod.is_ready() || pod.is_draining() {
            self.monitoring.scrape(pod, now);
        }
        self.push(now + seconds(self.scenario.scrape_seconds), Event::Scrape(serial));
    }
}
