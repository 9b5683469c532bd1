//! Where `/metrics` deviates from the current vLLM.

/// One deviation: what an older vLLM, or another simulator of it, does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Compat {
    /// `vllm:gpu_cache_usage_perc` in place of `vllm:kv_cache_usage_perc`
    OldKvName,
    /// both KV usage names
    BothKvNames,
    /// `vllm:prefix_cache_hits` and `_queries` without `_total`
    UnsuffixedPrefixCounters,
    /// `vllm:cache_config_info` with a `model_name` label
    CacheConfigModelName,
    /// only `block_size` and `num_gpu_blocks` on `vllm:cache_config_info`
    CacheConfigMinimal,
    /// no `engine` label
    NoEngineLabel,
    /// `finish_reason` in place of `finished_reason`
    FinishReasonLabel,
    /// no `vllm:request_success_total` before the first request has ended
    LazySuccess,
}
