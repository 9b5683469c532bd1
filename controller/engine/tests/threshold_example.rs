//! The example program, line by line.

#[path = "../examples/threshold/lines.rs"]
mod lines;

use rstest::rstest;

const CONFIG: &str =
    r#""config":{"kvCacheThreshold":0.8,"queueLengthThreshold":5,"kvSpareTrigger":0.1,"queueSpareTrigger":3}"#;

/// What comes out on stdout and stderr, and whether every line could be read.
fn run(input: &str) -> (String, String, bool) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let clean = lines::answer_all(input.as_bytes(), &mut output, &mut errors).expect("memory can be written");
    let text = |bytes| String::from_utf8(bytes).expect("JSON is text");
    (text(output), text(errors), clean)
}

fn replica(pod: &str, variant: &str, kv: f64, queue: f64) -> String {
    format!(r#"{{"pod":"{pod}","variant":"{variant}","kv":{kv},"queue":{queue},"cost":10,"accelerator":"A100"}}"#)
}

fn state(variant: &str, current: u32, desired: u32) -> String {
    format!(r#"{{"variant":"{variant}","current":{current},"desired":{desired},"pending":0}}"#)
}

fn case(replicas: &[String], states: &[String]) -> String {
    format!("{{{CONFIG},\"replicas\":[{}],\"states\":[{}]}}\n", replicas.join(","), states.join(","))
}

#[rstest]
#[case::one_replica(
    case(&[replica("p1", "v1", 0.5, 2.0)], &[state("v1", 1, 0)]),
    r#"{"total":1,"nonSaturated":1,"avgSpareKv":0.30000000000000004,"avgSpareQueue":3.0,"shouldScaleUp":false,"scaleDownSafe":false,"targets":{"v1":1}}"#
)]
#[case::floats_keep_their_last_bit(
    case(&[replica("p1", "v1", 0.65, 0.0), replica("p2", "v1", 0.75, 0.0)], &[state("v1", 2, 2)]),
    r#"{"total":2,"nonSaturated":2,"avgSpareKv":0.10000000000000003,"avgSpareQueue":5.0,"shouldScaleUp":false,"scaleDownSafe":false,"targets":{"v1":2}}"#
)]
#[case::a_fraction_of_a_request_is_none(
    case(&[replica("p1", "v1", 0.1, 4.9), replica("p2", "v1", 0.1, 4.9)], &[state("v1", 2, 0)]),
    r#"{"total":2,"nonSaturated":2,"avgSpareKv":0.7000000000000001,"avgSpareQueue":1.0,"shouldScaleUp":true,"scaleDownSafe":false,"targets":{"v1":3}}"#
)]
#[case::nothing_measured(
    case(&[], &[state("x", 3, 7)]),
    r#"{"total":0,"nonSaturated":0,"avgSpareKv":0.0,"avgSpareQueue":0.0,"shouldScaleUp":false,"scaleDownSafe":false,"targets":{"x":3}}"#
)]
#[case::a_variant_nobody_stated(
    case(&[replica("p1", "v1", 0.5, 2.0)], &[]),
    r#"{"total":1,"nonSaturated":1,"avgSpareKv":0.30000000000000004,"avgSpareQueue":3.0,"shouldScaleUp":false,"scaleDownSafe":false,"targets":{"v1":0}}"#
)]
fn a_case_is_answered_in_one_line(#[case] input: String, #[case] answer: &str) {
    assert_eq!(run(&input), (format!("{answer}\n"), String::new(), true));
}

#[test]
fn a_line_that_cannot_be_read_is_named_and_the_others_are_answered() {
    let good = case(&[], &[state("x", 3, 0)]);

    let (output, errors, clean) = run(&format!("{good}oops\n\n{good}"));

    assert_eq!(output.lines().count(), 2);
    assert_eq!(errors, "threshold: line 2: expected value at column 1\n");
    assert!(!clean);
}

#[rstest]
#[case::unknown_key(r#"{"extra":1}"#, "unknown field `extra`")]
#[case::unknown_threshold(r#"{"config":{"kvThreshold":1}}"#, "unknown field `kvThreshold`")]
#[case::missing_key("{}", "missing field `config`")]
#[case::negative_replicas(
    r#"{"states":[{"variant":"v","current":-1,"desired":0,"pending":0}]}"#,
    "invalid value: integer `-1`"
)]
#[case::not_text("{\"states\":[{\"variant\":\"\u{1}\"}]}", "control character")]
fn an_error_says_what_is_wrong(#[case] line: &str, #[case] problem: &str) {
    let (output, errors, clean) = run(line);

    assert_eq!((output.as_str(), clean), ("", false));
    assert!(errors.starts_with("threshold: line 1: ") && errors.contains(problem), "{errors}");
    assert_eq!(errors.lines().count(), 1);
}
