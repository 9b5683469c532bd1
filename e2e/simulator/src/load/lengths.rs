//! Lengths of prompts and answers.

use serde::{Deserialize, Serialize};

use super::random::Random;
use crate::number::ceil;

/// Lengths of prompts and answers, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lengths {
    /// Of prompts.
    pub prompt: Length,
    /// Of answers.
    pub output: Length,
}

impl Default for Lengths {
    /// Prompts of 1200 and answers of 250 tokens on average, with standard deviations of half as much.
    fn default() -> Self {
        Self { prompt: Length { mean: 1200.0, cv: 0.5 }, output: Length { mean: 250.0, cv: 0.5 } }
    }
}

/// A length that differs from request to request: Gamma with this mean, never below one token nor above twenty times the
/// mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Length {
    /// Mean, in tokens.
    pub mean: f64,
    /// Standard deviation over mean; 0 gives every request the same.
    #[serde(default)]
    pub cv: f64,
}

impl Lengths {
    /// Every request alike.
    pub fn fixed(prompt: u32, output: u32) -> Self {
        let fixed = |tokens: u32| Length { mean: f64::from(tokens), cv: 0.0 };
        Self { prompt: fixed(prompt), output: fixed(output) }
    }

    /// Prompt and answer of one request.
    pub(crate) fn draw(&self, random: &mut Random) -> (u32, u32) {
        (self.prompt.draw(random), self.output.draw(random))
    }
}

impl Length {
    fn draw(self, random: &mut Random) -> u32 {
        let Self { mean, cv } = self;
        let factor = if cv > 0.0 { random.gamma(1.0 / (cv * cv)).min(20.0) } else { 1.0 };
        ceil((mean * factor).round()).max(1)
    }
}
