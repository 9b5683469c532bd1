//! What the proactive mode knows of servers and promises.

use serde::{Deserialize, Serialize};

/// Scaling ahead of saturation: how fast the servers are and what was promised to their users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Proactive {
    /// Share of the rate a replica can take within its promises that is planned with, above 0 and up to 1.
    pub headroom: f64,
    /// How fast a model is on an accelerator; of several entries for the same pair, the first counts.
    pub profiles: Vec<Profile>,
    /// What was promised, by model; of several entries for the same model, the first counts.
    pub slos: Vec<Slo>,
}

impl Default for Proactive {
    fn default() -> Self {
        Self { headroom: 0.85, profiles: Vec::new(), slos: Vec::new() }
    }
}

/// Service times of a model on an accelerator: an iteration with `n` requests of I input and O output tokens takes
/// α + n·(β·(I + O)/(O + 1) + γ·(I + O/2)) milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Model name, as in [`ModelKey`](crate::ModelKey).
    pub model_id: String,
    /// Accelerator, in any spelling of its [type](crate::accelerator::type_of).
    pub accelerator: String,
    /// Milliseconds of every iteration.
    pub alpha: f32,
    /// Milliseconds per token computed in an iteration.
    pub beta: f32,
    /// Milliseconds per token held in memory during an iteration.
    pub gamma: f32,
}

/// What was promised to the users of a model; `None` promises nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// Model name, as in [`ModelKey`](crate::ModelKey), in all namespaces.
    pub model_id: String,
    /// Time to the first token, in milliseconds.
    pub ttft_ms: Option<f32>,
    /// Time between two tokens, in milliseconds.
    pub itl_ms: Option<f32>,
}
