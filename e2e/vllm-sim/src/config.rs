//! What one emulated server is: resolved once, before it starts.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::engine::{LoadFactor, Settings};
use crate::gpu::Gpu;
use crate::metrics::Compat;

/// A server's configuration. [`Config::new`] gives a server that suits tests: one H100, a free port on loopback,
/// ready at once. The command line resolves to the same type ([`crate::cli`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The model, as vLLM's `--model`.
    pub model: String,
    /// Names that requests may use; the first one labels the metrics. Never empty.
    pub served_model_names: Vec<String>,
    /// Bearer token that `/v1` requires, if any.
    pub api_key: Option<String>,
    /// The scheduler and the hardware.
    pub engine: Settings,
    /// Shown in `vllm:cache_config_info`; it has done its work when [`Settings::num_gpu_blocks`] was computed.
    pub gpu_memory_utilization: f64,
    /// Whether the number of blocks was given instead of computed; shown in `vllm:cache_config_info`.
    pub blocks_overridden: bool,
    /// Deviations of `/metrics` from the current vLLM.
    pub metrics_compat: BTreeSet<Compat>,
    /// How long loading the model takes: until then everything answers 503.
    pub startup_delay: Duration,
    /// How long running requests may go on after a stop was asked for.
    pub shutdown_grace: Duration,
    /// How long answers are.
    pub output_length: OutputLength,
    /// Length of a chat answer whose request names none, in tokens.
    pub default_output_tokens: u32,
    /// Seed of everything drawn: answer lengths, words, injected failures.
    pub seed: u64,
}

/// How the length of an answer follows from `max_tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputLength {
    /// Exactly `max_tokens`, so that load is predictable.
    Exact,
    /// Uniform from 1 to `max_tokens`, unless the request sets `ignore_eos`.
    Random,
}

/// Context length of the emulated model, unless the KV cache is smaller.
pub const MODEL_CONTEXT: u32 = 131_072;

impl Config {
    /// One H100 that serves `model` on a free loopback port, ready at once.
    pub fn new(model: impl Into<String>) -> Self {
        let model = model.into();
        let gpu = Gpu::H100;
        let num_gpu_blocks = gpu.kv_blocks(1, 0.9, 16).unwrap_or(1);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            served_model_names: vec![model.clone()],
            model,
            api_key: None,
            engine: Settings {
                max_num_seqs: 256,
                max_num_waiting: 1000,
                max_num_batched_tokens: 8192,
                max_model_len: MODEL_CONTEXT.min(num_gpu_blocks * 16),
                num_gpu_blocks,
                block_size: 16,
                prefix_caching: true,
                iteration_time: gpu.iteration_time(1),
                load_factor: LoadFactor(1.0),
            },
            gpu_memory_utilization: 0.9,
            blocks_overridden: false,
            metrics_compat: BTreeSet::new(),
            startup_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(20),
            output_length: OutputLength::Exact,
            default_output_tokens: 128,
            seed: 0,
        }
    }

    /// The name that labels the metrics.
    pub fn served_model_name(&self) -> &str {
        self.served_model_names.first().unwrap_or(&self.model)
    }
}
