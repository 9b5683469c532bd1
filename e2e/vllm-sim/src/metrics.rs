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

    /// The name of [`PREFIX_QUERIES`] where counters have no suffix.
    pub const PREFIX_QUERIES_UNSUFFIXED: &str = "vllm:prefix_cache_queries";
    /// The name of [`PREFIX_HITS`] where counters have no suffix.
    pub const PREFIX_HITS_UNSUFFIXED: &str = "vllm:prefix_cache_hits";
    /// Tokens per iteration; not a counter, in spite of its name.
    pub const ITERATION_TOKENS: &str = "vllm:iteration_tokens_total";
    /// Arrival to first token.
    pub const TIME_TO_FIRST_TOKEN: &str = "vllm:time_to_first_token_seconds";
    /// The name of [`INTER_TOKEN_LATENCY`] before vLLM 0.11, which exports both.
    pub const TIME_PER_OUTPUT_TOKEN: &str = "vllm:time_per_output_token_seconds";
    /// Token to next token.
    pub const INTER_TOKEN_LATENCY: &str = "vllm:inter_token_latency_seconds";
    /// Mean time per token after the first, per request.
    pub const REQUEST_TIME_PER_OUTPUT_TOKEN: &str = "vllm:request_time_per_output_token_seconds";
    /// Arrival to end.
    pub const E2E_LATENCY: &str = "vllm:e2e_request_latency_seconds";
    /// Arrival to admission.
    pub const QUEUE_TIME: &str = "vllm:request_queue_time_seconds";
    /// Admission to end.
    pub const INFERENCE_TIME: &str = "vllm:request_inference_time_seconds";
    /// Admission to first token.
    pub const PREFILL_TIME: &str = "vllm:request_prefill_time_seconds";
    /// First token to end.
    pub const DECODE_TIME: &str = "vllm:request_decode_time_seconds";

    /// Every name that may appear.
    pub const ALL: [&str; 25] = [
        RUNNING,
        WAITING,
        KV_USAGE,
        KV_USAGE_OLD,
        CACHE_CONFIG,
        PREFIX_QUERIES,
        PREFIX_QUERIES_UNSUFFIXED,
        PREFIX_HITS,
        PREFIX_HITS_UNSUFFIXED,
        PREEMPTIONS,
        PROMPT_TOKENS,
        GENERATION_TOKENS,
        SUCCESS,
        REQUEST_PROMPT_TOKENS,
        REQUEST_GENERATION_TOKENS,
        ITERATION_TOKENS,
        TIME_TO_FIRST_TOKEN,
        TIME_PER_OUTPUT_TOKEN,
        INTER_TOKEN_LATENCY,
        REQUEST_TIME_PER_OUTPUT_TOKEN,
        E2E_LATENCY,
        QUEUE_TIME,
        INFERENCE_TIME,
        PREFILL_TIME,
        DECODE_TIME,
    ];

    /// Counters whose value can be pinned.
    pub const COUNTERS: [&str; 6] =
        [SUCCESS, PROMPT_TOKENS, GENERATION_TOKENS, PREEMPTIONS, PREFIX_QUERIES, PREFIX_HITS];
    /// Histograms whose sum and count can be pinned.
    pub const PINNABLE_HISTOGRAMS: [&str; 2] = [REQUEST_PROMPT_TOKENS, REQUEST_GENERATION_TOKENS];
}
