use rstest::rstest;

use super::*;

fn pinned() -> Overrides {
    Overrides { kv_cache_usage: Some(0.5), num_requests_waiting: Some(7), ..Overrides::default() }
}

#[test]
fn given_keys_change_null_unpins_and_the_rest_stays() {
    let patched = pinned().patched(br#"{"kv_cache_usage": null, "num_requests_running": 3}"#).unwrap();
    let expected = Overrides { kv_cache_usage: None, num_requests_running: Some(3), ..pinned() };
    assert_eq!(patched, expected);
}

#[test]
fn single_counters_unpin_by_null() {
    let both = br#"{"counters": {"vllm:request_success_total": 12, "vllm:prompt_tokens_total": 5}}"#;
    let one = br#"{"counters": {"vllm:prompt_tokens_total": null}}"#;
    let patched = Overrides::default().patched(both).unwrap().patched(one).unwrap();
    assert_eq!(patched.counters, BTreeMap::from([("vllm:request_success_total".to_owned(), 12.0)]));
}

#[test]
fn the_shown_configuration_can_be_posted_back() {
    let mut overrides = pinned();
    overrides.metrics_delay = std::time::Duration::from_millis(2500);
    overrides.histograms.insert("vllm:request_prompt_tokens".to_owned(), HistogramPin { sum: 10.0, count: 2 });
    let shown = serde_json::to_vec(&overrides).unwrap();
    assert_eq!(Overrides::default().patched(&shown).unwrap(), overrides);
}

#[rstest]
#[case::above_one(r#"{"kv_cache_usage": 1.2}"#, "field `kv_cache_usage`: expected a number from 0 to 1, got 1.2")]
#[case::string_for_count(
    r#"{"num_requests_waiting": "7"}"#,
    "field `num_requests_waiting`: expected a whole number, at least 0, got \"7\""
)]
#[case::duration_without_unit(
    r#"{"metrics_delay": 2}"#,
    "field `metrics_delay`: expected a duration with a unit, for example \"2s\" or \"250ms\", got 2"
)]
#[case::success_is_no_failure(
    r#"{"metrics_status": 200}"#,
    "field `metrics_status`: expected an HTTP error status, 400 to 599, got 200"
)]
#[case::unknown_counter(
    r#"{"counters": {"vllm:nope": 1}}"#,
    "field `counters.vllm:nope`: expected one of the names vllm:request_success_total, vllm:prompt_tokens_total, \
     vllm:generation_tokens_total, vllm:num_preemptions_total, vllm:prefix_cache_queries_total, \
     vllm:prefix_cache_hits_total, got `vllm:nope`"
)]
#[case::text_for_a_list(
    r#"{"metrics_missing": "vllm:kv_cache_usage_perc"}"#,
    "field `metrics_missing`: expected a list of metric names, for example [\"vllm:kv_cache_usage_perc\"], \
     got \"vllm:kv_cache_usage_perc\""
)]
#[case::no_values_but_a_sum(
    r#"{"histograms": {"vllm:request_prompt_tokens": {"sum": 5, "count": 0}}}"#,
    "field `histograms.vllm:request_prompt_tokens`: expected {\"sum\": number, \"count\": whole number}, \
     got {\"count\":0,\"sum\":5}"
)]
#[case::not_an_object("[1]", "the body must be a JSON object, for example {\"kv_cache_usage\": 0.9}")]
fn a_fault_is_named(#[case] body: &str, #[case] message: &str) {
    assert_eq!(pinned().patched(body.as_bytes()).unwrap_err().to_string(), message);
}

#[rstest]
#[case::unknown(r#"{"kv_usage": 0.5}"#, "unknown field `kv_usage`; known fields: kv_cache_usage,")]
#[case::unknown_series(
    r#"{"metrics_missing": ["vllm:kv_cache_usage_perc", "vllm:kv_usage"]}"#,
    "field `metrics_missing[1]`: expected one of the names vllm:num_requests_running,"
)]
#[case::not_json("{", "the body is not JSON: ")]
fn a_fault_is_named_at_the_start_of_the_message(#[case] body: &str, #[case] start: &str) {
    let message = pinned().patched(body.as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with(start), "{message}");
}
