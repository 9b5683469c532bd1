use std::time::Duration;

use reqwest::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use vllm_sim::config::OutputLength;

use crate::support::{MODEL, quick, start, stuck};

/// The `data:` lines of a stream.
fn data_lines(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

fn chunks(text: &str) -> Vec<Value> {
    let lines = data_lines(text);
    lines.into_iter().filter(|line| *line != "[DONE]").map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_completion_has_the_tokens_asked_for() {
    let target = start(quick()).await;
    let body = json!({"model": MODEL, "prompt": "one two three", "max_tokens": 7});
    let response = target.post("/v1/completions", &body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(answer["model"], MODEL);
    assert_eq!(answer["usage"], json!({"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}));
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["choices"][0]["text"].as_str().unwrap().split(' ').count(), 7);
}

#[tokio::test]
async fn a_chat_without_a_limit_stops_by_itself() {
    let target = start(quick()).await;
    let body = json!({"messages": [{"role": "user", "content": "hello there"}]});
    let answer: Value = target.post("/v1/chat/completions", &body).await.json().await.unwrap();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 128);
}

#[tokio::test]
async fn a_completion_stream_ends_with_usage_and_done() {
    let target = start(quick()).await;
    let body = json!({
        "model": MODEL, "prompt": "one two", "max_tokens": 3, "stream": true,
        "stream_options": {"include_usage": true},
    });
    let response = target.post("/v1/completions", &body).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    assert_eq!(data_lines(&text).last(), Some(&"[DONE]"));
    let chunks = chunks(&text);
    let reasons: Vec<_> = chunks[..3].iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    assert_eq!(reasons, [Value::Null, Value::Null, json!("length")]);
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["completion_tokens"], 3);
    assert_eq!(chunks.len(), 4);
}

#[tokio::test]
async fn a_chat_stream_starts_with_the_role() {
    let target = start(quick()).await;
    let body = json!({"messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 2, "stream": true});
    let text = target.post("/v1/chat/completions", &body).await.text().await.unwrap();
    let chunks = chunks(&text);
    assert_eq!(chunks[0]["object"], "chat.completion.chunk");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks[1..].iter().all(|chunk| chunk["choices"][0]["delta"]["content"].is_string()));
    assert_eq!(chunks.len(), 3, "no usage unless asked for");
    assert_eq!(data_lines(&text).last(), Some(&"[DONE]"));
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_say_the_same_under_one_seed() {
    let body = |stream: bool| json!({"prompt": "x", "max_tokens": 9, "stream": stream});
    let whole: Value = start(quick()).await.post("/v1/completions", &body(false)).await.json().await.unwrap();
    let text = start(quick()).await.post("/v1/completions", &body(true)).await.text().await.unwrap();
    let streamed: String =
        chunks(&text).iter().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(whole["choices"][0]["text"], streamed);
}

#[tokio::test]
async fn random_lengths_stay_within_the_limit_unless_eos_is_ignored() {
    let target = start(vllm_sim::Config { output_length: OutputLength::Random, ..quick() }).await;
    let mut lengths = Vec::new();
    for _ in 0..8 {
        let answer: Value =
            target.post("/v1/completions", &json!({"prompt": "x", "max_tokens": 50})).await.json().await.unwrap();
        let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
        assert_eq!(answer["choices"][0]["finish_reason"], if tokens < 50 { "stop" } else { "length" });
        lengths.push(tokens);
    }
    assert!(lengths.iter().all(|length| (1..=50).contains(length)), "{lengths:?}");
    assert!(lengths.iter().any(|length| *length != lengths[0]), "{lengths:?}");
    let body = json!({"prompt": "x", "max_tokens": 50, "ignore_eos": true});
    let answer: Value = target.post("/v1/completions", &body).await.json().await.unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 50);
}

#[tokio::test]
async fn models_lists_every_served_name() {
    let mut config = quick();
    config.served_model_names = vec!["small".to_owned(), "alias".to_owned()];
    let target = start(config).await;
    let list: Value = target.get("/v1/models").await.json().await.unwrap();
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(names, ["small", "alias"]);
    assert_eq!(list["data"][0]["root"], MODEL);
    assert_eq!(list["data"][0]["max_model_len"], 1024);
    let by_alias = target.post("/v1/completions", &json!({"model": "alias", "prompt": "x"})).await;
    assert_eq!(by_alias.status(), StatusCode::OK);
}

#[rstest]
#[case::unknown_model("/v1/completions", json!({"model": "gpt-9", "prompt": "x"}), 404, "NotFoundError", json!("model"))]
#[case::no_prompt("/v1/completions", json!({}), 400, "BadRequestError", json!("prompt"))]
#[case::too_long("/v1/completions", json!({"prompt": "x", "max_tokens": 1024}), 400, "BadRequestError", json!("max_tokens"))]
#[case::no_messages("/v1/chat/completions", json!({}), 400, "BadRequestError", json!("messages"))]
#[tokio::test]
async fn errors_have_the_shape_clients_parse(
    #[case] path: &str,
    #[case] body: Value,
    #[case] status: u16,
    #[case] kind: &str,
    #[case] param: Value,
) {
    let target = start(quick()).await;
    let response = target.post(path, &body).await;
    assert_eq!(response.status().as_u16(), status);
    let error: Value = response.json().await.unwrap();
    assert_eq!((&error["error"]["type"], &error["error"]["param"]), (&json!(kind), &param), "{error}");
    assert_eq!(error["error"]["code"], status);
}

#[tokio::test]
async fn a_full_queue_answers_429() {
    let target = start(stuck()).await;
    let body = json!({"prompt": "x", "max_tokens": 5});
    // One runs; four wait for the three free slots and two places in the queue.
    let kept: Vec<_> = (0..6).map(|_| target.send_and_forget(&body)).collect();
    target.metric_becomes("vllm:num_requests_running{", 1.0).await;
    let refused = async {
        loop {
            let response = target.client.post(target.url("/v1/completions")).json(&body);
            // An accepted one never answers; leaving it frees its place again.
            if let Ok(Ok(response)) = tokio::time::timeout(Duration::from_millis(100), response.send()).await {
                return response;
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["type"], "RateLimitError");
    kept.iter().for_each(tokio::task::JoinHandle::abort);
}

#[rstest]
#[case::whole(false)]
#[case::stream(true)]
#[tokio::test]
async fn a_client_that_disconnects_frees_its_slot(#[case] stream: bool) {
    let target = start(stuck()).await;
    let client = target.send_and_forget(&json!({"prompt": "x", "max_tokens": 5, "stream": stream}));
    target.metric_becomes("vllm:num_requests_running{", 1.0).await;
    client.abort();
    target.metric_becomes("vllm:num_requests_running{", 0.0).await;
    assert_eq!(target.metric("vllm:kv_cache_usage_perc{").await, Some(0.0));
    let aborted = "vllm:request_success_total{engine=\"0\",finished_reason=\"abort\"";
    assert_eq!(target.metric(aborted).await, Some(1.0));
}

#[rstest]
#[case::health("/health")]
#[case::ready("/ready")]
#[case::models("/v1/models")]
#[case::metrics("/metrics")]
#[tokio::test]
async fn nothing_is_served_before_the_model_is_loaded(#[case] path: &str) {
    let target = start(vllm_sim::Config { startup_delay: Duration::from_hours(1), ..quick() }).await;
    assert_eq!(target.get(path).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn everything_is_served_once_the_model_is_loaded() {
    let target = start(vllm_sim::Config { startup_delay: Duration::from_millis(100), ..quick() }).await;
    let started = std::time::Instant::now();
    while target.get("/health").await.status() != StatusCode::OK {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for path in ["/ready", "/v1/models", "/metrics", "/version"] {
        assert_eq!(target.get(path).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn an_api_key_guards_the_models_and_nothing_else() {
    let target = start(vllm_sim::Config { api_key: Some("secret".to_owned()), ..quick() }).await;
    assert_eq!(target.get("/v1/models").await.status(), StatusCode::UNAUTHORIZED);
    let with_key = target.client.get(target.url("/v1/models")).bearer_auth("secret").send().await.unwrap();
    assert_eq!(with_key.status(), StatusCode::OK);
    assert_eq!(target.get("/metrics").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn shutdown_lets_requests_finish() {
    let mut config = quick();
    config.engine.iteration_time.base_ms = 20.0;
    let target = start(config).await;
    let request = target.client.post(target.url("/v1/completions")).json(&json!({"prompt": "x", "max_tokens": 100}));
    let answer = tokio::spawn(request.send());
    target.metric_becomes("vllm:num_requests_running{", 1.0).await;
    target.server.shutdown().await;
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn shutdown_cuts_off_what_outlasts_the_grace() {
    let target = start(stuck()).await;
    let request = target.client.post(target.url("/v1/completions")).json(&json!({"prompt": "x", "max_tokens": 5}));
    let answer = tokio::spawn(request.send());
    target.metric_becomes("vllm:num_requests_running{", 1.0).await;
    target.server.shutdown().await;
    assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}
