//! Small changes of one object: patches, labels, annotations, `set`, subresources.

use rstest::rstest;

use crate::terminal::{Terminal, assert_shows, line};

/// A Deployment without pods.
const CREATE: &str = "kubectl create deployment d --image=example/shell:v1 --replicas=0 >/dev/null
    kubectl set env deploy/d A=1 B=2 >/dev/null\n";

#[rstest]
#[case::strategic(
    r#"-p '{"spec":{"template":{"spec":{"containers":[{"name":"shell","env":[{"name":"A","$patch":"delete"}]}]}}}}'"#,
    r#"[{"name":"B","value":"2"}]"#
)]
#[case::merge(
    r#"--type merge -p '{"spec":{"template":{"spec":{"containers":[{"name":"shell","image":"i","env":[{"name":"Z"}]}]}}}}'"#,
    r#"[{"name":"Z"}]"#
)]
#[case::json(
    r#"--type json -p '[{"op":"test","path":"/spec/replicas","value":0},
        {"op":"remove","path":"/spec/template/spec/containers/0/env/1"}]'"#,
    r#"[{"name":"A","value":"1"}]"#
)]
#[tokio::test]
async fn every_type_of_patch_works(#[case] patch: &str, #[case] env: &str) {
    let terminal = Terminal::open().await;
    let show = "kubectl get deploy d -o jsonpath='{.spec.template.spec.containers[0].env}'";
    assert_eq!(terminal.run(&format!("{CREATE} kubectl patch deploy d {patch} >/dev/null; {show}")).await, env);
    terminal.close().await;
}

#[rstest]
#[case(
    r#"--type json -p '[{"op":"test","path":"/spec/replicas","value":7}]'"#,
    "the server rejected our request due to an error in our request"
)]
#[case(
    r#"--type json -p '[{"op":"remove","path":"/spec/gone"}]'"#,
    "the server rejected our request due to an error in our request"
)]
#[case(r#"--type merge -p '{"spec":{"replicas":"x"}}'"#, "cannot unmarshal string into Go struct field")]
#[case(r#"-p '{"spec":{"replicas":-1}}'"#, "spec.replicas: Invalid value: -1: must be greater than or equal to 0")]
#[case(
    r#"--type merge -p '{"metadata":{"resourceVersion":"1"}}'"#,
    "the object has been modified; please apply your changes"
)]
#[case(
    r#"--type merge -p '{"spec":{"selector":{"matchLabels":{"app":"e"}}}}'"#,
    "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"e\"}}: field is immutable"
)]
#[tokio::test]
async fn a_bad_patch_changes_nothing(#[case] patch: &str, #[case] expected: &str) {
    let terminal = Terminal::open().await;
    assert_shows(&terminal.refused(&format!("{CREATE} kubectl patch deploy d {patch}")).await, &[expected]);
    terminal.close().await;
}

#[tokio::test]
async fn labels_annotations_and_pod_templates_are_set_without_a_manifest() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            "{CREATE} kubectl label deploy d x=y
            kubectl label deploy d x=z --overwrite
            kubectl annotate deploy d note=hi
            kubectl annotate deploy d note-
            kubectl set image deploy/d shell=example/shell:v2
            kubectl set resources deploy/d --limits=cpu=1,memory=1Gi
            kubectl set serviceaccount deploy/d default
            kubectl get deploy d --show-labels -o wide --no-headers
            kubectl set env deploy/d --list"
        ))
        .await;
    assert!(!out.contains("Warning"), "{out}");
    assert_shows(&out, &["example/shell:v2", "app=d,x=z", "A=1\nB=2\n"]);
    let refusal = terminal.refused("kubectl label deploy d x=again").await;
    assert_shows(&refusal, &["'x' already has a value (z), and --overwrite is false"]);
    terminal.close().await;
}

#[tokio::test]
async fn subresources_leave_the_rest_alone() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            r#"{CREATE} kubectl patch deploy d --subresource=status --type merge -p '{{"spec":{{"replicas":9}}}}'
            kubectl patch deploy d --type merge -p '{{"status":{{"replicas":9}}}}'
            kubectl get deploy d -o jsonpath='{{.spec.replicas}} {{.status.replicas}}{{"\n"}}'
            kubectl get deploy d --subresource=scale"#
        ))
        .await;
    // Go leaves the zero of a status out.
    assert_shows(&out, &["\n0 \n"]);
    assert_eq!(line(&out, "NAME"), ["NAME", "DESIRED", "AVAILABLE", "AGE"]);
    assert_eq!(line(&out, "d")[1..3], ["0", "0"]);
    let out = terminal.run("kubectl scale deploy d --replicas=1; kubectl rollout status deploy d").await;
    assert_shows(&out, &["deployment.apps/d scaled"]);
    assert_shows(
        &terminal.refused("kubectl scale deploy d --replicas=3 --current-replicas=2").await,
        &["Expected replicas to be 2, was 1"],
    );
    terminal.close().await;
}
