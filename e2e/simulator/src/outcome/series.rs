//! How things went from second to second.

use serde::{Deserialize, Serialize};

/// How things were in one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Second {
    /// Requests per second to be expected.
    pub rate: f64,
    /// Replicas that this rate needs.
    pub needed: u32,
    /// Replicas asked for, by variant.
    pub spec: Vec<u32>,
    /// Replicas that serve, by variant.
    pub ready: Vec<u32>,
    /// Requests that wait, in front of servers and in them.
    pub waiting: u32,
    /// Requests that servers work on.
    pub running: u32,
    /// Used share of the fullest KV cache.
    pub kv_usage: f64,
    /// Cost so far.
    pub cost: f64,
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// When, in seconds.
    pub at: f64,
    /// Replicas wanted, by variant.
    pub wanted: Vec<u32>,
    /// Whether a replica was saturated when it was last scraped.
    pub saturated: bool,
    /// Why, by variant; empty when that was not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}
