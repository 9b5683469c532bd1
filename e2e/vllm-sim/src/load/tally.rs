//! What became of the requests.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Balancer;
use super::Latencies;

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Answered in full.
    Ok(Answered),
    /// Refused with 429: the server's queue is full.
    Rejected,
    /// Anything else that is not an answer; says what.
    Failed(String),
}

/// How long the parts of an answer took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// Until the last byte.
    pub latency: Duration,
    /// Until the first token, of an answer that was streamed.
    pub ttft: Option<Duration>,
    /// From each of its tokens to the next.
    pub gaps: Vec<Duration>,
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
    /// Time to the first token, of answers that were streamed.
    pub ttft: Latencies,
    /// Time between two tokens of such answers, each gap for itself.
    pub itl: Latencies,
    /// What the last failed one failed with.
    pub last_failure: Option<String>,
}

impl fmt::Display for Report {
    /// Counts, and p50, p95 and p99 of what was measured, as the client saw it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, ok, rejected, failed, cut_off, in_flight, latencies, ttft, itl, last_failure } = self;
        write!(
            f,
            "{sent} sent: {ok} answered, {rejected} rejected, {failed} failed, {cut_off} cut off, {in_flight} in flight"
        )?;
        if let Some(why) = last_failure {
            write!(f, " (last failure: {why})")?;
        }
        for (name, latencies) in [("TTFT", ttft), ("ITL", itl), ("whole answer", latencies)] {
            let millis = |percent| Some(latencies.percentile(percent)?.as_secs_f64() * 1000.0);
            if let (Some(p50), Some(p95), Some(p99)) = (millis(50.0), millis(95.0), millis(99.0)) {
                write!(f, "\n{name}: p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms")?;
            }
        }
        Ok(())
    }
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
            Some(Outcome::Ok(Answered { latency, ttft, gaps })) => {
                self.report.ok += 1;
                self.report.latencies.record(latency);
                if let Some(ttft) = ttft {
                    self.report.ttft.record(ttft);
                }
                for gap in gaps {
                    self.report.itl.record(gap);
                }
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
