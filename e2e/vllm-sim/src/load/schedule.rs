//! When an open loop sends: arrival times as pure functions of a shape.

use std::sync::Arc;
use std::time::Duration;

use super::Shape;
use super::trace::{Arrival, Trace};
use crate::rng::Rng;

/// A request in eleven days; slower ones would overflow the gap between two.
const MIN_RATE: f64 = 1e-6;
/// Beyond this the generator itself could not keep up, and would send without ever looking at its handle.
const MAX_RATE: f64 = 10_000.0;

/// The arrivals of a shape, in order; times count from its begin. Endless but for a trace and a ramp down to nothing.
#[derive(Debug)]
pub(super) struct Schedule {
    kind: Kind,
    sent: u32,
}

#[derive(Debug)]
enum Kind {
    Even { gap: Duration, next: Duration },
    Poisson { rate: f64, next: f64, rng: Rng },
    Ramp { from: f64, to: f64, over: f64 },
    Bursts { size: u32, every: Duration },
    Trace(Arc<Trace>),
}

impl Schedule {
    /// `None` for a shape that is no open loop, or sends nothing.
    pub(super) fn new(shape: &Shape) -> Option<Self> {
        let positive = |rate: f64| (rate > 0.0).then(|| rate.clamp(MIN_RATE, MAX_RATE));
        let kind = match shape {
            Shape::Pause | Shape::Concurrency { .. } => return None,
            Shape::Rate { per_second } => {
                Kind::Even { gap: Duration::from_secs_f64(1.0 / positive(*per_second)?), next: Duration::ZERO }
            }
            Shape::Poisson { per_second, seed } => {
                Kind::Poisson { rate: positive(*per_second)?, next: 0.0, rng: Rng::new(*seed) }
            }
            Shape::Ramp { from, to, over } => {
                let bounded = |rate: f64| if rate > 0.0 { rate.min(MAX_RATE) } else { 0.0 };
                // Over no time at all the second rate holds from the beginning.
                let over = over.as_secs_f64().max(f64::EPSILON);
                Kind::Ramp { from: bounded(*from), to: bounded(*to), over }
            }
            Shape::Bursts { size, every } => {
                let every = (*every).max(Duration::from_millis(1));
                Kind::Bursts { size: (*size > 0).then_some(*size)?, every }
            }
            Shape::Trace(trace) => Kind::Trace(Arc::clone(trace)),
        };
        Some(Self { kind, sent: 0 })
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let number = self.sent;
        self.sent = self.sent.checked_add(1)?;
        let at = match &mut self.kind {
            Kind::Even { gap, next } => {
                let at = *next;
                *next += *gap;
                at
            }
            Kind::Poisson { rate, next, rng } => {
                // Gaps of a Poisson process are exponential: the inverse of its distribution at a uniform number.
                *next -= (1.0 - rng.next_fraction()).ln() / *rate;
                Duration::from_secs_f64(*next)
            }
            Kind::Ramp { from, to, over } => ramp(*from, *to, *over, f64::from(number))?,
            Kind::Bursts { size, every } => *every * (number / *size),
            Kind::Trace(trace) => return trace.arrivals().get(usize::try_from(number).ok()?).copied(),
        };
        Some(Arrival { at, prompt_tokens: None, max_tokens: None })
    }
}

/// When a rate that grows from `from` to `to` within `over` seconds, and then stays, has brought `number` requests: the time
/// at which its integral, from·t + (to − from)·t² / (2·over), is `number`.
fn ramp(from: f64, to: f64, over: f64, number: f64) -> Option<Duration> {
    let by_the_end = f64::midpoint(from, to) * over;
    let seconds = if number > by_the_end {
        (to > 0.0).then(|| over + (number - by_the_end) / to)?
    } else {
        // 2·number / (from + √(from² + 2·slope·number)): the usual solution, written so that a slope of 0 does not divide.
        let slope = (to - from) / over;
        let root = (from.powi(2) + 2.0 * slope * number).max(0.0).sqrt();
        if number == 0.0 { 0.0 } else { 2.0 * number / (from + root) }
    };
    // A rate near 0 gives times beyond any test's end.
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn seconds(shape: &Shape, count: usize) -> Vec<f64> {
        let arrivals = Schedule::new(shape).into_iter().flatten().take(count);
        arrivals.map(|arrival| (arrival.at.as_secs_f64() * 1000.0).round() / 1000.0).collect()
    }

    fn ramp(from: f64, to: f64, seconds: u64) -> Shape {
        Shape::Ramp { from, to, over: Duration::from_secs(seconds) }
    }

    #[rstest]
    #[case::even(Shape::Rate { per_second: 2.0 }, &[0.0, 0.5, 1.0, 1.5])]
    // 0.5·t² = n
    #[case::growing(ramp(0.0, 4.0, 4), &[0.0, 1.414, 2.0, 2.449])]
    #[case::constant(ramp(2.0, 2.0, 4), &[0.0, 0.5, 1.0, 1.5])]
    // Four seconds bring 4 requests; then one a second... at the rate it has reached.
    #[case::after_the_ramp(ramp(0.0, 2.0, 2), &[0.0, 1.414, 2.0, 2.5])]
    #[case::down_to_nothing(ramp(2.0, 0.0, 2), &[0.0, 0.586, 2.0])]
    #[case::bursts(Shape::Bursts { size: 2, every: Duration::from_secs(5) }, &[0.0, 0.0, 5.0, 5.0])]
    #[case::pause(Shape::Pause, &[])]
    #[case::no_rate(Shape::Rate { per_second: 0.0 }, &[])]
    #[case::no_burst(Shape::Bursts { size: 0, every: Duration::from_secs(5) }, &[])]
    fn arrivals_follow_the_shape(#[case] shape: Shape, #[case] expect: &[f64]) {
        assert_eq!(seconds(&shape, 4), expect);
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_an_exponential_gap_and_can_be_repeated() {
        let shape = Shape::Poisson { per_second: 10.0, seed: 7 };
        let times = seconds(&shape, 20_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / 19_999.0;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 19_999.0).sqrt();
        assert!((0.097..0.103).contains(&mean) && (0.095..0.105).contains(&deviation), "{mean} {deviation}");
        assert_eq!(times, seconds(&shape, 20_000));
    }

    #[test]
    fn a_trace_is_sent_as_it_was_recorded_and_then_ends() {
        let trace: Trace = "0.5,100,20\n1.25,8,300\n".parse().unwrap();
        let arrivals: Vec<Arrival> = Schedule::new(&Shape::Trace(Arc::new(trace))).unwrap().collect();
        let expect = |millis, prompt, output| Arrival {
            at: Duration::from_millis(millis),
            prompt_tokens: Some(prompt),
            max_tokens: Some(output),
        };
        assert_eq!(arrivals, [expect(500, 100, 20), expect(1250, 8, 300)]);
    }
}
