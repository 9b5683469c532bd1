//! Which server a request goes to.

use std::time::Duration;

use super::{Fleet, Pod};
use crate::ledger::{End, RequestIndex};
use crate::scenario::Routing;

impl Fleet<'_> {
    /// A request arrives. All servers must have worked until `now`.
    pub(crate) fn arrive(&mut self, index: RequestIndex, now: Duration) {
        self.gateway.push_back(index);
        self.dispatch(now);
    }

    /// Sends requests on that wait in front of the servers, as long as there are servers for them.
    pub(super) fn dispatch(&mut self, now: Duration) {
        while let Some(index) = self.gateway.front().copied() {
            let Some(place) = self.choose() else { return };
            self.gateway.pop_front();
            let (Some(arrival), Some(record)) = (self.workload.arrivals.get(index), self.ledger.get_mut(index)) else {
                continue;
            };
            if record.end != End::Open {
                continue;
            }
            let pod = &mut self.pods[place];
            self.turn = pod.serial;
            pod.take(index, arrival, record, now);
        }
    }

    /// Whether requests wait that may soon go on: servers that have room do not say so.
    pub(crate) fn waits_for_room(&self) -> bool {
        !self.gateway.is_empty() && self.pods.iter().any(Pod::is_ready)
    }

    fn choose(&self) -> Option<usize> {
        let ready = self.pods.iter().enumerate().filter(|(_, pod)| pod.is_ready());
        // Of several that are alike, the next after the last one.
        let fewest = |(_, pod): &(usize, &Pod)| (pod.in_flight(), pod.serial <= self.turn, pod.serial);
        let place = match self.scenario.routing {
            Routing::FewestRequests => ready.min_by_key(fewest),
            Routing::RoundRobin => ready.min_by_key(|(_, pod)| (pod.serial <= self.turn, pod.serial)),
            Routing::FlowControl { queue, kv } => {
                let has_room = |(_, pod): &(usize, &Pod)| {
                    let load = pod.load();
                    load.kv_usage < kv && pod.in_flight().saturating_sub(load.running) <= queue
                };
                ready.filter(has_room).min_by_key(fewest)
            }
        };
        place.map(|(place, _)| place)
    }
}
