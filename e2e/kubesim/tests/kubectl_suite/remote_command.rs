//! `kubectl exec`, `cp`, `attach`, `run -i` and `port-forward`.

use rstest::rstest;

use crate::terminal::{Terminal, assert_shows};

/// How kubectl speaks by itself, since 1.31.
const WEBSOCKETS: &str = "";
/// How older ones do, and those behind proxies that pass nothing else on.
const SPDY: &str = "export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false KUBECTL_PORT_FORWARD_WEBSOCKETS=false";

const CREATE: &str = r#"
    kubectl apply -f- <<'POD' >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
    - {name: data, emptyDir: {}}
  containers:
    - name: main
      image: example/shell
      args: ["-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"]
      env: [{name: GREETING, value: hello}]
      volumeMounts: [{name: data, mountPath: /opt/example/data}]
    - name: side
      image: example/shell
      args: ["-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"]
POD
    kubectl wait --for=condition=Ready pod/p --timeout=20s >/dev/null
    "#;

#[tokio::test]
async fn a_command_runs_in_the_environment_of_its_container() {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            r#"{CREATE}
            kubectl exec p -c main -- sh -c 'echo "$GREETING from $HOSTNAME"; echo on stderr >&2; echo 5 >/opt/example/data/n'
            kubectl exec p -c main -- cat /opt/example/data/n /var/run/secrets/kubernetes.io/serviceaccount/namespace
            echo; kubectl exec p -c side -- sh -c 'echo greeting=$GREETING; test -e /opt/example || echo nothing here'"#
        ))
        .await;
    assert_shows(&out, &["hello from p", "on stderr", "5\ndefault\n", "greeting=\nnothing here"]);
    let out = terminal.run("kubectl exec p -- true").await;
    assert_shows(&out, &["Defaulted container \"main\" out of: main, side"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn the_exit_code_of_a_command_is_that_of_kubectl(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            "{protocol}{CREATE}
            code=0; kubectl exec p -c main -- sh -c 'exit 3' || code=$?; echo \"code $code\"
            code=0; kubectl exec p -c main -- sh -c 'kill -9 $$' || code=$?; echo \"code $code\"
            code=0; kubectl exec p -c main -- no-such-program || code=$?; echo \"code $code\""
        ))
        .await;
    assert_shows(&out, &["command terminated with exit code 3", "code 3", "code 137", "code 1\n"]);
    assert_shows(&out, &["exec: \"no-such-program\": executable file not found in $PATH"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn input_is_piped_to_a_command_until_it_ends(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    // More than fits into any buffer on the way, and back again.
    let out = terminal
        .run(&format!(
            "{protocol}{CREATE}
            head -c 3000000 /dev/urandom >sent
            kubectl exec -i p -c main -- cat <sent >received
            cmp sent received && wc -c <received
            printf 'a\\nb\\nc\\n' | kubectl exec -i p -c main -- wc -l"
        ))
        .await;
    assert_shows(&out, &["3000000", "3\n"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn files_are_copied_both_ways(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    terminal.file("tree/a.txt", "alpha");
    terminal.file("tree/deep/b.txt", "beta");
    let out = terminal
        .run(&format!(
            "{protocol}{CREATE}
            kubectl cp tree p:/opt/example/data/tree -c main
            kubectl exec p -c main -- cat /opt/example/data/tree/deep/b.txt; echo
            kubectl cp p:/opt/example/data/tree back -c main
            cat back/a.txt back/deep/b.txt"
        ))
        .await;
    assert_shows(&out, &["beta\n", "alphabeta"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn a_terminal_has_the_size_of_the_clients(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    // `script` gives kubectl a terminal of its own.
    let out = terminal
        .run(&format!(
            r#"{protocol}{CREATE}
            kubectl exec p -c main -- sh -c 'test -t 1 || echo no terminal'
            script -qec 'stty rows 33 columns 101; exec "${{KUBECTL:-kubectl}}" exec -it p -c main -- sh -c "until stty size | grep -q 33; do sleep 0.05; done; stty size; tty; echo \$TERM"' /dev/null </dev/null"#
        ))
        .await;
    assert_shows(&out, &["no terminal", "33 101", "/dev/pts/", "xterm"]);
    terminal.close().await;
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let terminal = Terminal::open().await;
    terminal.run(CREATE).await;
    let out = terminal.refused("kubectl exec p -c nope -- true").await;
    assert_shows(&out, &["container nope is not valid for pod p"]);
    terminal
        .run(
            "kubectl run absent --image=example/none >/dev/null
            kubectl run over --image=example/shell --restart=Never -- -c true >/dev/null
            kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/over --timeout=20s >/dev/null
            until kubectl get pod absent -o jsonpath='{.spec.nodeName}' | grep -q .; do sleep 0.05; done",
        )
        .await;
    let out = terminal.refused("kubectl exec absent -- true").await;
    assert_shows(
        &out,
        &["error: Internal error occurred: unable to upgrade connection: container not found (\"absent\")"],
    );
    let out = terminal.refused("kubectl exec over -- true").await;
    assert_shows(&out, &["cannot exec into a container in a completed pod; current phase is Succeeded"]);
    let out = terminal.refused("KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false kubectl exec absent -- true").await;
    assert_shows(&out, &["unable to upgrade connection: container not found (\"absent\")"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn a_client_attaches_to_a_container_that_reads(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    let out = terminal
        .run(&format!(
            r#"
            {protocol}
            (until kubectl get pod c -o jsonpath='{{.status.phase}}' 2>/dev/null | grep -q Running; do sleep 0.05; done
             echo one; echo two) |
                kubectl run c --image=example/shell --restart=Never -i --rm --quiet -- -c 'while read -r l; do echo "got $l"; done'
            kubectl get pods
            "#,
        ))
        .await;
    assert_shows(&out, &["got one\ngot two\n", "No resources found"]);
    terminal.close().await;
}

#[rstest]
#[case::websockets(WEBSOCKETS)]
#[case::spdy(SPDY)]
#[tokio::test]
async fn ports_of_a_pod_are_forwarded(#[case] protocol: &str) {
    let terminal = Terminal::open().await;
    // What listens in the pod is a proxy to the cluster's own API.
    let out = terminal
        .run(&format!(
            r#"
            {protocol}
            kubectl run api --image=example/kubectl -- proxy --port=8001 '--address=$(BIND_HOST)' '--accept-hosts=.*' >/dev/null
            kubectl wait --for=condition=Ready pod/api --timeout=20s >/dev/null
            until kubectl logs api | grep -q Starting; do sleep 0.05; done
            (exec "${{KUBECTL:-kubectl}}" port-forward pod/api :8001 :8002 >forwarded 2>problems) & forward=$!
            until [ "$(grep -c 'Forwarding from 127' forwarded)" = 2 ]; do sleep 0.05; done
            port() {{ sed -n "s/.*127.0.0.1:\([0-9]*\) -> $1/\1/p" forwarded; }}
            for _ in 1 2 3; do
                kubectl --kubeconfig=/dev/null --server="http://127.0.0.1:$(port 8001)" \
                    get --raw /api/v1/namespaces/default/pods/api | grep -o '"name":"api"' | head -1
            done
            kubectl --kubeconfig=/dev/null --server="http://127.0.0.1:$(port 8002)" get --raw /version 2>/dev/null || true
            until grep -q 8002 problems; do sleep 0.05; done
            # It leaves by itself when a connection fails.
            wait "$forward" || cat problems
            "#
        ))
        .await;
    assert_shows(&out, &["\"name\":\"api\"\n\"name\":\"api\"\n\"name\":\"api\"\n"]);
    assert_shows(&out, &["error forwarding port 8002 to pod api", "Connection refused"]);
    terminal.close().await;
}
