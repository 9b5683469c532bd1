//! How many requests a second can a server take within its promises? A queueing model of one replica.
//!
//! Requests arrive at random, up to N are served together and the others wait. Serving more at once makes each slower:
//! [`ServiceTime`] says by how much, [`queue`] what follows for a given rate, and [`Replica::size`] turns that round and
//! finds the highest rate at which the promises hold.
//!
//! Times are milliseconds and rates inside the model requests per millisecond; public rates are requests per second. All
//! arithmetic is in `f32`, except state probabilities, which are `f64`.

pub mod queue;
mod search;
mod service;
mod transition;
mod tuner;

use serde::{Deserialize, Serialize};

pub use self::search::{Position, search};
pub(crate) use self::service::real;
pub use self::service::{RequestSize, ServiceTime};
pub use self::transition::Allocation;
pub use self::tuner::{Observation, Tuner};
use crate::settings::Slo;

/// Share of the range of rates that is left out at its ends, where the model says nothing.
const MARGIN: f32 = 0.001;
/// Share of the highest rate at which a replica still gives a steady stream of tokens.
const STEADY: f32 = 0.9;
/// Requests that may wait for each that is served.
const WAITING_PER_SERVED: u32 = 10;

/// One replica and the requests it gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica {
    /// How fast it is.
    pub service: ServiceTime,
    /// What its requests are like.
    pub request: RequestSize,
    /// Requests it serves together, N.
    pub max_batch: u32,
    /// Requests that may wait.
    pub max_queue: u32,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The replica serves nobody, or its requests have no answer to generate.
    Invalid,
    /// A queue in which nobody can wait has no waiting time.
    NoRoom,
    /// The rate is not above 0, or above what the replica can take.
    RateOutOfRange,
    /// The promise is tighter than what the replica gives without load.
    NotFeasible,
}

/// What a replica gives at one rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Requests per second that are served.
    pub throughput: f32,
    /// Milliseconds a request stays.
    pub response: f32,
    /// Milliseconds it waits.
    pub wait: f32,
    /// Requests served together, on average.
    pub in_service: f32,
    /// Milliseconds to compute a prompt.
    pub prefill: f32,
    /// Milliseconds between two tokens.
    pub itl: f32,
    /// Milliseconds to the first token.
    pub ttft: f32,
    /// Share of the batch that is in use.
    pub utilization: f32,
}

impl Replica {
    /// A replica in whose queue ten requests may wait for each that is served.
    pub fn new(service: ServiceTime, request: RequestSize, max_batch: u32) -> Self {
        Self { service, request, max_batch, max_queue: max_batch.saturating_mul(WAITING_PER_SERVED) }
    }

    /// Least and highest rate the model covers, in requests per second.
    ///
    /// # Errors
    ///
    /// When the replica or its requests make no sense.
    pub fn range(&self) -> Result<(f32, f32), Error> {
        let RequestSize { input, output } = self.request;
        if self.max_batch == 0 || input.is_nan() || input < 0.0 || output.is_nan() || output < 1.0 {
            return Err(Error::Invalid);
        }
        let rate = |batch| self.service.rate(batch, self.request);
        let (least, most) = (MARGIN * rate(1.0), (1.0 - MARGIN) * rate(service::real(self.max_batch)));
        Ok((least * 1000.0, most * 1000.0))
    }

    /// What the replica gives at a rate, in requests per second.
    ///
    /// # Errors
    ///
    /// When the rate is out of its range.
    pub fn analyze(&self, rate: f32) -> Result<Performance, Error> {
        self.analyze_at(rate, &self.rates())
    }

    /// Requests per millisecond that leave, by how many are served.
    fn rates(&self) -> Vec<f32> {
        (1..=self.max_batch).map(|batch| self.service.rate(service::real(batch), self.request)).collect()
    }

    fn analyze_at(&self, rate: f32, rates: &[f32]) -> Result<Performance, Error> {
        let (_, most) = self.range()?;
        if rate.is_nan() || rate <= 0.0 || rate > most {
            return Err(Error::RateOutOfRange);
        }
        let state = queue::solve(rate / 1000.0, rates, self.max_queue)?;
        let prefill = self.service.prefill(state.in_service, self.request);
        let itl = (state.service - prefill) / self.request.output;
        Ok(Performance {
            throughput: state.throughput * 1000.0,
            response: state.response,
            wait: state.wait,
            in_service: state.in_service,
            prefill,
            itl,
            ttft: state.wait + prefill + itl,
            utilization: (state.in_service / service::real(self.max_batch)).clamp(0.0, 1.0),
        })
    }

    /// Highest rate, in requests per second, at which the promises hold.
    ///
    /// # Errors
    ///
    /// When a promise is negative, or tighter than what the replica gives without load.
    pub fn size(&self, slo: &Slo) -> Result<f32, Error> {
        let (least, most) = self.range()?;
        let rates = self.rates();
        let promised = |promise: Option<f32>| match promise.filter(|promise| *promise != 0.0) {
            Some(promise) if promise < 0.0 => Err(Error::Invalid),
            promise => Ok(promise),
        };
        let (ttft, itl, tps) = (promised(slo.ttft_ms)?, promised(slo.itl_ms)?, promised(slo.tps)?);
        let highest = |up_to: f32, promise: f32, of: fn(&Performance) -> f32| match search(
            |rate| self.analyze_at(rate, &rates).map(|it| of(&it)),
            (least, up_to),
            promise,
        )? {
            (_, Position::Below) => Err(Error::NotFeasible),
            (rate, Position::Inside) => Ok(rate),
            (_, Position::Above) => Ok(up_to),
        };
        // A promise of tokens per second leaves room for peaks; how many tokens it is about is not of one replica.
        let mut rate = if tps.is_some() { STEADY * most } else { most };
        if let Some(promise) = itl {
            rate = rate.min(highest(most, promise, |it| it.itl)?);
        }
        // Last, and no further than the others allow: where requests wait for long, as many states count as may wait.
        if let Some(promise) = ttft {
            rate = rate.min(highest(rate, promise, |it| it.ttft)?);
        }
        Ok(rate)
    }

    /// Requests per second that count as its capacity while nothing is asked of it, and nobody knows how long requests
    /// would be: of a full batch of requests without a prompt, and with an answer of one token.
    ///
    /// With α = 5, β = 0.2 and 16 requests: 16 / (2·5 + 0.2 + 0.2·16) = 1.194 a millisecond.
    pub fn idle_capacity(service: ServiceTime, max_batch: u32) -> f32 {
        let ServiceTime { alpha, beta, gamma: _ } = service;
        let batch = service::real(max_batch);
        1000.0 * batch / (2.0 * alpha + beta + beta * batch)
    }

    /// Requests per second the replica serves when it gets as many as [`size`](Self::size) allows: a little fewer, since some
    /// find the queue full.
    ///
    /// # Errors
    ///
    /// As [`size`](Self::size).
    pub fn capacity(&self, slo: &Slo) -> Result<f32, Error> {
        Ok(self.analyze(self.size(slo)?)?.throughput)
    }
}
