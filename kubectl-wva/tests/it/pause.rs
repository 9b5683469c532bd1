//! `pause` and `resume` as a shell sees them.

use std::collections::BTreeMap;

use kubectl_wva::commands::status::{Filter, Gathered, Loads, StatusView, table};
use kubectl_wva::readers::servers::Servers;
use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::wva;
use crate::fake_api::{FakeApi, list, refusal};
use crate::objects::{NOW, condition, controller, decided, deployment, deployments, hpa, hpas, variant, variants};

const ONE: &str = "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings/llama-va";

/// A cluster with two variants, the second of which is paused.
fn cluster(_: &str, path: &str) -> (u16, Value) {
    let mut qwen = variant("models", "qwen", "qwen", "team-b");
    qwen["metadata"]["annotations"] = json!({"wva.llmd.ai/paused": "true"});
    qwen["spec"]["modelID"] = json!("qwen/qwen");
    match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => {
            list(&[variant("models", "llama", "llama", "team-a"), qwen])
        }
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            (201, json!({"metadata": {}, "status": {"userInfo": {"username": "alice"}}}))
        }
        path if path.starts_with(ONE) => (200, variant("models", "llama", "llama", "team-a")),
        path if path.contains("/variantautoscalings/") => (200, qwen),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

fn writes(api: &FakeApi) -> Vec<String> {
    api.asked().into_iter().filter(|line| line.starts_with("PATCH")).collect()
}

#[test]
fn pause_annotates_the_variant_and_says_who_and_until_when() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["pause", "llama", "--at", "3", "--reason", "node upgrade"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert_eq!(answer.out, "models/llama paused by alice at 3 replicas until resume (node upgrade)\n");
    assert_eq!(writes(&api), [format!("PATCH {ONE}")]);
    let annotations = &api.bodies()[0]["metadata"]["annotations"];
    let expect = json!({
        "wva.llmd.ai/paused": "true", "wva.llmd.ai/paused-replicas": "3", "wva.llmd.ai/paused-until": null,
        "wva.llmd.ai/paused-by": "alice", "wva.llmd.ai/paused-reason": "node upgrade",
    });
    assert_eq!(*annotations, expect);
}

#[test]
fn a_pause_with_an_end_says_it_to_people_and_programs() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["pause", "llama", "--for", "2h", "-o", "json"], Some(&api.kubeconfig));
    let view: Value = serde_json::from_str(&answer.out).unwrap();
    let until: jiff::Timestamp = view[0]["until"].as_str().unwrap().parse().unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((7_000..=7_200).contains(&left), "{left} s");
    assert_eq!((&view[0]["paused"], &view[0]["by"]), (&json!(true), &json!("alice")));
    let written: jiff::Timestamp =
        api.bodies()[0]["metadata"]["annotations"]["wva.llmd.ai/paused-until"].as_str().unwrap().parse().unwrap();
    assert!(until.duration_since(written).as_secs() < 1);
}

#[rstest]
#[case::model(&["--model", "qwen/qwen"], &["qwen-va"])]
#[case::instance(&["--instance", "team-a"], &["llama-va"])]
#[case::namespace(&[], &["llama-va", "qwen-va"])]
fn all_variants_of_a_model_or_an_instance_are_paused(#[case] narrowed: &[&str], #[case] expect: &[&str]) {
    let api = FakeApi::start(cluster);
    let words = [&["pause", "--all"], narrowed].concat();
    let answer = wva(&words, Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let names: Vec<String> = writes(&api).iter().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, expect);
}

#[test]
fn resume_takes_all_annotations_away_and_leaves_alone_what_was_not_paused() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["resume", "--all"], Some(&api.kubeconfig));
    assert_eq!(answer.out, "models/llama was not paused\nmodels/qwen resumed\n", "{}", answer.err);
    assert_eq!(writes(&api).len(), 1);
    let annotations = api.bodies()[0]["metadata"]["annotations"].as_object().unwrap().clone();
    assert!(annotations.len() == 5 && annotations.values().all(Value::is_null), "{annotations:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["pause", "llama", "--dry-run", "client"], Some(&api.kubeconfig));
    assert!(answer.out.ends_with("until resume (dry run)\n"), "{}", answer.out);
    assert!(writes(&api).is_empty());
    wva(&["pause", "llama", "--dry-run", "server"], Some(&api.kubeconfig));
    assert_eq!(writes(&api), [format!("PATCH {ONE} (dry run)")]);
}

#[rstest]
#[case::unknown(&["pause", "lama"], "did you mean llama?")]
#[case::no_instance(&["pause", "--all", "--instance", "team-c"], "there is no controller instance \"team-c\"")]
#[case::nothing(&["pause"], "<NAME>")]
#[case::both(&["pause", "llama", "--all"], "cannot be used with")]
#[case::model_alone(&["resume", "llama", "--model", "m"], "cannot be used with")]
#[case::no_unit(&["pause", "llama", "--for", "30"], "did you mean 30s?")]
#[case::no_time(&["pause", "llama", "--for", "0"], "above 0")]
fn what_was_not_meant_is_refused_before_anything_is_written(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(cluster);
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!(answer.code, 2, "{}", answer.out);
    assert!(answer.err.contains(expect), "{}", answer.err);
    assert!(writes(&api).is_empty());
}

#[test]
fn who_may_not_annotate_is_told_so() {
    let api = FakeApi::start(|method, path| match method {
        "PATCH" => refusal(
            403,
            "Forbidden",
            "variantautoscalings.llmd.ai \"llama-va\" is forbidden: User \"alice\" cannot patch",
        ),
        _ => cluster(method, path),
    });
    let answer = wva(&["pause", "llama"], Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""));
    assert!(answer.err.contains("annotate variant llama-va in namespace models"), "{}", answer.err);
}

/// A cluster whose variant is paused, with its controller and everything a look at it needs.
fn paused_cluster(method: &str, path: &str) -> (u16, Value) {
    let mut paused = decided(variant("models", "llama", "llama", "team-a"), 2);
    let why = "Paused by alice: 2 replicas are held until 2030-01-01T00:00:00Z (node upgrade)";
    paused["metadata"]["annotations"] = json!({
        "wva.llmd.ai/paused": "true", "wva.llmd.ai/paused-replicas": "2", "wva.llmd.ai/paused-until": "2030-01-01T00:00:00Z",
        "wva.llmd.ai/paused-by": "alice", "wva.llmd.ai/paused-reason": "node upgrade",
    });
    paused["status"]["conditions"][2] = condition("OptimizationReady", "False", "OptimizationPaused", why);
    match path {
        path if path.ends_with("/variantautoscalings") => list(&[paused]),
        path => crate::cli::cluster(method, path),
    }
}

#[rstest]
#[case::status(&["status"], "Paused by alice: 2 replicas are held until 2030-01-01T00:00:00Z (node upgrade)")]
#[case::doctor(&["doctor"], "paused models/llama paused by alice at 2 replicas until 2030-01-01T00:00:00Z (node upgrade)")]
#[case::instances(&["instances"], "1 (1 paused)")]
fn who_looks_sees_the_pause(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(paused_cluster);
    let answer = wva(words, Some(&api.kubeconfig));
    let said = answer.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(expect), "{}{}", answer.out, answer.err);
}

#[test]
fn a_screen_of_80_columns_has_the_whole_reason() {
    let view = |gathered: &Gathered| StatusView::build(gathered, &Filter::default(), false, NOW.parse().unwrap());
    let mut paused = decided(variant("models", "llama", "llama", "team-a"), 2);
    let why = "Paused by alice: 2 replicas are held until 2030-01-01T00:00:00Z (node upgrade)";
    paused["status"]["conditions"][2] = condition("OptimizationReady", "False", "OptimizationPaused", why);
    let gathered = Gathered {
        variants: variants(&[paused]),
        deployments: Ok(deployments(&[deployment("models", "llama", 2)])),
        hpas: Ok(hpas(&[hpa("models", "llama", 2)])),
        controllers: Ok(vec![controller("wva-a", "team-a", &[])]),
        loads: Loads::default(),
        servers: Servers::default(),
        troubles: BTreeMap::new(),
    };
    let text = table(&view(&gathered), false, false, true, Some(80));
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(why), "{text}");
    insta::assert_snapshot!("pause_80", text);
}
