//! Draws: a seed and a purpose give the same numbers again, whatever else is drawn.

use vllm_engine::rng::{Rng, mix};

/// A generator for one purpose.
#[derive(Clone, Debug)]
pub(crate) struct Random(Rng);

impl Random {
    /// The generator of a run for one purpose.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let purpose = purpose
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Self(Rng::new(mix(seed.wrapping_add(1)) ^ purpose))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0.next_fraction()
    }

    /// Exponential with a mean of 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.fraction()).ln()
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Gamma with this shape and a mean of 1 (Marsaglia and Tsang; below 1 by the power of a uniform).
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        self.gamma_of(shape) / shape
    }

    fn gamma_of(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let lift = (1.0 - self.fraction()).powf(1.0 / shape);
            return self.gamma_of(shape + 1.0) * lift;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.fraction()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::float;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let drawn: Vec<f64> = (0..200_000).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / float(drawn.len());
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / float(drawn.len());
        (mean, variance)
    }

    #[test]
    fn draws_have_the_moments_of_their_distribution() {
        let mut random = Random::new(7, "test");
        let close = |(mean, variance): (f64, f64), (m, v): (f64, f64)| {
            assert!((mean - m).abs() < 0.02 && (variance - v).abs() < 0.05, "{mean} {variance}, not {m} {v}");
        };
        close(moments(|| random.exponential()), (1.0, 1.0));
        close(moments(|| random.normal()), (0.0, 1.0));
        close(moments(|| random.gamma(4.0)), (1.0, 0.25));
        close(moments(|| random.gamma(0.5)), (1.0, 2.0));
    }

    #[test]
    fn purposes_do_not_disturb_each_other() {
        let first = |seed, purpose| Random::new(seed, purpose).fraction().to_bits();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }
}
