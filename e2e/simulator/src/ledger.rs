//! What became of each request.

use std::time::Duration;

use crate::load::Arrival;

/// A request, by its place in the workload.
pub type RequestIndex = usize;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum End {
    /// Not yet.
    #[default]
    Open,
    /// With its whole answer.
    Answered,
    /// Its client left before the first token.
    GaveUp,
    /// No server took it.
    Refused,
    /// Its server went away in the middle of its answer.
    Killed,
}

/// The life of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// Arrival.
    pub arrived: Duration,
    /// First admission to a batch.
    pub admitted: Option<Duration>,
    /// First token.
    pub first_token: Option<Duration>,
    /// The end.
    pub ended: Option<Duration>,
    /// Tokens of its answer that came.
    pub generated: u32,
    /// How it ended.
    pub end: End,
    /// Serial number of the pod it is in.
    pub(crate) pod: Option<u32>,
    /// When it came to that pod.
    pub(crate) submitted: Option<Duration>,
    /// The number it has there.
    pub(crate) number: u64,
}

impl Record {
    pub(crate) fn new(arrival: &Arrival) -> Self {
        Self { arrived: arrival.at, ..Self::default() }
    }

    /// From its arrival to its first token.
    pub fn ttft(&self) -> Option<Duration> {
        Some(self.first_token?.saturating_sub(self.arrived))
    }

    /// Between two tokens, on average; `None` for an answer of one token.
    pub fn itl(&self) -> Option<Duration> {
        let (first, ended) = (self.first_token?, self.ended?);
        (self.generated > 1).then(|| ended.saturating_sub(first) / (self.generated - 1))
    }

    /// From its arrival to its turn; for one that never had it, to its end.
    pub fn waited(&self, now: Duration) -> Duration {
        self.admitted.or(self.ended).unwrap_or(now).saturating_sub(self.arrived)
    }
}
