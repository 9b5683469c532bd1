//! How fast a replica is and how much it holds.

mod measured;

use serde::{Deserialize, Serialize};
use vllm_engine::{IterationTime, LoadFactor, Settings};

pub use self::measured::{Fit, Table, Times};

/// How fast a replica is and how much it holds. An iteration that computes C tokens while R tokens are in the cache of its
/// sequences takes α + β·C + γ·R milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Server {
    /// Milliseconds of every iteration (α).
    pub alpha_ms: f64,
    /// Milliseconds per token computed (β).
    pub beta_ms: f64,
    /// Milliseconds per token held (γ).
    pub gamma_ms: f64,
    /// Tokens the KV cache holds.
    pub kv_tokens: u32,
    /// Tokens of a block of it.
    pub block_size: u32,
    /// Sequences that run at once (`--max-num-seqs`).
    pub max_num_seqs: u32,
    /// Tokens that one iteration computes (`--max-num-batched-tokens`).
    pub max_num_batched_tokens: u32,
    /// Requests that may wait; more are refused.
    pub max_num_waiting: u32,
}

impl Default for Server {
    /// An A100 with an 8 B model (see `vllm_engine::gpu`) and 80,000 tokens of KV cache: it keeps 2 s to the first token and
    /// 100 ms between tokens at 2.5 requests of 1200 and 250 tokens a second.
    fn default() -> Self {
        let IterationTime { base_ms, per_computed_token_ms, per_resident_token_ms } =
            vllm_engine::gpu::Gpu::A100.iteration_time(1);
        Self {
            alpha_ms: base_ms,
            beta_ms: per_computed_token_ms,
            gamma_ms: per_resident_token_ms,
            kv_tokens: 80_000,
            block_size: 16,
            max_num_seqs: 256,
            max_num_batched_tokens: 8192,
            max_num_waiting: 100_000,
        }
    }
}

impl Server {
    /// What the engine of a replica is made with. There are no prompts that start alike.
    pub fn engine(&self) -> Settings {
        let block_size = self.block_size.max(1);
        Settings {
            max_num_seqs: self.max_num_seqs,
            max_num_waiting: self.max_num_waiting,
            max_num_batched_tokens: self.max_num_batched_tokens,
            max_model_len: self.kv_tokens,
            num_gpu_blocks: self.kv_tokens / block_size,
            block_size,
            prefix_caching: false,
            iteration_time: IterationTime {
                base_ms: self.alpha_ms,
                per_computed_token_ms: self.beta_ms,
                per_resident_token_ms: self.gamma_ms,
            },
            load_factor: LoadFactor(1.0),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        for (field, value) in [("alphaMs", self.alpha_ms), ("betaMs", self.beta_ms), ("gammaMs", self.gamma_ms)] {
            if !value.is_finite() || value < 0.0 {
                return Err(format!("server.{field} is {value}; it has to be 0 or more"));
            }
        }
        if self.alpha_ms + self.beta_ms <= 0.0 {
            return Err("server.alphaMs and server.betaMs are both 0: an iteration takes time".to_owned());
        }
        let counts = [
            ("kvTokens", self.kv_tokens),
            ("blockSize", self.block_size),
            ("maxNumSeqs", self.max_num_seqs),
            ("maxNumBatchedTokens", self.max_num_batched_tokens),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((field, _)) => Err(format!("server.{field} is 0; it has to be at least 1")),
            None => Ok(()),
        }
    }
}
