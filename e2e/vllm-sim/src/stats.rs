//! What vLLM counts about its requests.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Event, FinishReason, Finished};

/// Bucket bounds as in vLLM, in seconds or tokens.
mod bounds {
    pub(super) const TIME_TO_FIRST_TOKEN: &[f64] = &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        160.0, 640.0, 2560.0,
    ];
    pub(super) const TOKEN_GAP: &[f64] =
        &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
    pub(super) const REQUEST_LATENCY: &[f64] = &[
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
        1920.0, 7680.0,
    ];
    pub(super) const ITERATION_TOKENS: &[f64] =
        &[1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

    /// 1, 2, 5, 10, 20, 50, … up to the longest request possible.
    pub(super) fn tokens_up_to(max: u32) -> Vec<f64> {
        let mut bounds = Vec::new();
        let mut power: u32 = 1;
        loop {
            for mantissa in [1, 2, 5] {
                match power.checked_mul(mantissa) {
                    Some(bound) if bound <= max => bounds.push(f64::from(bound)),
                    _ => return bounds,
                }
            }
            match power.checked_mul(10) {
                Some(next) => power = next,
                None => return bounds,
            }
        }
    }
}

/// A histogram with fixed bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    bounds: Vec<f64>,
    /// One per bound, and one more for what lies above them all. Not cumulative.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram with these upper bounds, in ascending order.
    pub fn new(bounds: Vec<f64>) -> Self {
        Self { counts: vec![0; bounds.len() + 1], bounds, sum: 0.0 }
    }

    /// Counts one value.
    pub fn observe(&mut self, value: f64) {
        self.observe_many(value, 1);
    }

    /// Counts one value `times` times, with the sum given by `value × times` in one addition.
    pub fn observe_many(&mut self, value: f64, times: u32) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += u64::from(times);
        self.sum += value * f64::from(times);
    }

    /// Bounds with cumulative counts, without the last bucket, which equals [`Histogram::count`].
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.bounds.iter().zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((*bound, *total))
        })
    }

    /// Values counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of the values counted.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// An empty histogram with the same bounds.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self::new(self.bounds.clone())
    }
}

/// Everything counted since the start. Tokens and requests are whole numbers, times are in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Answer tokens generated.
    pub generation_tokens: u64,
    /// Preemptions.
    pub preemptions: u64,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_queries: u64,
    /// Prompt tokens found there.
    pub prefix_hits: u64,
    /// Requests that ended, by reason; every reason is present from the start.
    pub finished: BTreeMap<FinishReason, u64>,
    /// Prompt length per request.
    pub request_prompt_tokens: Histogram,
    /// Answer length per request.
    pub request_generation_tokens: Histogram,
    /// Tokens per iteration.
    pub iteration_tokens: Histogram,
    /// Arrival to first token.
    pub time_to_first_token: Histogram,
    /// Token to next token.
    pub inter_token_latency: Histogram,
    /// Mean time per token after the first, per request.
    pub request_time_per_output_token: Histogram,
    /// Arrival to end.
    pub e2e_latency: Histogram,
    /// Arrival to admission.
    pub queue_time: Histogram,
    /// Admission to end.
    pub inference_time: Histogram,
    /// Admission to first token.
    pub prefill_time: Histogram,
    /// First token to end.
    pub decode_time: Histogram,
}

impl Stats {
    /// Nothing counted yet. Bounds of the token histograms reach up to `max_model_len`.
    pub fn new(max_model_len: u32) -> Self {
        let tokens = || Histogram::new(bounds::tokens_up_to(max_model_len));
        let latency = || Histogram::new(bounds::REQUEST_LATENCY.to_vec());
        Self {
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            finished: FinishReason::ALL.into_iter().map(|reason| (reason, 0)).collect(),
            request_prompt_tokens: tokens(),
            request_generation_tokens: tokens(),
            iteration_tokens: Histogram::new(bounds::ITERATION_TOKENS.to_vec()),
            time_to_first_token: Histogram::new(bounds::TIME_TO_FIRST_TOKEN.to_vec()),
            inter_token_latency: Histogram::new(bounds::TOKEN_GAP.to_vec()),
            request_time_per_output_token: Histogram::new(bounds::TOKEN_GAP.to_vec()),
            e2e_latency: latency(),
            queue_time: latency(),
            inference_time: latency(),
            prefill_time: latency(),
            decode_time: latency(),
        }
    }

    /// Counts one event.
    pub fn record(&mut self, event: &Event) {
        match event {
            Event::Admitted { prompt_tokens, cached_tokens, .. } => {
                self.prefix_queries += u64::from(*prompt_tokens);
                self.prefix_hits += u64::from(*cached_tokens);
            }
            Event::Preempted { .. } => self.preemptions += 1,
            Event::Token { completes_prompt, since_previous, .. } => {
                self.generation_tokens += 1;
                if let Some(prompt_tokens) = completes_prompt {
                    self.prompt_tokens += u64::from(*prompt_tokens);
                    self.time_to_first_token.observe(since_previous.as_secs_f64());
                } else {
                    self.inter_token_latency.observe(since_previous.as_secs_f64());
                }
            }
            Event::Finished(finished) => self.record_finished(finished),
            Event::Step { computed_tokens } => self.iteration_tokens.observe(f64::from(*computed_tokens)),
        }
    }

    fn record_finished(&mut self, finished: &Finished) {
        let Finished { id: _, reason, prompt_tokens, generated_tokens, arrived, admitted, first_token, ended } =
            *finished;
        *self.finished.entry(reason).or_default() += 1;
        self.request_prompt_tokens.observe(f64::from(prompt_tokens));
        self.request_generation_tokens.observe(f64::from(generated_tokens));
        let seconds = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64();
        self.e2e_latency.observe(seconds(arrived, ended));
        let Some(admitted) = admitted else { return };
        self.queue_time.observe(seconds(arrived, admitted));
        self.inference_time.observe(seconds(admitted, ended));
        let Some(first_token) = first_token else { return };
        self.prefill_time.observe(seconds(admitted, first_token));
        self.decode_time.observe(seconds(first_token, ended));
        if generated_tokens > 1 {
            let mean = seconds(first_token, ended) / f64::from(generated_tokens - 1);
            self.request_time_per_output_token.observe(mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_counts_below_it() {
        let mut histogram = Histogram::new(vec![1.0, 2.0]);
        for value in [1.0, 1.5, 2.0, 9.0] {
            histogram.observe(value);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1.0, 1), (2.0, 3)]);
        assert_eq!(histogram.count(), 4);
        assert!((histogram.sum() - 13.5).abs() < 1e-9);
    }

    #[test]
    fn token_bounds_stop_at_the_context_length() {
        assert_eq!(bounds::tokens_up_to(100), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(bounds::tokens_up_to(99).last(), Some(&50.0));
    }
}
