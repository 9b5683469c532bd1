//! What the plugin says to people with few rights, where rights are enforced.

use kubesim::apiserver::Authorization;
use serde_json::Value;
use wva_e2e::environment::{Environment, Settings};
use wva_e2e::harness::with_settings;
use wva_e2e::instance::Controller;
use wva_e2e::kubectl::Kubectl;

use crate::fixture::{ADD, serve, settled, steady};

/// Somebody who may read variants, Deployments and HPAs of namespace `models`, and nothing else.
const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: models}
rules:
  - {apiGroups: [llmd.ai], resources: [variantautoscalings], verbs: [get, list]}
  - {apiGroups: [apps], resources: [deployments], verbs: [get, list]}
  - {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: models}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
";

#[tokio::test(flavor = "multi_thread")]
async fn few_rights_give_a_part_of_the_answer_and_no_rights_a_sentence() {
    let enforced = |settings| Settings { authorization: Authorization::Rbac, ..settings };
    with_settings(enforced, async |environment: &Environment| {
        let kubectl = environment.kubectl();
        Controller::quick("wva", "wva-system", "", environment.prometheus().url()).install(kubectl).await.unwrap();
        serve(environment).await;
        kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        settled(kubectl).await;
        kubectl.apply(READER).await.unwrap();

        nobody(kubectl).await;
        reader(kubectl).await;
    })
    .await;
}

async fn nobody(kubectl: &Kubectl) {
    let commands: [&[&str]; 14] = [
        &["status", "-n", "models"],
        &["status", "-A"],
        &["list-models", "-n", "models"],
        &["instances"],
        &["explain", "llama", "-n", "models"],
        &["doctor", "-n", "models"],
        &ADD,
        &["remove-model", "llama", "-n", "models"],
        &["set", "llama", "--max", "3", "-n", "models"],
        &["move", "llama", "--to", "team-b", "-n", "models"],
        &["history", "llama", "-n", "models"],
        &["logs", "llama", "-n", "models"],
        &["cost", "-n", "models"],
        &["top", "-n", "models"],
    ];
    for command in commands {
        let answer = kubectl.answer(&[command, &["--as", "nobody"]].concat()).await.unwrap();
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{command:?}");
        let lines: Vec<&str> = answer.err.lines().collect();
        let [error, hint] = lines.as_slice() else { panic!("one sentence and one hint: {command:?}\n{}", answer.err) };
        assert!(error.starts_with("error: could not ") && error.contains("\"nobody\""), "{error}");
        assert!(hint.starts_with("hint: ask for the rights"), "{hint}");
    }
    let report = report(kubectl, "nobody").await;
    assert_eq!((report.0, report.1["contents"].to_string().contains("objects/")), (Some(2), false), "{:#}", report.1);
}

async fn reader(kubectl: &Kubectl) {
    let ask =
        async |args: &[&str]| kubectl.answer(&[args, &["-n", "models", "--as", "reader"]].concat()).await.unwrap();
    for (name, command, code) in [
        ("reader_status", &["status"][..], 2),
        ("reader_list_models", &["list-models"], 0),
        ("reader_explain", &["explain", "llama"], 0),
        ("reader_doctor", &["doctor"], 2),
    ] {
        let answer = ask(command).await;
        assert_eq!(answer.code, Some(code), "{name}: {answer:?}");
        insta::assert_snapshot!(name, steady(&format!("{}--- beside it:\n{}", answer.out, answer.err)));
    }
    let named = ask(&["add-model", "llama", "--model-id", "meta/llama", "--instance", ""]).await;
    assert!(named.code == Some(2) && named.err.contains("forbidden"), "{named:?}");

    let (code, report) = report(kubectl, "reader").await;
    assert_eq!(code, Some(0), "{report:#}");
    insta::assert_snapshot!("reader_report_contents", lines(&report["contents"]));
    insta::assert_snapshot!("reader_report_unread", lines(&report["unread"]));
}

async fn report(kubectl: &Kubectl, user: &str) -> (Option<i32>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.zip").display().to_string();
    let answer = kubectl.answer(&["report", "-n", "models", "-f", &file, "-o", "json", "--as", user]).await.unwrap();
    (answer.code, serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

fn lines(list: &Value) -> String {
    let texts = list.as_array().unwrap().iter().filter_map(Value::as_str);
    steady(&texts.collect::<Vec<_>>().join("\n"))
}
