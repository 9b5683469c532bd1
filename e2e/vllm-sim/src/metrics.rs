//! `/metrics` as vLLM writes it: names, types, labels and buckets of vLLM's own exporter, in the classic Prometheus
//! text format of its Python client. (The `prometheus-client` crate writes `OpenMetrics` only, where a counter's family
//! loses its `_total`; a Prometheus that negotiates text would then store other metadata than with a real server.)

mod compat;
mod families;
mod text;

pub use self::compat::Compat;
pub use self::families::{View, families};
pub use self::text::{CONTENT_TYPE, Family, Kind, Sample, Value, write};

/// Names of the series that other parts of the program refer to.
pub mod names {
    /// Sequences in the batch.
    pub const RUNNING: &str = "vllm:num_requests_running";
    /// Sequences in the queue.
    pub const WAITING: &str = "vllm:num_requests_waiting";
    /// KV blocks in use, 0 to 1.
    pub const KV_USAGE: &str = "vllm:kv_cache_usage_perc";
    /// The name of [`KV_USAGE`] before vLLM 0.10.
    pub const KV_USAGE_OLD: &str = "vllm:gpu_cache_usage_perc";
    /// The cache's configuration, in labels.
    pub const CACHE_CONFIG: &str = "vllm:cache_config_info";
    /// Requests that ended, by reason.
    pub const SUCCESS: &str = "vllm:request_success_total";
    /// Prompt tokens processed.
    pub const PROMPT_TOKENS: &str = "vllm:prompt_tokens_total";
    /// Answer tokens generated.
    pub const GENERATION_TOKENS: &str = "vllm:generation_tokens_total";
    /// Preemptions.
    pub const PREEMPTIONS: &str = "vllm:num_preemptions_total";
    /// Prompt tokens looked up in the prefix cache.
    pub const PREFIX_QUERIES: &str = "vllm:prefix_cache_queries_total";
    /// Prompt tokens found in the prefix cache.
    pub const PREFIX_HITS: &str = "vllm:prefix_cache_hits_total";
    /// Prompt length per request.
    pub const REQUEST_PROMPT_TOKENS: &str = "vllm:request_prompt_tokens";
    /// Answer length per request.
    pub const REQUEST_GENERATION_TOKENS: &str = "vllm:request_generation_tokens";

    /// Counters whose value can be pinned.
    pub const COUNTERS: [&str; 6] =
        [SUCCESS, PROMPT_TOKENS, GENERATION_TOKENS, PREEMPTIONS, PREFIX_QUERIES, PREFIX_HITS];
    /// Histograms whose sum and count can be pinned.
    pub const PINNABLE_HISTOGRAMS: [&str; 2] = [REQUEST_PROMPT_TOKENS, REQUEST_GENERATION_TOKENS];
}
