//! How a model's need is found.

use serde::{Deserialize, Serialize};

/// How a model's need is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Analyzer {
    /// By KV-cache and queue thresholds: the [`threshold`](crate::threshold) analyzer (V1).
    #[default]
    Threshold,
    /// By tokens in use and token capacity: the `saturation` analyzer (V2).
    Saturation(TokenThresholds),
}

/// How many replicas a model that is short gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScaleUpPolicy {
    /// What its analyzer asks for: one, with thresholds.
    #[default]
    Step,
    /// As many as what arrives and waits needs, in one decision.
    Demand,
}

/// Shares of a model's capacity between which it is left alone, by the `saturation` analyzer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenThresholds {
    /// Grow when demand is above this share of the capacity there is and that is on its way; above 0, up to 1.
    pub scale_up_threshold: f64,
    /// Shrink when demand stays below this share of the capacity that would remain; below the other one.
    pub scale_down_boundary: f64,
}

impl Default for TokenThresholds {
    /// 0.85 and 0.70.
    fn default() -> Self {
        Self { scale_up_threshold: 0.85, scale_down_boundary: 0.70 }
    }
}
