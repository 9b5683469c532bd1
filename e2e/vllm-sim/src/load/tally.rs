//! What became of the requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Balancer;
use super::Latencies;

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered in full, after this long.
    Ok(Duration),
    /// Refused with 429: the server's queue is full.
    Rejected,
    /// Anything else that is not an answer; says what.
    Failed(String),
}

/// Counts of a load. `sent` is always the sum of the five below it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Requests sent, or that would have been had there been a server.
    pub sent: u64,
    /// Answered in full.
    pub ok: u64,
    /// Refused with 429.
    pub rejected: u64,
    /// Failed: other statuses, broken connections, timeouts, no server.
    pub failed: u64,
    /// Cut off when the load was stopped.
    pub cut_off: u64,
    /// Not answered yet.
    pub in_flight: u64,
    /// How long the answered ones took.
    pub latencies: Latencies,
    /// What the last failed one failed with.
    pub last_failure: Option<String>,
}

/// The report in the making, and who is busy with it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    report: Report,
    balancer: Balancer,
}

// === impl Tally ===

impl Tally {
    /// Counts a request as sent to one of `endpoints` and says to which.
    pub(super) fn dispatch(&mut self, endpoints: &[String]) -> Option<String> {
        self.report.sent += 1;
        self.report.in_flight += 1;
        self.balancer.pick(endpoints)
    }

    /// Counts the end of a request; one without an outcome was cut off.
    pub(super) fn settle(&mut self, endpoint: Option<&str>, outcome: Option<Outcome>) {
        self.report.in_flight -= 1;
        if let Some(endpoint) = endpoint {
            self.balancer.release(endpoint);
        }
        match outcome {
            Some(Outcome::Ok(latency)) => {
                self.report.ok += 1;
                self.report.latencies.record(latency);
            }
            Some(Outcome::Rejected) => self.report.rejected += 1,
            Some(Outcome::Failed(why)) => {
                self.report.failed += 1;
                self.report.last_failure = Some(why);
            }
            None => self.report.cut_off += 1,
        }
    }

    pub(super) fn report(&self) -> Report {
        self.report.clone()
    }
}

pub(super) fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
