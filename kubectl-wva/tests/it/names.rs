//! Names that do not exist: an error on every command that takes one, with the name that was probably meant.

use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::{cluster, wva};
use crate::fake_api::{FakeApi, list, refusal};

/// A cluster with one variant, `llama` of model `meta/llama` and instance `team-a`, in the only namespace `models`.
fn small(method: &str, path: &str) -> (u16, Value) {
    let namespace = json!({"metadata": {"name": "models"}});
    match path {
        "/apis/llmd.ai/v1alpha1/variantautoscalings" => {
            cluster(method, "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings")
        }
        "/api/v1/namespaces" => list(&[namespace]),
        "/api/v1/namespaces/models" => (200, namespace),
        // Of a namespace that does not exist, lists are empty like any other.
        path if path.contains("/namespaces/modles/") => list(&[]),
        path if path.starts_with("/openapi/") => refusal(404, "NotFound", "no"),
        path if path.starts_with("/apis/autoscaling/v2/") || path.ends_with("/services") => list(&[]),
        path if path.ends_with("/servicemonitors") || path.ends_with("/clusterroles") => list(&[]),
        _ => cluster(method, path),
    }
}

fn refused(words: &[&str]) -> String {
    let api = FakeApi::start(small);
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{words:?}: {}", answer.err);
    assert!(answer.err.starts_with("error: "), "{words:?}: {}", answer.err);
    answer.err
}

#[rstest]
#[case::status(&["status", "lama"])]
#[case::status_everywhere(&["status", "lama", "-A"])]
#[case::explain(&["explain", "lama"])]
#[case::doctor(&["doctor", "lama"])]
#[case::history(&["history", "lama"])]
#[case::logs(&["logs", "lama"])]
#[case::set(&["set", "lama", "--max", "3"])]
#[case::move_to(&["move", "lama", "--to", "team-a"])]
#[case::pause(&["pause", "lama"])]
#[case::resume(&["resume", "lama"])]
#[case::remove(&["remove-model", "lama"])]
fn a_variant_that_does_not_exist_is_an_error_with_the_one_that_was_meant(#[case] words: &[&str]) {
    let said = refused(words);
    assert!(said.contains("\"lama\"") && said.contains("hint: did you mean llama? "), "{words:?}: {said}");
}

#[rstest]
#[case::status(&["status"])]
#[case::list_models(&["list-models"])]
#[case::top(&["top"])]
#[case::cost(&["cost"])]
#[case::doctor(&["doctor"])]
#[case::explain(&["explain", "llama"])]
#[case::history(&["history", "llama"])]
#[case::logs(&["logs", "llama"])]
#[case::set(&["set", "llama", "--max", "3"])]
#[case::move_to(&["move", "llama", "--to", "team-a"])]
#[case::pause(&["pause", "llama"])]
#[case::pause_all(&["pause", "--all"])]
#[case::remove(&["remove-model", "llama"])]
#[case::add(&["add-model", "llama", "--model-id", "meta/llama"])]
#[case::report(&["report", "-f", "/nonexistent/report.zip"])]
fn a_namespace_that_does_not_exist_is_an_error_with_the_one_that_was_meant(#[case] words: &[&str]) {
    let said = refused(&[words, &["-n", "modles"]].concat());
    assert!(said.contains("modles") && said.contains("did you mean models?"), "{words:?}: {said}");
}

#[rstest]
#[case::status(&["status", "--instance", "taem-a"])]
#[case::logs(&["logs", "--instance", "taem-a"])]
#[case::move_to(&["move", "llama", "--to", "taem-a"])]
#[case::pause(&["pause", "--all", "--instance", "taem-a"])]
#[case::add(&["add-model", "qwen", "--model-id", "qwen", "--deployment", "llama-decode", "--instance", "taem-a"])]
fn an_instance_that_does_not_exist_is_an_error_with_the_one_that_was_meant(#[case] words: &[&str]) {
    let said = refused(words);
    assert!(said.contains("did you mean team-a?"), "{words:?}: {said}");
}

#[rstest]
#[case::status(&["status", "--model", "meta/lama"])]
#[case::status_everywhere(&["status", "-A", "--model", "meta/lama"])]
#[case::pause(&["pause", "--all", "--model", "meta/lama"])]
fn a_model_that_nobody_serves_is_an_error_with_the_one_that_was_meant(#[case] words: &[&str]) {
    let said = refused(words);
    assert!(said.contains("\"meta/lama\"") && said.contains("did you mean meta/llama?"), "{words:?}: {said}");
}
