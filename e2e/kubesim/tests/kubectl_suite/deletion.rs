//! `kubectl delete` with its options.

use crate::terminal::{Terminal, assert_shows};

#[tokio::test]
async fn a_finalizer_holds_an_object_until_it_is_removed() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(
            r#"kubectl create cm c --from-literal=a=b
            kubectl patch cm c --type merge -p '{"metadata":{"finalizers":["example.com/x"]}}'
            kubectl delete cm c --wait=false
            kubectl get cm c -o jsonpath='{.metadata.deletionTimestamp}{.metadata.finalizers}{"\n"}'
            kubectl patch cm c --type json -p '[{"op":"remove","path":"/metadata/finalizers"}]'
            kubectl wait --for=delete cm/c --timeout=5s"#,
        )
        .await;
    assert_shows(&out, &["configmap \"c\" deleted", "Z[\"example.com/x\"]\n"]);
    assert_shows(&terminal.refused("kubectl get cm c").await, &["configmaps \"c\" not found"]);
    terminal.close().await;
}

#[tokio::test]
async fn cascading_decides_what_becomes_of_dependents() {
    let terminal = Terminal::open().await;
    let create = r#"kubectl create deployment d --image=example/shell:v1 -- /bin/sh -c "$FOREVER"
        kubectl rollout status deploy/d
        "#;
    terminal.run(&format!("{create} kubectl delete deploy d --cascade=orphan")).await;
    assert_eq!(terminal.run("kubectl get rs,pods -o name").await.lines().count(), 2);
    terminal.run("kubectl delete rs -l app=d --cascade=foreground --timeout=10s").await;
    assert_eq!(terminal.run("kubectl get rs,pods -l app=d -o name").await, "");

    let out = terminal.run(&format!("{create} kubectl delete deploy d --dry-run=server; kubectl get deploy d")).await;
    assert_shows(&out, &["(server dry run)", "1/1"]);
    terminal.close().await;
}

#[tokio::test]
async fn a_pod_that_does_not_stop_is_killed_after_its_grace_period() {
    let terminal = Terminal::open().await;
    let stubborn = |name: &str| {
        format!(
            "kubectl run {name} --image=example/shell:v1 --command -- \
             /bin/sh -c \"trap '' TERM; while true; do sleep 0.05; done\"
             kubectl wait --for=condition=Ready pod/{name} --timeout=10s
             "
        )
    };
    terminal.run(&format!("{} kubectl delete pod slow --grace-period=1 --timeout=10s", stubborn("slow"))).await;
    let out = terminal.run(&format!("{} kubectl delete pod now --force --grace-period=0", stubborn("now"))).await;
    assert_shows(&out, &["pod \"now\" force deleted"]);
    assert_shows(
        &terminal.run("kubectl delete pod now --ignore-not-found; kubectl get pods").await,
        &["No resources found"],
    );
    terminal.close().await;
}

#[tokio::test]
async fn a_namespace_goes_with_what_is_in_it() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(
            "kubectl create ns team
            kubectl create cm c -n team
            kubectl create deployment d -n team --image=example/shell:v1 -- /bin/sh -c \"$FOREVER\"
            kubectl rollout status deploy/d -n team
            kubectl delete ns team --timeout=20s
            kubectl get all,cm -A -l app=d",
        )
        .await;
    assert_shows(&out, &["namespace \"team\" deleted", "No resources found"]);
    assert_shows(&terminal.refused("kubectl create cm c -n team").await, &["namespaces \"team\" not found"]);
    terminal.close().await;
}
