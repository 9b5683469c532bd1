use rstest::rstest;
use serde_json::json;
use vllm_sim::metrics::{Compat, names};

use crate::support::{MODEL, quick, sample, start, stuck};

fn types(text: &str) -> String {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_series_of_vllm_is_there_from_the_start_with_its_type() {
    let target = start(quick()).await;
    let response = target.get("/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    insta::assert_snapshot!(types(&response.text().await.unwrap()), @r#"
    vllm:num_requests_running gauge
    vllm:num_requests_waiting gauge
    vllm:kv_cache_usage_perc gauge
    vllm:cache_config_info gauge
    vllm:prefix_cache_queries_total counter
    vllm:prefix_cache_hits_total counter
    vllm:num_preemptions_total counter
    vllm:prompt_tokens_total counter
    vllm:generation_tokens_total counter
    vllm:request_success_total counter
    vllm:request_prompt_tokens histogram
    vllm:request_generation_tokens histogram
    vllm:iteration_tokens_total histogram
    vllm:time_to_first_token_seconds histogram
    vllm:time_per_output_token_seconds histogram
    vllm:inter_token_latency_seconds histogram
    vllm:request_time_per_output_token_seconds histogram
    vllm:e2e_request_latency_seconds histogram
    vllm:request_queue_time_seconds histogram
    vllm:request_inference_time_seconds histogram
    vllm:request_prefill_time_seconds histogram
    vllm:request_decode_time_seconds histogram
    "#);
}

#[tokio::test]
async fn every_series_can_be_left_out_by_name() {
    let target = start(quick()).await;
    target.control(&json!({"metrics_missing": names::ALL})).await;
    assert_eq!(target.metrics().await, "");
}

#[tokio::test]
async fn labels_are_those_of_vllm() {
    let target = start(quick()).await;
    let text = target.metrics().await;
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| !line.contains("_bucket") || line.starts_with("vllm:time_to_first_token_seconds_bucket"))
        .filter(|line| !line.contains("_bucket") || line.contains("0.001") || line.contains("Inf"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    vllm:num_requests_running{engine="0",model_name="org/model-8b"} 0.0
    vllm:num_requests_waiting{engine="0",model_name="org/model-8b"} 0.0
    vllm:kv_cache_usage_perc{engine="0",model_name="org/model-8b"} 0.0
    vllm:cache_config_info{block_size="16",cache_dtype="auto",calculate_kv_scales="False",cpu_offload_gb="0",enable_prefix_caching="True",engine="0",gpu_memory_utilization="0.9",is_attention_free="False",num_gpu_blocks="64",num_gpu_blocks_override="None",prefix_caching_hash_algo="sha256",sliding_window="None",swap_space="4"} 1.0
    vllm:prefix_cache_queries_total{engine="0",model_name="org/model-8b"} 0.0
    vllm:prefix_cache_hits_total{engine="0",model_name="org/model-8b"} 0.0
    vllm:num_preemptions_total{engine="0",model_name="org/model-8b"} 0.0
    vllm:prompt_tokens_total{engine="0",model_name="org/model-8b"} 0.0
    vllm:generation_tokens_total{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_success_total{engine="0",finished_reason="stop",model_name="org/model-8b"} 0.0
    vllm:request_success_total{engine="0",finished_reason="length",model_name="org/model-8b"} 0.0
    vllm:request_success_total{engine="0",finished_reason="abort",model_name="org/model-8b"} 0.0
    vllm:request_prompt_tokens_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_prompt_tokens_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_generation_tokens_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_generation_tokens_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:iteration_tokens_total_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:iteration_tokens_total_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="org/model-8b"} 0.0
    vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="org/model-8b"} 0.0
    vllm:time_to_first_token_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:time_to_first_token_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:time_per_output_token_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:time_per_output_token_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:inter_token_latency_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:inter_token_latency_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_time_per_output_token_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_time_per_output_token_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:e2e_request_latency_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:e2e_request_latency_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_queue_time_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_queue_time_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_inference_time_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_inference_time_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_prefill_time_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_prefill_time_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_decode_time_seconds_count{engine="0",model_name="org/model-8b"} 0.0
    vllm:request_decode_time_seconds_sum{engine="0",model_name="org/model-8b"} 0.0
    "#);
}

#[tokio::test]
async fn a_finished_request_shows_in_every_counter_and_histogram() {
    let target = start(quick()).await;
    target.post("/v1/completions", &json!({"model": MODEL, "prompt": "a b c", "max_tokens": 4})).await;
    let text = target.metrics().await;
    for (series, expected) in [
        ("vllm:prompt_tokens_total{", 3.0),
        ("vllm:generation_tokens_total{", 4.0),
        ("vllm:prefix_cache_queries_total{", 3.0),
        ("vllm:prefix_cache_hits_total{", 0.0),
        ("vllm:num_preemptions_total{", 0.0),
        ("vllm:request_success_total{engine=\"0\",finished_reason=\"length\"", 1.0),
        ("vllm:request_success_total{engine=\"0\",finished_reason=\"stop\"", 0.0),
        ("vllm:request_prompt_tokens_sum{", 3.0),
        ("vllm:request_prompt_tokens_count{", 1.0),
        ("vllm:request_generation_tokens_sum{", 4.0),
        ("vllm:time_to_first_token_seconds_count{", 1.0),
        ("vllm:inter_token_latency_seconds_count{", 3.0),
        ("vllm:time_per_output_token_seconds_count{", 3.0),
        ("vllm:request_time_per_output_token_seconds_count{", 1.0),
        ("vllm:e2e_request_latency_seconds_count{", 1.0),
        ("vllm:request_queue_time_seconds_count{", 1.0),
        ("vllm:request_inference_time_seconds_count{", 1.0),
        ("vllm:request_prefill_time_seconds_count{", 1.0),
        ("vllm:request_decode_time_seconds_count{", 1.0),
        ("vllm:iteration_tokens_total_sum{", 6.0),
    ] {
        assert_eq!(sample(&text, series), Some(expected), "{series}");
    }
    let latency = sample(&text, "vllm:e2e_request_latency_seconds_sum{").unwrap();
    assert!((latency - 0.004).abs() < 1e-6, "four iterations of a millisecond each: {latency}");
}

#[tokio::test]
async fn buckets_are_cumulative_and_end_at_the_count() {
    let target = start(quick()).await;
    for max_tokens in [1, 3, 30] {
        target.post("/v1/completions", &json!({"prompt": "x", "max_tokens": max_tokens})).await;
    }
    let text = target.metrics().await;
    let buckets: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("vllm:request_generation_tokens_bucket{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    // Bounds 1, 2, 5, 10, 20, 50, …, 1000, +Inf.
    assert_eq!(buckets, [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
}

#[tokio::test]
async fn load_shows_in_the_gauges() {
    let target = start(stuck()).await;
    let prompt = vec!["w"; 512].join(" ");
    let first = target.send_and_forget(&json!({"prompt": prompt, "max_tokens": 100}));
    target.metric_becomes("vllm:num_requests_running{", 1.0).await;
    let usage = target.metric("vllm:kv_cache_usage_perc{").await.unwrap();
    assert!((usage - 0.5).abs() < 1e-9, "32 of 64 blocks: {usage}");
    first.abort();
}

#[rstest]
#[case::old_kv_name(Compat::OldKvName, "vllm:gpu_cache_usage_perc{", "vllm:kv_cache_usage_perc")]
#[case::unsuffixed_hits(Compat::UnsuffixedPrefixCounters, "vllm:prefix_cache_hits{", "vllm:prefix_cache_hits_total")]
#[case::unsuffixed_queries(
    Compat::UnsuffixedPrefixCounters,
    "vllm:prefix_cache_queries{",
    "prefix_cache_queries_total"
)]
#[case::no_engine(Compat::NoEngineLabel, "vllm:num_requests_running{model_name=", "engine=")]
#[case::finish_reason(
    Compat::FinishReasonLabel,
    "vllm:request_success_total{engine=\"0\",finish_reason=",
    "finished_reason"
)]
#[case::minimal_info(
    Compat::CacheConfigMinimal,
    "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"64\"} 1",
    "cache_dtype"
)]
#[case::lazy_success(Compat::LazySuccess, "vllm:num_requests_running{", "vllm:request_success_total")]
#[tokio::test]
async fn older_names_are_available_by_switch(#[case] compat: Compat, #[case] present: &str, #[case] absent: &str) {
    let mut config = quick();
    config.metrics_compat.insert(compat);
    let text = start(config).await.metrics().await;
    assert!(text.lines().any(|line| line.starts_with(present)), "{text}");
    assert!(!text.contains(absent), "{text}");
}

#[tokio::test]
async fn switches_combine() {
    let mut config = quick();
    config.metrics_compat.extend([Compat::BothKvNames, Compat::CacheConfigModelName]);
    let text = start(config).await.metrics().await;
    assert_eq!(sample(&text, "vllm:kv_cache_usage_perc{"), sample(&text, "vllm:gpu_cache_usage_perc{"));
    let info = text.lines().find(|line| line.starts_with("vllm:cache_config_info{")).unwrap();
    assert!(info.contains("model_name=\"org/model-8b\"") && info.contains("num_gpu_blocks=\"64\""), "{info}");
}
