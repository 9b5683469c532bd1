use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{quick, sample, start};

#[tokio::test]
async fn pinned_values_are_shown_until_unpinned() {
    let target = start(quick()).await;
    let pins = json!({
        "kv_cache_usage": 0.93, "num_requests_waiting": 7, "num_requests_running": 3,
        "counters": {"vllm:request_success_total": 12, "vllm:generation_tokens_total": 500},
        "histograms": {"vllm:request_generation_tokens": {"sum": 800, "count": 4}},
    });
    target.control(&pins).await;
    let text = target.metrics().await;
    for (series, expected) in [
        ("vllm:kv_cache_usage_perc{", 0.93),
        ("vllm:num_requests_waiting{", 7.0),
        ("vllm:num_requests_running{", 3.0),
        ("vllm:generation_tokens_total{", 500.0),
        ("vllm:request_generation_tokens_sum{", 800.0),
        ("vllm:request_generation_tokens_count{", 4.0),
    ] {
        assert_eq!(sample(&text, series), Some(expected), "{series}");
    }
    let successes = text.lines().filter(|line| line.starts_with("vllm:request_success_total{"));
    let total: f64 = successes.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((total - 12.0).abs() < 1e-9, "the sum over the reasons is the pinned one");

    target.control(&json!({"kv_cache_usage": null, "counters": null})).await;
    let text = target.metrics().await;
    assert_eq!(sample(&text, "vllm:kv_cache_usage_perc{"), Some(0.0));
    assert_eq!(sample(&text, "vllm:generation_tokens_total{"), Some(0.0));
    assert_eq!(sample(&text, "vllm:num_requests_waiting{"), Some(7.0), "not named, so still pinned");
}

#[tokio::test]
async fn a_bad_body_changes_nothing() {
    let target = start(quick()).await;
    let response = target.post("/admin/config", &json!({"num_requests_waiting": 7, "kv_cache_usage": 9})).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"], "field `kv_cache_usage`: expected a number from 0 to 1, got 9");
    let shown: Value = target.get("/admin/config").await.json().await.unwrap();
    assert_eq!((&shown["num_requests_waiting"], &shown["kv_cache_usage"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn metrics_can_be_stale() {
    let target = start(quick()).await;
    target.control(&json!({"metrics_stale": true})).await;
    target.post("/v1/completions", &json!({"prompt": "x", "max_tokens": 3})).await;
    assert_eq!(target.metric("vllm:generation_tokens_total{").await, Some(0.0));
    target.control(&json!({"metrics_stale": false})).await;
    assert_eq!(target.metric("vllm:generation_tokens_total{").await, Some(3.0));
}

#[tokio::test]
async fn metrics_can_be_slow() {
    let target = start(quick()).await;
    target.control(&json!({"metrics_delay": "300ms"})).await;
    let started = Instant::now();
    assert_eq!(target.get("/metrics").await.status(), StatusCode::OK);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn metrics_can_fail_be_absent_or_miss_series() {
    let target = start(quick()).await;
    target.control(&json!({"metrics_status": 502})).await;
    assert_eq!(target.get("/metrics").await.status(), StatusCode::BAD_GATEWAY);
    target.control(&json!({"metrics_status": null, "metrics_absent": true})).await;
    assert_eq!(target.get("/metrics").await.status(), StatusCode::NOT_FOUND);
    target.control(&json!({"metrics_absent": false, "metrics_missing": ["vllm:kv_cache_usage_perc"]})).await;
    let text = target.metrics().await;
    assert!(!text.contains("vllm:kv_cache_usage_perc"), "{text}");
    assert!(text.contains("vllm:num_requests_waiting{"));
}

#[tokio::test]
async fn requests_can_fail() {
    let target = start(quick()).await;
    target.control(&json!({"request_failure_rate": 1, "request_failure_status": 503})).await;
    let response = target.post("/v1/completions", &json!({"prompt": "x"})).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    target.control(&json!({"request_failure_rate": null})).await;
    assert_eq!(target.post("/v1/completions", &json!({"prompt": "x"})).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn about_the_given_fraction_of_requests_fails() {
    let target = start(quick()).await;
    target.control(&json!({"request_failure_rate": 0.5})).await;
    let mut failed = 0;
    for _ in 0..60 {
        let response = target.post("/v1/completions", &json!({"prompt": "x", "max_tokens": 1})).await;
        failed += u32::from(response.status() == StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert!((10..=50).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn readiness_can_be_overridden() {
    let target = start(quick()).await;
    target.control(&json!({"ready": false})).await;
    assert_eq!(target.get("/health").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    target.control(&json!({"ready": null})).await;
    assert_eq!(target.get("/health").await.status(), StatusCode::OK);
}
