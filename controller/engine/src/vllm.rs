//! How a vLLM server is started, read from its container, and the capacity that follows from it.

mod words;

use serde::{Deserialize, Serialize};

use self::words::commands;
use crate::number::{float, truncate};

/// Tokens an iteration may batch when the server is not told, with the V1 engine and without it.
const BATCHED_TOKENS: i64 = 8192;
const BATCHED_TOKENS_OF_OLD_ENGINE: i64 = 2048;

/// The arguments of a vLLM server that decide its capacity, with vLLM's defaults where they are not given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerArguments {
    /// `--gpu-memory-utilization`.
    pub gpu_memory_utilization: f64,
    /// `--block-size`: tokens per block of the KV cache.
    pub block_size: i64,
    /// `--kv-cache-dtype`.
    pub kv_cache_dtype: String,
    /// `--tensor-parallel-size`: GPUs one replica spreads over.
    pub tensor_parallel_size: i64,
    /// `--max-num-seqs`: requests in one iteration.
    pub max_num_seqs: i64,
    /// `--num-gpu-blocks-override`; 0 when not given.
    pub num_gpu_blocks_override: i64,
    /// `--max-num-batched-tokens`; 0 when not given.
    pub max_num_batched_tokens: i64,
    /// `--max-model-len`; 0 when not given.
    pub max_model_len: i64,
    /// `--enforce-eager`.
    pub enforce_eager: bool,
    /// Whether the V1 engine runs: unless `VLLM_USE_V1` is `0`.
    pub v1_engine: bool,
    /// Whether prompts are computed in chunks: always with the V1 engine.
    pub chunked_prefill: bool,
}

impl Default for ServerArguments {
    fn default() -> Self {
        Self {
            gpu_memory_utilization: 0.9,
            block_size: 16,
            kv_cache_dtype: "auto".to_owned(),
            tensor_parallel_size: 1,
            max_num_seqs: 256,
            num_gpu_blocks_override: 0,
            max_num_batched_tokens: 0,
            max_model_len: 0,
            enforce_eager: false,
            v1_engine: true,
            chunked_prefill: true,
        }
    }
}

/// What a container of a pod template says of the process in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Container<'a> {
    /// `command`.
    pub command: &'a [String],
    /// `args`.
    pub args: &'a [String],
    /// Environment variables with a literal value.
    pub env: &'a [(String, String)],
}

impl ServerArguments {
    /// Reads the containers of a pod template in order; what a later one says overrides an earlier one. Arguments that
    /// are not known, or whose value is not a number where one is needed, change nothing.
    pub fn of_containers<'a>(containers: impl IntoIterator<Item = Container<'a>>) -> Self {
        let mut read = Self::default();
        for Container { command, args, env } in containers {
            if env.iter().any(|(name, value)| name == "VLLM_USE_V1" && value == "0") {
                (read.v1_engine, read.chunked_prefill) = (false, false);
            }
            for words in commands(command, args) {
                read.read(&words);
            }
        }
        read.chunked_prefill |= read.v1_engine;
        read
    }

    fn read(&mut self, words: &[String]) {
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                continue;
            }
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, value),
                None => (word.as_str(), words.next_if(|next| !next.starts_with("--")).map_or("", String::as_str)),
            };
            self.set(&key.trim_start_matches('-').replace('-', "_"), value);
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let number = |field: &mut i64| *field = value.parse().unwrap_or(*field);
        match key {
            "gpu_memory_utilization" => {
                self.gpu_memory_utilization = value.parse().unwrap_or(self.gpu_memory_utilization);
            }
            "block_size" => number(&mut self.block_size),
            "num_gpu_blocks_override" => number(&mut self.num_gpu_blocks_override),
            "max_num_batched_tokens" => number(&mut self.max_num_batched_tokens),
            "max_num_seqs" => number(&mut self.max_num_seqs),
            "max_model_len" => number(&mut self.max_model_len),
            "tensor_parallel_size" => number(&mut self.tensor_parallel_size),
            "kv_cache_dtype" => value.clone_into(&mut self.kv_cache_dtype),
            "enforce_eager" => self.enforce_eager = true,
            "enable_chunked_prefill" => self.chunked_prefill = true,
            _ => {}
        }
    }

    /// Tokens one iteration may batch: `--max-num-batched-tokens`, or what vLLM takes when that is not given.
    pub fn batched_tokens(&self) -> i64 {
        if self.max_num_batched_tokens > 0 {
            self.max_num_batched_tokens
        } else if self.chunked_prefill && self.v1_engine {
            BATCHED_TOKENS
        } else if self.chunked_prefill {
            BATCHED_TOKENS_OF_OLD_ENGINE
        } else {
            self.max_model_len.max(BATCHED_TOKENS_OF_OLD_ENGINE)
        }
    }

    /// Whether servers started with these and with the other arguments have the same capacity on the same GPUs.
    pub fn same_capacity(&self, other: &Self) -> bool {
        let Self {
            gpu_memory_utilization,
            block_size,
            kv_cache_dtype,
            tensor_parallel_size,
            num_gpu_blocks_override,
            max_num_seqs: _,
            max_num_batched_tokens: _,
            max_model_len: _,
            enforce_eager: _,
            v1_engine: _,
            chunked_prefill: _,
        } = self;
        gpu_memory_utilization.total_cmp(&other.gpu_memory_utilization).is_eq()
            && *block_size == other.block_size
            && *kv_cache_dtype == other.kv_cache_dtype
            && *tensor_parallel_size == other.tensor_parallel_size
            && *num_gpu_blocks_override == other.num_gpu_blocks_override
            && self.batched_tokens() == other.batched_tokens()
    }

    /// Tokens the KV cache holds if `--num-gpu-blocks-override` fixes it.
    pub fn fixed_kv_capacity(&self) -> Option<i64> {
        let given = self.num_gpu_blocks_override > 0 && self.block_size > 0;
        given.then(|| self.num_gpu_blocks_override.saturating_mul(self.block_size))
    }

    /// Tokens the server can hold in work at once when prompts have `input` tokens and answers `output`: the requests
    /// that fit into a batch, n = min(B·O / (I + O), S), each of which holds I + O/2 tokens on average. `None` when the
    /// lengths say nothing.
    ///
    /// With B = 4096, S = 256, I = 500 and O = 100: n = min(682.7, 256) = 256 requests of 550 tokens are 140,800.
    pub fn derived_capacity(&self, input: f64, output: f64) -> Option<i64> {
        let batched = self.batched_tokens();
        if batched <= 0 || output.is_nan() || output <= 0.0 {
            return None;
        }
        let requests = (float(batched) * output / (input + output)).min(float(self.max_num_seqs));
        Some(truncate(requests * (input + output / 2.0))).filter(|tokens| *tokens > 0)
    }
}
