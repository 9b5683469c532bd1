//! The flags that have an effect. Each is also read from `VLLM_SIM_<FLAG>`.

use std::time::Duration;

use clap::builder::BoolishValueParser;

use crate::config::OutputLength;
use crate::duration;
use crate::gpu::Gpu;
use crate::metrics::Compat;

/// An emulated GPU vLLM server.
///
/// Speaks vLLM's HTTP API and exports vLLM's metrics, without a GPU or a model. vLLM flags that change nothing here
/// (--dtype, --trust-remote-code, …) are accepted and ignored.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "vllm-sim", version, override_usage = "vllm-sim [serve MODEL] [OPTIONS]")]
pub struct Args {
    /// Model to serve, as in `vllm serve MODEL`
    #[arg(value_name = "MODEL")]
    pub model_tag: Option<String>,

    /// Model to serve
    #[arg(long, env = "VLLM_SIM_MODEL", value_name = "MODEL", help_heading = "vLLM")]
    pub model: Option<String>,

    /// Names under which the model is served; the first one labels the metrics [default: the model]
    #[arg(long, env = "VLLM_SIM_SERVED_MODEL_NAME", value_name = "NAME", num_args = 1.., value_delimiter = ',', help_heading = "vLLM")]
    pub served_model_name: Vec<String>,

    /// Address to listen on; the environment variable `BIND_HOST` stands in for a wildcard
    #[arg(long, env = "VLLM_SIM_HOST", default_value = "0.0.0.0", value_name = "ADDRESS", help_heading = "vLLM")]
    pub host: String,

    /// Port to listen on
    #[arg(long, env = "VLLM_SIM_PORT", default_value_t = 8000, help_heading = "vLLM")]
    pub port: u16,

    /// Bearer token that requests to /v1 must carry
    #[arg(long, env = "VLLM_SIM_API_KEY", value_name = "KEY", hide_env_values = true, help_heading = "vLLM")]
    pub api_key: Option<String>,

    /// Sequences that run at once
    #[arg(long, env = "VLLM_SIM_MAX_NUM_SEQS", default_value_t = 256, value_name = "N", help_heading = "vLLM")]
    pub max_num_seqs: u32,

    /// Tokens that one iteration computes at most
    #[arg(
        long,
        env = "VLLM_SIM_MAX_NUM_BATCHED_TOKENS",
        default_value_t = 8192,
        value_name = "N",
        help_heading = "vLLM"
    )]
    pub max_num_batched_tokens: u32,

    /// Prompt and answer together, in tokens [default: 131072, or what the KV cache holds]
    #[arg(long, env = "VLLM_SIM_MAX_MODEL_LEN", value_name = "N", help_heading = "vLLM")]
    pub max_model_len: Option<u32>,

    /// Blocks of the KV cache [default: what the GPU's memory leaves]
    #[arg(
        long,
        alias = "num-gpu-blocks-override",
        env = "VLLM_SIM_NUM_GPU_BLOCKS",
        value_name = "N",
        help_heading = "vLLM"
    )]
    pub num_gpu_blocks: Option<u32>,

    /// Tokens in a KV block
    #[arg(long, env = "VLLM_SIM_BLOCK_SIZE", default_value_t = 16, value_name = "N", help_heading = "vLLM")]
    pub block_size: u32,

    /// Fraction of the GPU's memory in use
    #[arg(
        long,
        env = "VLLM_SIM_GPU_MEMORY_UTILIZATION",
        default_value_t = 0.9,
        value_name = "FRACTION",
        help_heading = "vLLM"
    )]
    pub gpu_memory_utilization: f64,

    /// GPUs that share the model, each adding memory and speed
    #[arg(
        long,
        env = "VLLM_SIM_TENSOR_PARALLEL_SIZE",
        short_alias = 't',
        default_value_t = 1,
        value_name = "N",
        help_heading = "vLLM"
    )]
    pub tensor_parallel_size: u32,

    /// Reuse the KV blocks of prompts that start alike (the default)
    #[arg(long, overrides_with = "no_enable_prefix_caching", help_heading = "vLLM")]
    pub enable_prefix_caching: bool,

    /// Compute every prompt in full
    #[arg(
        long,
        env = "VLLM_SIM_NO_ENABLE_PREFIX_CACHING", value_parser = BoolishValueParser::new(),
        overrides_with = "enable_prefix_caching",
        help_heading = "vLLM"
    )]
    pub no_enable_prefix_caching: bool,

    /// GPU to emulate
    #[arg(
        long,
        env = "VLLM_SIM_GPU",
        value_enum,
        default_value = "H100",
        ignore_case = true,
        help_heading = "Emulation"
    )]
    pub gpu: Gpu,

    /// Requests that may wait for a slot; more are refused with 429
    #[arg(
        long,
        env = "VLLM_SIM_MAX_NUM_WAITING",
        default_value_t = 1000,
        value_name = "N",
        help_heading = "Emulation"
    )]
    pub max_num_waiting: u32,

    /// How much longer iterations take with all slots taken
    #[arg(
        long,
        env = "VLLM_SIM_TIME_FACTOR_UNDER_LOAD",
        default_value_t = 1.0,
        value_name = "FACTOR",
        help_heading = "Emulation"
    )]
    pub time_factor_under_load: f64,

    /// Time until the model is loaded and requests are taken
    #[arg(long, env = "VLLM_SIM_STARTUP_DELAY", default_value = "5s", value_parser = duration::parse, value_name = "DURATION", help_heading = "Emulation")]
    pub startup_delay: Duration,

    /// How long running requests may go on after SIGTERM
    #[arg(long, env = "VLLM_SIM_SHUTDOWN_GRACE", default_value = "20s", value_parser = duration::parse, value_name = "DURATION", help_heading = "Emulation")]
    pub shutdown_grace: Duration,

    /// Whether answers have exactly `max_tokens` tokens, or a random number up to it
    #[arg(long, env = "VLLM_SIM_OUTPUT_LENGTH", value_enum, default_value = "exact", help_heading = "Emulation")]
    pub output_length: OutputLength,

    /// Length of a chat answer whose request sets no limit, in tokens
    #[arg(
        long,
        env = "VLLM_SIM_DEFAULT_OUTPUT_TOKENS",
        default_value_t = 128,
        value_name = "N",
        help_heading = "Emulation"
    )]
    pub default_output_tokens: u32,

    /// Seed of everything random
    #[arg(long, env = "VLLM_SIM_SEED", default_value_t = 0, help_heading = "Emulation")]
    pub seed: u64,

    /// Emulate a GPU that is FACTOR times faster, start-up included
    #[arg(long, env = "VLLM_SIM_SPEED", default_value_t = 1.0, value_name = "FACTOR", help_heading = "Emulation")]
    pub speed: f64,

    /// Deviations of /metrics from the current vLLM, comma-separated
    #[arg(
        long,
        env = "VLLM_SIM_METRICS_COMPAT",
        value_enum,
        value_delimiter = ',',
        value_name = "NAME",
        help_heading = "Emulation"
    )]
    pub metrics_compat: Vec<Compat>,

    /// Ignore unknown flags, with a warning, instead of refusing them
    #[arg(long, env = "VLLM_SIM_ALLOW_UNKNOWN_FLAGS", value_parser = BoolishValueParser::new(), help_heading = "Emulation")]
    pub allow_unknown_flags: bool,
}
