//! `kubectl rollout`, and moving pods off a node.

use crate::terminal::{Terminal, assert_shows, line};

const CREATE: &str = r#"kubectl create deployment d --image=example/shell:v1 -- /bin/sh -c "$FOREVER" >/dev/null
    kubectl patch deploy d -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}' >/dev/null
    kubectl rollout status deploy/d
    "#;

#[tokio::test]
async fn a_rollout_goes_forth_and_back() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            "{CREATE} kubectl set env deploy/d V=2
            kubectl rollout status deploy/d
            kubectl rollout history deploy/d
            kubectl rollout history deploy/d --revision=3
            kubectl rollout undo deploy/d
            kubectl rollout status deploy/d
            kubectl rollout restart deploy/d
            kubectl rollout status deploy/d
            kubectl get deploy d -o jsonpath='{{.spec.template.spec.containers[0].env}}'"
        ))
        .await;
    assert_shows(&out, &["deployment.apps/d with revision #3", "V:\t2", "rolled back", "restarted"]);
    assert_eq!(out.matches("deployment \"d\" successfully rolled out").count(), 4, "{out}");
    assert!(!out.contains("\"name\":\"V\""), "{out}");
    assert_shows(
        &terminal.refused("kubectl rollout undo deploy/d --to-revision=99").await,
        &["unable to find specified revision 99"],
    );
    terminal.close().await;
}

#[tokio::test]
async fn a_paused_rollout_waits_to_be_resumed() {
    let terminal = Terminal::open().await;
    terminal.run(&format!("{CREATE} kubectl rollout pause deploy/d; kubectl set env deploy/d V=2")).await;
    assert_shows(&terminal.refused("kubectl rollout restart deploy/d").await, &["can't restart paused deployment"]);
    let out = terminal
        .run("kubectl rollout history deploy/d; kubectl rollout resume deploy/d; kubectl rollout status deploy/d")
        .await;
    assert_eq!(out.lines().filter(|line| line.ends_with("<none>")).count(), 2, "{out}");
    assert_shows(&out, &["deployment.apps/d resumed", "successfully rolled out"]);
    terminal.close().await;
}

#[tokio::test]
async fn a_drained_node_is_empty_until_it_is_uncordoned() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            "{CREATE} kubectl taint node a100-0 x=y:PreferNoSchedule
            kubectl taint node a100-0 x-
            kubectl drain a100-0 --timeout=20s
            kubectl get nodes"
        ))
        .await;
    assert_shows(&out, &["node/a100-0 untainted", "evicted", "node/a100-0 drained"]);
    assert_eq!(line(&out, "a100-0")[1], "Ready,SchedulingDisabled");
    terminal.run("kubectl wait --for=jsonpath='{.status.phase}'=Pending pod -l app=d --timeout=10s").await;
    terminal.run("kubectl uncordon a100-0; kubectl rollout status deploy/d --timeout=10s").await;
    terminal.close().await;
}
