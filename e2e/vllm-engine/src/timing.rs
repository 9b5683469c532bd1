//! How long an iteration takes.

use std::time::Duration;

/// Three coefficients: an iteration that computes `C` tokens while `R` tokens are resident in the cache of its
/// sequences takes `base + C · per_computed_token + R · per_resident_token`. The first is the time to read the
/// weights, the second that of the arithmetic, the third that of reading the cache.
///
/// With the H100 profile (6.97 ms, 0.027 ms, 0.0003 ms) a lone prompt of 512 tokens takes
/// 6.97 + 512·(0.027 + 0.0003) = 20.9476 ms, and the second token of its answer 6.97 + 0.027 + 513·0.0003 = 7.1509 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IterationTime {
    /// Milliseconds of an iteration that does nothing.
    pub base_ms: f64,
    /// Milliseconds per token computed.
    pub per_computed_token_ms: f64,
    /// Milliseconds per token resident.
    pub per_resident_token_ms: f64,
}

/// Stretches iterations as the slots fill: 1 with one sequence running, the given factor with all slots taken, linear
/// between. Comes on top of what more tokens cost anyway.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadFactor(pub f64);

// === impl IterationTime ===

impl IterationTime {
    /// Time of an iteration that computes `computed_tokens` over `resident_tokens`.
    pub fn of(&self, computed_tokens: u32, resident_tokens: u32) -> Duration {
        let ms = self.base_ms
            + f64::from(computed_tokens) * self.per_computed_token_ms
            + f64::from(resident_tokens) * self.per_resident_token_ms;
        Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::ZERO)
    }

    /// The same hardware, `factor` times faster.
    #[must_use]
    pub fn faster(self, factor: f64) -> Self {
        Self {
            base_ms: self.base_ms / factor,
            per_computed_token_ms: self.per_computed_token_ms / factor,
            per_resident_token_ms: self.per_resident_token_ms / factor,
        }
    }
}

// === impl LoadFactor ===

impl LoadFactor {
    /// The factor with `running` of `slots` taken.
    pub fn at(self, running: u32, slots: u32) -> f64 {
        if slots <= 1 || running <= 1 {
            return 1.0;
        }
        1.0 + (self.0 - 1.0) * f64::from(running - 1) / f64::from(slots - 1)
    }
}
