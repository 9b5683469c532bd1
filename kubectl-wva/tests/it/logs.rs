//! `logs`: whose log is meant, or why none can be shown.

use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::wva;
use crate::fake_api::{FakeApi, list, refusal};
use crate::objects::{deployment, variant};

fn cluster(_: &str, path: &str) -> (u16, Value) {
    let controller = |id: &str| {
        let mut object = deployment(&format!("wva-{id}"), "wva-controller-manager", 1);
        object["spec"]["template"]["spec"]["containers"] =
            json!([{"name": "manager", "env": [{"name": "CONTROLLER_INSTANCE", "value": id}]}]);
        object
    };
    match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => {
            list(&[variant("models", "llama", "llama", "team-a"), variant("models", "lost", "lost", "nobody")])
        }
        "/apis/apps/v1/deployments" => list(&[controller("team-a"), controller("team-b")]),
        "/api/v1/namespaces/wva-team-a/pods" => list(&[]),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

#[rstest]
#[case::unknown(&["logs", "lama"], "did you mean llama?")]
#[case::orphaned(&["logs", "lost"], "nobody decides for lost")]
#[case::no_instance(&["logs", "--instance", "team-c"], "there is no controller instance \"team-c\"")]
#[case::several(&["logs"], "there are several controllers: team-a, team-b")]
#[case::nobody_leads(&["logs", "llama"], "no pod of controller wva-team-a/wva-controller-manager leads")]
#[case::both(&["logs", "llama", "--instance", "team-a"], "cannot be used with")]
#[case::no_time(&["logs", "llama", "--since", "0"], "--since <TIME>': give a time above 0")]
fn a_log_that_cannot_be_shown_says_why(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(cluster);
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.contains(expect), "{}", answer.err);
}
