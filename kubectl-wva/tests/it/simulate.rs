//! `simulate`: a model of a recorded decision under another load, and what is said where something is not known.

use std::path::PathBuf;

use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::{cluster, wva};
use crate::fake_api::{FakeApi, list};
use crate::objects::NOW;

/// What `/debug/state` answers of these models: each with a variant for each of two accelerators.
fn state(models: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let variant = |name: &str, cost: f64, max: u32| {
        json!({
            "name": name, "accelerator": name.to_uppercase(), "cost": cost, "spec_replicas": 1, "current": 1, "desired": 1,
            "bounds": {"min": 1, "max": max}, "gpus_per_replica": 1, "pods": [],
        })
    };
    let model = |id: &&str| {
        json!({
            "key": {"namespace": "models", "model_id": id}, "source": "answered",
            "variants": [variant("a100", 10.0, 8), variant("h100", 30.0, 2)],
        })
    };
    let models: Vec<_> = models.iter().map(model).collect();
    let state =
        json!({"lastCycle": {"at": NOW, "snapshot": {"models": models}, "plan": {"targets": [], "models": []}}});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    std::fs::write(&file, state.to_string()).unwrap();
    (folder, file)
}

fn simulated(args: &[&str]) -> Value {
    let (_folder, file) = state(&["meta/llama"]);
    let line = [&["simulate", "--seeds", "1", "-o", "json", "--file", file.to_str().unwrap()], args].concat();
    let answer = wva(&line, None);
    assert_eq!(answer.code, 0, "{}", answer.err);
    serde_json::from_str(&answer.out).unwrap()
}

fn of<'a>(view: &'a Value, policy: &str) -> &'a Value {
    view["policies"].as_array().unwrap().iter().find(|it| it["name"] == policy).unwrap()
}

#[test]
fn policies_are_compared_on_the_models_limits_and_costs_and_what_is_assumed_is_said() {
    let (_folder, file) = state(&["meta/llama"]);
    let line = ["simulate", "--seeds", "1", "--rate", "2", "--times", "5", "--file", file.to_str().unwrap()];
    let answer = wva(&line, None);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert!(
        answer.out.starts_with("meta/llama in models: a step of 2.00 requests a second, 10.00 at most, 30 minutes\n")
    );
    for expect in ["as it is", "threshold", "demand", "static", "assumed: how fast a100 is has not been learnt"] {
        assert!(answer.out.contains(expect), "no {expect}: {}", answer.out);
    }
    assert!(!answer.out.contains("no requests were seen"), "the rate was given: {}", answer.out);
    assert_eq!(wva(&line, None).out, answer.out, "the same again");
}

/// Twenty requests a second need eight replicas, and no more than ten may run.
#[test]
fn a_policy_that_grows_by_one_replica_at_a_time_keeps_less_than_one_that_sizes_for_the_load() {
    let view = simulated(&["--rate", "2", "--times", "10", "--policy", "demand,static"]);
    let kept = |policy| of(&view, policy)["attainment"].as_f64().unwrap();
    assert!(kept("as it is") < kept("demand") && kept("demand") < kept("static"), "{view}");
    let most = of(&view, "demand")["most"].as_f64().unwrap();
    assert!((8.0..=10.0).contains(&most), "{view}");
}

#[test]
fn other_thresholds_are_simulated_besides() {
    let view = simulated(&[
        "--rate",
        "2",
        "--kv-cache-threshold",
        "0.4",
        "--queue-length-threshold",
        "2",
        "--policy",
        "static",
    ]);
    let names: Vec<_> = view["policies"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["as it is", "what if", "static"]);
    assert_ne!(of(&view, "as it is")["cost"], of(&view, "what if")["cost"], "{view}");
}

#[test]
fn a_page_is_written_that_loads_nothing() {
    let (folder, file) = state(&["meta/llama"]);
    let page = folder.path().join("report.html");
    let line =
        ["simulate", "--seeds", "1", "--file", file.to_str().unwrap(), "--html", page.to_str().unwrap(), "--rate", "2"];
    assert_eq!(wva(&line, None).code, 0);
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.contains("as it is") && !text.contains("src=\"http"), "{}", text.len());
}

#[rstest]
#[case::several_models(&[], "say which model to simulate; there are meta/llama, qwen")]
#[case::another_model(&["mistral"], "say which model to simulate; there are meta/llama, qwen")]
#[case::another_namespace(&["qwen", "-n", "other"], "no controller tells of a model in ")]
#[case::another_policy(&["qwen", "--policy", "best"], "there is no policy named best")]
#[case::no_rate(&["qwen", "--rate", "0"], "it has to be a number above 0")]
#[case::another_load(&["qwen", "--load", "flood"], "possible values: step, ramp, wave, bursts, noise")]
fn what_cannot_be_simulated_is_refused(#[case] args: &[&str], #[case] expect: &str) {
    let (_folder, file) = state(&["meta/llama", "qwen"]);
    let line = [&["simulate", "--file", file.to_str().unwrap()], args].concat();
    let answer = wva(&line, None);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.contains(expect), "{}", answer.err);
}

#[test]
fn a_cluster_whose_controllers_tell_of_no_model_is_told_so() {
    let empty = FakeApi::start(|_, _| list(&[]));
    let answer = wva(&["simulate"], Some(&empty.kubeconfig));
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("no controller tells of a model in the cluster\n"), "{}", answer.err);

    let without_leader = FakeApi::start(cluster);
    let answer = wva(&["simulate"], Some(&without_leader.kubeconfig));
    assert_eq!(answer.code, 2);
    assert!(
        answer.err.contains("no controller tells of a model in the cluster: no pod of controller"),
        "{}",
        answer.err
    );
}
