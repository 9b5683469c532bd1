//! The `saturation` analyzer: how many tokens does a model need room for, and how many do its replicas have room for?
//!
//! [`analyze`] finds what a replica of each variant can hold at once: the lesser of what fits into its KV cache and of what
//! it can compute, the latter learnt from replicas whose queues are full. Demand is tokens in use and tokens that wait.
//! [`optimize`] turns what is short, or to spare, into replicas, cheapest capacity first. What is learnt is kept in
//! [`Capacities`], by model, accelerator, GPUs and the arguments the servers are started with.
//!
//! Token counts are whole numbers (`i64`), truncated towards zero; sums run over variants by name and pods by name.

mod analyze;
mod capacities;
mod optimize;

use serde::{Deserialize, Serialize};

pub use self::analyze::{Analysed, AtGateway, analyze, median};
pub use self::capacities::{AnswerLength, Capacities, LiveCapacity, ReplicaKind, Ring};
pub use self::optimize::{Candidate, optimize};
use crate::vllm::ServerArguments;

/// How far single observations are trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guards {
    /// Share of what a replica's KV cache holds (or its arguments let it compute) below which an observation of its
    /// computing capacity does not count: a burst that reaches a nearly empty replica fills its queue long before its
    /// cache, and what is in use at that moment says nothing.
    pub least_observed: f64,
    /// Whether observations are remembered: not while replicas come and go.
    pub learn: bool,
}

impl Guards {
    /// As the Go controller, which trusts every observation.
    pub const NONE: Self = Self { least_observed: 0.0, learn: true };
    /// Of a model that is settled.
    pub const SETTLED: Self = Self { least_observed: 0.25, learn: true };
    /// Of a model with a change under way.
    pub const UNSETTLED: Self = Self { least_observed: 0.25, learn: false };
}

/// One variant, as the analyzer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantLoad<'a> {
    /// Its name.
    pub variant: &'a str,
    /// Its accelerator.
    pub accelerator: &'a str,
    /// GPUs of a replica.
    pub gpus_per_replica: u32,
    /// How its servers are started, if that is known.
    pub server: Option<&'a ServerArguments>,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
    /// Its replicas that report, in any order.
    pub replicas: Vec<ReplicaLoad<'a>>,
}

/// One replica, as the analyzer sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplicaLoad<'a> {
    /// Its pod.
    pub pod: &'a str,
    /// Engines in it, each with batches and a queue of its own; 0 counts as 1.
    pub engines: u32,
    /// Tokens its KV cache holds; one that holds none is passed over.
    pub kv_tokens: i64,
    /// Of these, tokens in use.
    pub tokens_in_use: i64,
    /// Requests that wait.
    pub queue_length: i64,
    /// Average tokens of a prompt; 0 when not known.
    pub avg_input: f64,
    /// Average tokens of an answer; 0 when not known.
    pub avg_output: f64,
}

/// What the analyzer found for one model, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// What the ready replicas have room for.
    pub supply: i64,
    /// What they have room for together with those on their way.
    pub anticipated: i64,
    /// What is in use and waits.
    pub demand: i64,
    /// Capacity that is missing.
    pub required: f64,
    /// Capacity that is not needed.
    pub spare: f64,
    /// The variants, by name.
    pub variants: Vec<VariantCapacity>,
}

/// What the analyzer found for one variant, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantCapacity {
    /// Its name.
    pub variant: String,
    /// What one replica has room for; 0 when that is not known.
    pub per_replica: i64,
    /// What is in use and waits.
    pub demand: i64,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
    /// Demand as a share of what the ready replicas have room for; 0 without such room.
    pub utilization: f64,
}
