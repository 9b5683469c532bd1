//! Requests that arrive: open loop, whatever the servers do.

mod lengths;
mod random;
mod shape;
mod trace;

use std::time::Duration;

pub use self::lengths::{Length, Lengths};
pub(crate) use self::random::Random;
pub use self::shape::Load;
pub use self::trace::{InvalidTrace, TraceFormat, rates as read_rates, requests as read_requests};
use crate::number::{ceil, float, index, seconds};
use crate::scenario::Scenario;

/// Seconds for which a rate is taken to be constant.
const STEP: f64 = 0.25;

/// A request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, since the beginning.
    pub at: Duration,
    /// Tokens of its prompt, at least one.
    pub prompt: u32,
    /// Tokens of its answer, at least one.
    pub output: u32,
}

/// All that arrives in one run. The same for every policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// The requests, in order of their arrival.
    pub arrivals: Vec<Arrival>,
    /// Requests per second that are to be expected, in each second: what a generator was told, or a trace's average of the
    /// half minute before and after.
    pub rates: Vec<f64>,
}

/// Why the load of a scenario cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The trace could not be read.
    #[error("reading the trace {file}: {source}")]
    Unreadable {
        /// Its file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The trace makes no sense.
    #[error("trace {file}: {source}")]
    Invalid {
        /// Its file.
        file: String,
        /// Why.
        source: InvalidTrace,
    },
    /// Nothing arrives.
    #[error("scenario {scenario}: no request arrives within {seconds} seconds; check the load's rates and times")]
    Empty {
        /// Name of the scenario.
        scenario: String,
        /// How long it is.
        seconds: f64,
    },
}

impl Workload {
    /// What arrives in a scenario. `read` gives the text of a trace's file.
    pub fn of(
        scenario: &Scenario,
        seed: u64,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Self, LoadError> {
        let mut random = Random::new(seed, "arrivals");
        let duration = scenario.duration_seconds;
        let workload = if let Load::Trace { file, format, scale, skip_seconds } = &scenario.load {
            let text = read(file).map_err(|source| LoadError::Unreadable { file: file.clone(), source })?;
            let invalid = |source| LoadError::Invalid { file: file.clone(), source };
            if format.has_requests() {
                let all = trace::requests(&text, *format).map_err(invalid)?;
                Self::of_requests(&all, *scale, *skip_seconds, duration, &mut random)
            } else {
                let rates = trace::rates(&text, *format).map_err(invalid)?;
                let rate = |at: f64| shape::at(&rates, at + skip_seconds) * scale;
                Self::drawn(rate, &scenario.requests, duration, &mut random)
            }
        } else {
            let rate = scenario.load.rates(duration, &mut random);
            Self::drawn(|at| shape::at(&rate, at), &scenario.requests, duration, &mut random)
        };
        if workload.arrivals.is_empty() {
            return Err(LoadError::Empty { scenario: scenario.name.clone(), seconds: duration });
        }
        Ok(workload)
    }

    /// Independent requests (Poisson) at a given rate, in requests per second.
    fn drawn(rate: impl Fn(f64) -> f64, lengths: &Lengths, duration: f64, random: &mut Random) -> Self {
        let mut arrivals = Vec::new();
        let (mut at, mut due) = (0.0, random.exponential());
        // The integral of the rate grows until the next request is due.
        let mut grown = 0.0;
        while at < duration {
            let here = rate(at).max(0.0);
            let next = grown + here * STEP;
            while due <= next {
                let when = at + (due - grown) / here;
                if when < duration {
                    let (prompt, output) = lengths.draw(random);
                    arrivals.push(Arrival { at: seconds(when), prompt, output });
                }
                due += random.exponential();
            }
            grown = next;
            at += STEP;
        }
        let rates = (0..ceil(duration)).map(|second| rate(f64::from(second) + 0.5).max(0.0)).collect();
        Self { arrivals, rates }
    }

    /// The requests of a trace from `skip` on, `scale` times as many: a whole multiple repeats each, a fraction keeps some.
    fn of_requests(all: &[Arrival], scale: f64, skip: f64, duration: f64, random: &mut Random) -> Self {
        let mut arrivals = Vec::new();
        for arrival in all {
            let at = arrival.at.as_secs_f64() - skip;
            if at < 0.0 || at >= duration {
                continue;
            }
            let copies = crate::number::floor(scale) + u32::from(random.fraction() < scale.fract());
            for copy in 0..copies {
                // Copies do not arrive at the very same time.
                let shift = if copy == 0 { 0.0 } else { random.fraction() };
                arrivals.push(Arrival { at: seconds(at + shift), ..*arrival });
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        let rates = smoothed(&arrivals, duration);
        Self { arrivals, rates }
    }

    /// The rate to be expected at a time.
    pub fn rate(&self, at: Duration) -> f64 {
        self.rates.get(index(at.as_secs_f64())).copied().unwrap_or(0.0)
    }

    /// The highest rate to be expected.
    pub fn peak(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// Requests per second on average.
    pub fn mean(&self) -> f64 {
        self.rates.iter().sum::<f64>() / float(self.rates.len().max(1))
    }

    /// Mean lengths of prompts and answers, in tokens.
    pub fn mean_lengths(&self) -> (f64, f64) {
        let mean = |of: fn(&Arrival) -> u32| {
            self.arrivals.iter().map(|arrival| f64::from(of(arrival))).sum::<f64>() / float(self.arrivals.len().max(1))
        };
        (mean(|arrival| arrival.prompt), mean(|arrival| arrival.output))
    }
}

/// Requests per second in each second, on average over the half minute before and after.
fn smoothed(arrivals: &[Arrival], duration: f64) -> Vec<f64> {
    const HALF: usize = 30;
    let seconds = usize::try_from(ceil(duration)).unwrap_or(0);
    let mut counts = vec![0.0; seconds];
    for arrival in arrivals {
        if let Some(count) = counts.get_mut(index(arrival.at.as_secs_f64())) {
            *count += 1.0;
        }
    }
    let window = |second: usize| {
        let range = &counts[second.saturating_sub(HALF)..(second + HALF).min(seconds)];
        range.iter().sum::<f64>() / float(range.len().max(1))
    };
    (0..seconds).map(window).collect()
}
