//! Both kinds of `kubectl apply`, and what else works on whole manifests.

use crate::terminal::{FOREVER, Terminal, assert_shows, line};

/// A Deployment with the environment and number of replicas given.
fn manifest(replicas: &str, env: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: d, labels: {{app: d}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: d}}}}
  template:
    metadata: {{labels: {{app: d}}}}
    spec:
      containers:
      - {{name: c, image: "example/shell:v1", args: ["-c", "{FOREVER}"], env: {env}, ports: [{{containerPort: 8080}}]}}
      - {{name: side, image: "example/shell:v1", args: ["-c", "{FOREVER}"]}}
"#
    )
}

const ENV: &str = "kubectl get deploy d -o jsonpath='{.spec.template.spec.containers[0].env}'";

#[tokio::test]
async fn client_side_apply_changes_what_the_manifest_changes() {
    let terminal = Terminal::open().await;
    terminal.file("1.yaml", &manifest("1", r#"[{name: A, value: "1"}, {name: B, value: "2"}]"#));
    terminal.file("2.yaml", &manifest("2", r#"[{name: A, value: "1"}, {name: C, value: "3"}]"#));
    assert_shows(&terminal.run("kubectl apply -f 1.yaml").await, &["deployment.apps/d created"]);
    assert_shows(&terminal.run("kubectl apply -f 1.yaml").await, &["deployment.apps/d unchanged"]);

    let difference = terminal.refused("kubectl diff -f 2.yaml").await;
    assert_shows(&difference, &["-  replicas: 1\n+  replicas: 2", "-        - name: B", "+        - name: C"]);
    assert!(!difference.contains("Warning"), "{difference}");
    assert_shows(&terminal.run("kubectl apply -f 2.yaml").await, &["deployment.apps/d configured"]);
    assert_eq!(terminal.run(ENV).await, r#"[{"name":"A","value":"1"},{"name":"C","value":"3"}]"#);

    terminal.run("kubectl rollout status deploy/d; kubectl replace -f 1.yaml").await;
    assert_eq!(terminal.run(ENV).await, r#"[{"name":"A","value":"1"},{"name":"B","value":"2"}]"#);
    terminal.close().await;
}

#[tokio::test]
async fn server_side_apply_names_conflicts_and_removes_what_is_left_out() {
    let terminal = Terminal::open().await;
    terminal.file("1.yaml", &manifest("1", r#"[{name: A, value: "1"}, {name: B, value: "2"}]"#));
    terminal.file("2.yaml", &manifest("2", r#"[{name: A, value: "9"}]"#));
    terminal.run("kubectl apply --server-side --field-manager one -f 1.yaml").await;
    let refusal = terminal.refused("kubectl apply --server-side --field-manager two -f 2.yaml").await;
    let expected = "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.replicas\n\
                    - .spec.template.spec.containers[name=\"c\"].env[name=\"A\"].value\n";
    assert_shows(&refusal, &[expected]);

    terminal.run("kubectl apply --server-side --field-manager two -f 2.yaml --force-conflicts").await;
    assert_eq!(terminal.run(ENV).await, r#"[{"name":"A","value":"9"},{"name":"B","value":"2"}]"#);
    // Only `one` applied B, so B goes when `one` no longer does.
    terminal.run("kubectl apply --server-side --field-manager one -f 2.yaml").await;
    assert_eq!(terminal.run(ENV).await, r#"[{"name":"A","value":"9"}]"#);
    terminal.close().await;
}

#[tokio::test]
async fn what_was_applied_by_the_client_moves_to_server_side_apply() {
    let terminal = Terminal::open().await;
    terminal.file("c.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '1', b: '2'}}");
    terminal.file("d.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '1'}}");
    terminal.run("kubectl apply -f c.yaml").await;
    let out = terminal.run("kubectl apply --server-side -f c.yaml").await;
    assert_eq!(out, "configmap/c serverside-applied\n");
    let managers = r"kubectl get cm c --show-managed-fields -o jsonpath='{.metadata.managedFields[*].manager}'";
    assert_eq!(terminal.run(managers).await, "kubectl kubectl-last-applied");
    // The client's field is now one of the server's apply, and goes with it.
    terminal.run("kubectl apply --server-side -f d.yaml").await;
    assert_eq!(terminal.run("kubectl get cm c -o jsonpath={.data}").await, r#"{"a":"1"}"#);
    terminal.close().await;
}

#[tokio::test]
async fn unknown_and_mistyped_fields_are_refused() {
    let terminal = Terminal::open().await;
    let good = manifest("1", "[]");
    terminal
        .file("unknown.yaml", &good.replace("replicas:", "replica:").replace("image:", "imagePulPolicy: x, image:"));
    terminal.file("mistyped.yaml", &good.replace("replicas: 1", "replicas: many"));
    terminal.file(
        "unselected.yaml",
        &good.replace("template:\n    metadata: {labels: {app: d}}", "template:\n    metadata: {labels: {app: e}}"),
    );

    let refusal = terminal.refused("kubectl apply -f unknown.yaml").await;
    // In the order in which kubectl sends them.
    let expected = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \
                    \"spec.replica\", unknown field \"spec.template.spec.containers[0].imagePulPolicy\"";
    assert_shows(&refusal, &[expected]);
    let refusal = terminal.refused("kubectl create -f mistyped.yaml --validate=false").await;
    assert_shows(&refusal, &["json: cannot unmarshal string into Go struct field", "spec.replicas of type int32"]);
    let refusal = terminal.refused("kubectl apply -f unselected.yaml").await;
    assert_shows(
        &refusal,
        &["spec.template.metadata.labels: Invalid value", "`selector` does not match template `labels`"],
    );
    terminal.refused("kubectl get deploy d").await;

    let out = terminal.run("kubectl apply -f unknown.yaml --validate=warn").await;
    assert_shows(&out, &["Warning: unknown field \"spec.replica\"", "deployment.apps/d created"]);
    terminal.close().await;
}

#[tokio::test]
async fn prune_deletes_what_the_manifests_no_longer_have() {
    let terminal = Terminal::open().await;
    let map = |name: &str| {
        format!("---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, labels: {{app: x}}}}}}\n")
    };
    terminal.file("both.yaml", &format!("{}{}", map("a"), map("b")));
    terminal.file("one.yaml", &map("a"));
    let prune = "--prune -l app=x --prune-allowlist=core/v1/ConfigMap";
    terminal.run(&format!("kubectl apply -f both.yaml {prune}")).await;
    let out = terminal.run(&format!("kubectl apply -f one.yaml {prune}; kubectl get cm -l app=x --no-headers")).await;
    assert_shows(&out, &["configmap/a unchanged", "configmap/b pruned"]);
    assert_eq!(line(&out, "a")[1], "0");
    terminal.close().await;
}
