//! A small seeded random number generator for those who make requests up, so that a run can be repeated.

/// `SplitMix64`: 64 bits of state, good enough to draw answer lengths and failures.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator that begins here.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform over all numbers.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`.
    pub fn next_fraction(&mut self) -> f64 {
        let high = u32::try_from(self.next_u64() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    /// Uniform in `1..=max`; 1 when `max` is 0.
    pub fn between_one_and(&mut self, max: u32) -> u32 {
        let drawn = self.next_u64() % u64::from(max.max(1));
        u32::try_from(drawn).unwrap_or(0) + 1
    }
}

/// The finaliser of `SplitMix64`: spreads close numbers far apart.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
