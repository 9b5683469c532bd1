//! Metrics the controller publishes for others, and the series it reads from vLLM servers.

/// Gauge: replicas the controller wants for a variant. An HPA or KEDA follows it.
pub const DESIRED_REPLICAS: &str = "wva_desired_replicas";
/// Gauge: replicas the variant's target reports.
pub const CURRENT_REPLICAS: &str = "wva_current_replicas";
/// Gauge: desired divided by current; the desired number itself when current is 0.
pub const DESIRED_RATIO: &str = "wva_desired_ratio";
/// Gauge: 1 for a variant that somebody has paused; absent for others.
pub const VARIANT_PAUSED: &str = "wva_variant_paused";
/// Counter: changes of the published target, by direction and reason.
pub const REPLICA_SCALING_TOTAL: &str = "wva_replica_scaling_total";

/// Label: name of the `VariantAutoscaling`.
pub const LABEL_VARIANT_NAME: &str = "variant_name";
/// Label: namespace of the `VariantAutoscaling`, as the controller writes it.
pub const LABEL_NAMESPACE: &str = "namespace";
/// Label: the same namespace after a Prometheus scrape without `honorLabels`.
pub const LABEL_EXPORTED_NAMESPACE: &str = "exported_namespace";
/// Label: accelerator of the variant.
pub const LABEL_ACCELERATOR_TYPE: &str = "accelerator_type";
/// Label: id of the controller instance; absent without an id.
pub const LABEL_CONTROLLER_INSTANCE: &str = "controller_instance";
/// Label of [`REPLICA_SCALING_TOTAL`]: `up` or `down`.
pub const LABEL_DIRECTION: &str = "direction";
/// Label of [`REPLICA_SCALING_TOTAL`]: class of the decision's reason.
pub const LABEL_REASON: &str = "reason";

/// vLLM gauge: used share of the KV cache, 0 to 1.
pub const VLLM_KV_CACHE_USAGE: &str = "vllm:kv_cache_usage_perc";
/// vLLM gauge: the same under the name used before vLLM's V1 engine.
pub const VLLM_KV_CACHE_USAGE_OLD: &str = "vllm:gpu_cache_usage_perc";
/// vLLM gauge: requests waiting for a slot.
pub const VLLM_REQUESTS_WAITING: &str = "vllm:num_requests_waiting";
/// vLLM gauge: requests being computed.
pub const VLLM_REQUESTS_RUNNING: &str = "vllm:num_requests_running";
/// vLLM gauge: size of the KV cache, in its labels `num_gpu_blocks` and `block_size`.
pub const VLLM_CACHE_CONFIG_INFO: &str = "vllm:cache_config_info";
/// vLLM histogram: tokens of prompts.
pub const VLLM_REQUEST_PROMPT_TOKENS: &str = "vllm:request_prompt_tokens";
/// vLLM histogram: tokens of answers.
pub const VLLM_REQUEST_GENERATION_TOKENS: &str = "vllm:request_generation_tokens";
/// vLLM counter: requests completed.
pub const VLLM_REQUEST_SUCCESS_TOTAL: &str = "vllm:request_success_total";
/// Histogram of seconds to the first token.
pub const VLLM_TIME_TO_FIRST_TOKEN: &str = "vllm:time_to_first_token_seconds";
/// Histogram of seconds between two tokens.
pub const VLLM_INTER_TOKEN_LATENCY: &str = "vllm:inter_token_latency_seconds";
/// The same under the name that older servers give it.
pub const VLLM_TIME_PER_OUTPUT_TOKEN: &str = "vllm:time_per_output_token_seconds";
