//! Reading how a server is started, and what it has room for.

use rstest::rstest;
use wva_engine::vllm::{Container, ServerArguments};

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn started(command: &[&str], args: &[&str], env: &[(&str, &str)]) -> ServerArguments {
    let (command, args) = (owned(command), owned(args));
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ServerArguments::of_containers([Container { command: &command, args: &args, env: &env }])
}

const OLD_ENGINE: &[(&str, &str)] = &[("VLLM_USE_V1", "0")];

#[rstest]
#[case::c66_defaults(&[], &[], 8192)]
#[case::c66_the_old_engine(&[], OLD_ENGINE, 2048)]
#[case::c66_the_old_engine_in_chunks(&["--enable-chunked-prefill"], OLD_ENGINE, 2048)]
#[case::c66_the_old_engine_with_long_prompts(&["--max-model-len", "8192"], OLD_ENGINE, 8192)]
#[case::c66_the_old_engine_with_short_prompts(&["--max-model-len", "1024"], OLD_ENGINE, 2048)]
#[case::c66_given(&["--max-num-batched-tokens=4096"], &[], 4096)]
#[case::another_value_of_the_variable(&[], &[("VLLM_USE_V1", "1")], 8192)]
#[case::not_a_number(&["--max-num-batched-tokens=many"], &[], 8192)]
fn an_iteration_batches_what_vllm_does(#[case] args: &[&str], #[case] env: &[(&str, &str)], #[case] tokens: i64) {
    assert_eq!(started(&["vllm", "serve", "m"], args, env).batched_tokens(), tokens);
}

#[rstest]
#[case::c67_one_word_each(&["/bin/sh", "-c", "vllm serve m --gpu-memory-utilization=0.85 --max-num-seqs=128"], &[])]
#[case::in_the_arguments(&["bash"], &["-c", "vllm serve 'm' --gpu-memory-utilization \"0.85\" --max-num-seqs 128"])]
#[case::on_several_lines(&["sh", "-c"], &["vllm serve m \\\n  --gpu-memory-utilization 0.85 \\\n  --max-num-seqs 128\n"])]
#[case::beside_other_commands(
    &["sh", "-c"],
    &["set -e\npip install x --max-num-seqs 3\nvllm serve m --max-num-seqs 128 --gpu-memory-utilization 0.85 && echo --max-num-seqs 9"]
)]
#[case::a_bare_line_end_ends_the_command(
    &["sh", "-c"],
    &["vllm serve m --gpu-memory-utilization 0.85 --max-num-seqs 128\n--max-num-seqs 64\nsleep 1"]
)]
#[case::beside_a_comment(
    &["sh", "-c"],
    &["# --max-num-seqs 3\nexec python3 -m vllm.entrypoints.openai.api_server --gpu-memory-utilization 0.85 --max-num-seqs 128 # 64"]
)]
#[case::without_a_shell(&["vllm"], &["serve", "m", "--gpu_memory_utilization=0.85", "--max-num-seqs", "128"])]
fn arguments_are_found_where_users_write_them(#[case] command: &[&str], #[case] args: &[&str]) {
    let read = started(command, args, &[]);

    assert_eq!((read.gpu_memory_utilization, read.max_num_seqs), (0.85, 128));
}

#[test]
fn a_flag_at_the_end_of_a_line_takes_no_value_from_the_next() {
    let read = started(&["sh", "-c"], &["vllm serve m --block-size\n64 x"], &[]);

    assert_eq!(read.block_size, 16);
}

#[test]
fn c68_a_fixed_number_of_blocks_fixes_the_cache() {
    let read = started(&["vllm"], &["--num-gpu-blocks-override=5000", "--block-size=16"], &[]);

    assert_eq!((read.fixed_kv_capacity(), read.batched_tokens()), (Some(80_000), 8192));
    assert_eq!(ServerArguments::default().fixed_kv_capacity(), None);
}

#[rstest]
#[case::c69_memory(&["--gpu-memory-utilization=0.8"], false)]
#[case::c69_blocks(&["--block-size=32"], false)]
#[case::c69_cache_type(&["--kv-cache-dtype=fp8"], false)]
#[case::c69_gpus(&["--tensor-parallel-size=2"], false)]
#[case::c69_batch(&["--max-num-batched-tokens=4096"], false)]
#[case::c69_fixed_blocks(&["--num-gpu-blocks-override=10"], false)]
#[case::c69_requests(&["--max-num-seqs=64"], true)]
#[case::c69_length(&["--max-model-len=4096"], true)]
#[case::c69_eager(&["--enforce-eager"], true)]
fn servers_have_the_same_capacity_unless_an_argument_changes_it(#[case] args: &[&str], #[case] same: bool) {
    assert_eq!(started(&["vllm"], args, &[]).same_capacity(&ServerArguments::default()), same);
}

#[rstest]
#[case::c49_limited_by_requests(4096, 256, 500.0, 100.0, Some(140_800))]
#[case::c49_few_requests(8192, 64, 100.0, 200.0, Some(12_800))]
#[case::c49_no_answers(8192, 256, 500.0, 0.0, None)]
#[case::c49_limited_by_the_batch(2048, 256, 2000.0, 50.0, Some(101_151))]
#[case::not_a_number(2048, 256, 2000.0, f64::NAN, None)]
fn room_follows_from_the_arguments(
    #[case] max_num_batched_tokens: i64,
    #[case] max_num_seqs: i64,
    #[case] input: f64,
    #[case] output: f64,
    #[case] tokens: Option<i64>,
) {
    let server = ServerArguments { max_num_batched_tokens, max_num_seqs, ..ServerArguments::default() };

    assert_eq!(server.derived_capacity(input, output), tokens);
}

#[test]
fn a_later_container_overrides_an_earlier_one() {
    let (first, second) = (owned(&["--block-size=32", "--max-num-seqs=8"]), owned(&["--block-size=64"]));
    let of = |args| Container { args, ..Container::default() };

    let read = ServerArguments::of_containers([of(&first), of(&second)]);

    assert_eq!((read.block_size, read.max_num_seqs), (64, 8));
    assert_eq!(ServerArguments::of_containers([]), ServerArguments::default());
}
