//! The pods of all variants, the requests in front of them, and the GPUs they hold.

mod pod;
mod route;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use self::pod::{Counters, Pod, State};
use crate::ledger::{End, Record, RequestIndex};
use crate::load::{Random, Workload};
use crate::number::{count, seconds};
use crate::scenario::Scenario;

/// The pods of all variants, the requests in front of them, and the GPUs they hold.
#[derive(Debug)]
pub struct Fleet<'a> {
    scenario: &'a Scenario,
    workload: &'a Workload,
    /// Replicas asked for, by variant.
    spec: Vec<u32>,
    /// Pods that are there, in order of creation.
    pods: Vec<Pod>,
    /// Requests that wait in front of the servers, in order of arrival.
    gateway: VecDeque<RequestIndex>,
    /// What became of each request.
    pub(crate) ledger: Vec<Record>,
    /// What was used by pods that are gone.
    used: Used,
    start_up: Random,
    next_serial: u32,
    /// Which pod had the last request, for those who take turns.
    turn: u32,
}

/// What pods have used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Cost of their time, in the scenario's currency.
    pub cost: f64,
    /// Hours of their GPUs.
    pub gpu_hours: f64,
    /// Hours of replicas.
    pub replica_hours: f64,
}

impl<'a> Fleet<'a> {
    /// The fleet at the beginning: the initial replicas are ready.
    pub(crate) fn new(scenario: &'a Scenario, workload: &'a Workload, seed: u64) -> Self {
        let mut fleet = Self {
            scenario,
            workload,
            spec: vec![0; scenario.variants.len()],
            pods: Vec::new(),
            gateway: VecDeque::new(),
            ledger: workload.arrivals.iter().map(Record::new).collect(),
            used: Used::default(),
            start_up: Random::new(seed, "start-up"),
            next_serial: 0,
            turn: 0,
        };
        for (variant, of) in scenario.variants.iter().enumerate() {
            fleet.scale(variant, of.initial, Duration::ZERO);
        }
        fleet.begin_ready();
        fleet
    }

    /// Lets all pods that start be ready from the beginning.
    pub(crate) fn begin_ready(&mut self) {
        for pod in &mut self.pods {
            if matches!(pod.state, State::Starting { .. }) {
                pod.enter(State::Ready, Duration::ZERO);
            }
        }
    }

    /// All pods that are there, in order of creation.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// The pod of this serial number, while it is there.
    pub fn pod(&self, serial: u32) -> Option<&Pod> {
        let place = self.pods.binary_search_by_key(&serial, |pod| pod.serial).ok()?;
        self.pods.get(place)
    }

    /// Replicas asked for of a variant (`spec.replicas`).
    pub fn spec(&self, variant: usize) -> u32 {
        self.spec.get(variant).copied().unwrap_or(0)
    }

    /// Pods of a variant that are not on their way out (`status.replicas`).
    pub fn replicas(&self, variant: usize) -> u32 {
        self.count(|pod| pod.variant == variant && !pod.is_draining())
    }

    /// Pods of a variant that serve.
    pub fn ready(&self, variant: usize) -> u32 {
        self.count(|pod| pod.variant == variant && pod.is_ready())
    }

    /// Pods of which something holds.
    pub fn count(&self, holds: impl Fn(&Pod) -> bool) -> u32 {
        count(self.pods.iter().filter(|pod| holds(pod)).count())
    }

    /// Requests that wait in front of the servers.
    pub fn at_gateway(&self) -> u32 {
        count(self.gateway.len())
    }

    /// What all pods have used until now.
    pub fn used(&self, now: Duration) -> Used {
        self.pods.iter().fold(self.used, |used, pod| used.plus(self.usage(pod, now)))
    }

    fn usage(&self, pod: &Pod, now: Duration) -> Used {
        let Some(variant) = self.scenario.variants.get(pod.variant) else { return Used::default() };
        let hours = pod.scheduled.map_or(0.0, |since| now.saturating_sub(since).as_secs_f64() / 3600.0);
        Used {
            cost: hours * variant.cost,
            gpu_hours: hours * f64::from(variant.gpus_per_replica.max(1)),
            replica_hours: hours,
        }
    }

    /// GPUs of each accelerator that pods hold.
    pub fn gpus_in_use(&self) -> BTreeMap<&str, u32> {
        let mut used = BTreeMap::new();
        for pod in self.pods.iter().filter(|pod| pod.scheduled.is_some()) {
            if let Some(variant) = self.scenario.variants.get(pod.variant) {
                *used.entry(variant.accelerator.as_str()).or_default() += variant.gpus_per_replica.max(1);
            }
        }
        used
    }

    /// Sets the replicas of a variant. Pods that are not ready go first, then the youngest.
    pub(crate) fn scale(&mut self, variant: usize, replicas: u32, now: Duration) {
        let Some(of) = self.scenario.variants.get(variant) else { return };
        if let Some(spec) = self.spec.get_mut(variant) {
            *spec = replicas;
        }
        let there = self.replicas(variant);
        for _ in there..replicas {
            self.pods.push(Pod::new(self.next_serial, variant, of, now));
            self.next_serial += 1;
        }
        for _ in replicas..there {
            self.remove_one(variant, now);
        }
        self.schedule(now);
    }

    fn remove_one(&mut self, variant: usize, now: Duration) {
        let rank = |pod: &Pod| match pod.state {
            State::Unschedulable => 0,
            State::Starting { .. } => 1,
            State::Ready | State::Draining { .. } => 2,
        };
        let candidates = self.pods.iter().enumerate().filter(|(_, pod)| pod.variant == variant && !pod.is_draining());
        let last = candidates.min_by_key(|(_, pod)| (rank(pod), std::cmp::Reverse((pod.since, pod.serial))));
        let Some((place, pod)) = last else { return };
        if pod.is_ready() {
            let until = now + seconds(self.scenario.termination_grace_seconds);
            self.pods[place].enter(State::Draining { until }, now);
        } else {
            self.bury(place, now);
        }
    }

    fn bury(&mut self, place: usize, now: Duration) {
        let pod = self.pods.remove(place);
        self.used = self.used.plus(self.usage(&pod, now));
    }

    /// Gives GPUs to pods that wait for some, in order of creation.
    fn schedule(&mut self, now: Duration) {
        for place in 0..self.pods.len() {
            if self.pods[place].state != State::Unschedulable {
                continue;
            }
            let variant = &self.scenario.variants[self.pods[place].variant];
            if let Some(limit) = self.scenario.gpus.get(&variant.accelerator) {
                let used = self.gpus_in_use().get(variant.accelerator.as_str()).copied().unwrap_or(0);
                if used + variant.gpus_per_replica.max(1) > *limit {
                    continue;
                }
            }
            let spread = self.scenario.start_up_spread * (2.0 * self.start_up.fraction() - 1.0);
            let until = now + seconds(self.scenario.start_up_seconds * (1.0 + spread));
            let pod = &mut self.pods[place];
            pod.scheduled = Some(now);
            pod.enter(State::Starting { until }, now);
        }
    }

    /// When the next pod becomes ready or is killed.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let at = |pod: &Pod| match pod.state {
            State::Starting { until } | State::Draining { until } => Some(until),
            State::Unschedulable | State::Ready => None,
        };
        self.pods.iter().filter_map(at).min()
    }

    /// Lets every server work until now, and what has to happen to pods by now happen.
    pub(crate) fn settle(&mut self, now: Duration) {
        for pod in &mut self.pods {
            pod.work(&mut self.ledger, now);
        }
        let mut freed = false;
        for place in (0..self.pods.len()).rev() {
            match self.pods[place].state {
                State::Starting { until } if until <= now => self.pods[place].enter(State::Ready, now),
                State::Draining { until } if until <= now || self.pods[place].in_flight() == 0 => {
                    for request in self.pods[place].open_requests(&self.ledger) {
                        self.pods[place].drop_request(request, End::Killed, &mut self.ledger, now);
                    }
                    self.bury(place, now);
                    freed = true;
                }
                _ => {}
            }
        }
        if freed {
            self.schedule(now);
        }
        self.dispatch(now);
    }

    /// Whether any pod is on its way out.
    pub(crate) fn is_draining(&self) -> bool {
        self.pods.iter().any(Pod::is_draining)
    }

    /// A client's patience ends: without a first token it leaves.
    pub(crate) fn give_up(&mut self, index: RequestIndex, now: Duration) {
        let is_open = |record: &Record| record.first_token.is_none() && record.end == End::Open;
        if !self.ledger.get(index).is_some_and(is_open) {
            return;
        }
        let serial = self.ledger[index].pod;
        let place = serial.and_then(|serial| self.pods.binary_search_by_key(&serial, |pod| pod.serial).ok());
        if let Some(place) = place {
            let pod = &mut self.pods[place];
            pod.work(&mut self.ledger, now);
            if is_open(&self.ledger[index]) {
                pod.drop_request(index, End::GaveUp, &mut self.ledger, now);
            }
            return;
        }
        self.gateway.retain(|waiting| *waiting != index);
        let record = &mut self.ledger[index];
        (record.end, record.ended) = (End::GaveUp, Some(now));
    }
}

impl Used {
    fn plus(self, other: Self) -> Self {
        Self {
            cost: self.cost + other.cost,
            gpu_hours: self.gpu_hours + other.gpu_hours,
            replica_hours: self.replica_hours + other.replica_hours,
        }
    }
}
