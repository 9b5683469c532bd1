use rstest::rstest;

use super::*;

fn parse_line(line: &str) -> Result<Parsed, clap::Error> {
    parse(std::iter::once("vllm-sim").chain(line.split_whitespace()).map(OsString::from))
}

fn config(line: &str) -> Result<Config, ConfigError> {
    parse_line(line).unwrap().args.resolve(None)
}

#[rstest]
#[case::serve_and_tag("serve meta-llama/Llama-3.1-8B --port 9000")]
#[case::tag_alone("meta-llama/Llama-3.1-8B --port 9000")]
#[case::flag("--model meta-llama/Llama-3.1-8B --port=9000")]
#[case::both_alike("serve meta-llama/Llama-3.1-8B --model meta-llama/Llama-3.1-8B --port 9000")]
fn the_model_is_given_as_vllm_takes_it(#[case] line: &str) {
    let config = config(line).unwrap();
    assert_eq!(config.model, "meta-llama/Llama-3.1-8B");
    assert_eq!(config.served_model_name(), "meta-llama/Llama-3.1-8B");
    assert_eq!(config.listen, "0.0.0.0:9000".parse().unwrap());
}

#[rstest]
#[case::dashes("--num-gpu-blocks 512")]
#[case::vllm_spelling("--num-gpu-blocks-override 512")]
#[case::underscores("--num_gpu_blocks_override=512")]
fn blocks_have_vllms_names(#[case] flags: &str) {
    let config = config(&format!("serve m {flags}")).unwrap();
    assert_eq!(config.engine.num_gpu_blocks, 512);
    assert_eq!(config.engine.max_model_len, 512 * 16, "the context shrinks to the cache");
}

#[test]
fn vllm_flags_without_effect_are_set_aside() {
    let parsed = parse_line("serve m --dtype auto --trust-remote-code --swap-space=4 --max-num-seqs 5").unwrap();
    assert_eq!(parsed.ignored, ["--dtype auto", "--trust-remote-code", "--swap-space=4"]);
    assert_eq!(parsed.args.max_num_seqs, 5);
}

#[test]
fn an_unknown_flag_is_named_with_the_way_to_pass_it() {
    let error = parse_line("serve m --warp-drive 9").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(text.contains("'--warp-drive'") && text.contains("--allow-unknown-flags"), "{text}");
}

#[test]
fn a_misspelt_flag_gets_the_right_spelling() {
    let text = parse_line("serve m --max-num-seq 9").unwrap_err().to_string();
    assert!(text.contains("a similar flag exists: '--max-num-seqs'"), "{text}");
}

#[test]
fn unknown_flags_are_set_aside_when_allowed() {
    let parsed = parse_line("serve m --warp-drive 9 --shields=up --allow-unknown-flags --port 9000").unwrap();
    assert_eq!(parsed.ignored, ["--warp-drive 9", "--shields=up"]);
    assert_eq!(parsed.args.port, 9000);
}

#[rstest]
#[case::wildcard("0.0.0.0", Some("127.7.0.9"), "127.7.0.9:8000")]
#[case::wildcard_v6("::", Some("127.7.0.9"), "127.7.0.9:8000")]
#[case::explicit_host_wins("127.0.0.1", Some("127.7.0.9"), "127.0.0.1:8000")]
#[case::no_bind_host("0.0.0.0", None, "0.0.0.0:8000")]
#[case::empty_bind_host("0.0.0.0", Some(""), "0.0.0.0:8000")]
fn bind_host_stands_in_for_a_wildcard(#[case] host: &str, #[case] bind_host: Option<&str>, #[case] expected: &str) {
    let config = parse_line(&format!("serve m --host {host}")).unwrap().args.resolve(bind_host).unwrap();
    assert_eq!(config.listen, expected.parse().unwrap());
}

#[test]
fn speed_divides_every_time() {
    let (normal, fast) = (config("serve m").unwrap(), config("serve m --speed 10").unwrap());
    assert_eq!(fast.startup_delay * 10, normal.startup_delay);
    let (normal, fast) = (normal.engine.iteration_time, fast.engine.iteration_time);
    assert!((fast.base_ms * 10.0 - normal.base_ms).abs() < 1e-9);
}

#[rstest]
#[case::no_model("--port 9000", "no model given; pass one: vllm-sim serve MODEL, or --model MODEL")]
#[case::two_models("serve a --model b", "two models given: `a` and --model `b`; pass one")]
#[case::host("serve m --host nowhere", "--host nowhere is not an IP address; pass one, for example 0.0.0.0")]
#[case::no_slots("serve m --max-num-seqs 0", "--max-num-seqs 0 is out of range; it must be at least 1")]
#[case::no_speed("serve m --speed 0", "--speed 0 is out of range; it must be above 0 and at most 10000")]
#[case::context_beyond_cache(
    "serve m --num-gpu-blocks 10 --max-model-len 161",
    "--max-model-len 161 is larger than the 160 tokens that the KV cache holds; lower it, or give more blocks with \
     --num-gpu-blocks"
)]
#[case::memory(
    "serve m --gpu L40S --gpu-memory-utilization 0.2",
    "no memory left for the KV cache on 1 GPU(s) at --gpu-memory-utilization 0.2; raise it, or give the number of \
     blocks with --num-gpu-blocks"
)]
fn a_bad_combination_says_what_to_do(#[case] line: &str, #[case] message: &str) {
    assert_eq!(config(line).unwrap_err().to_string(), message);
}
