//! Looking at things: `get` in its forms, `describe`, `explain`, `logs`, `events`, discovery.

use std::time::Duration;

use kubesim::cluster::Options;

use crate::{
    cluster::options,
    terminal::{Terminal, assert_shows, line},
};

const CREATE: &str = r#"
    kubectl create deployment web --image=example/shell:v1 --port=80 -- /bin/sh -c "echo hello; $FOREVER" >/dev/null
    kubectl run p --image=example/shell:v1 --labels=x=y --command -- /bin/sh -c "echo one; echo two; $FOREVER" >/dev/null
    kubectl expose deployment web >/dev/null
    kubectl autoscale deployment web --min=1 --max=3 --cpu=50% >/dev/null
    kubectl wait --for=condition=Available deploy/web --timeout=10s
    kubectl wait --for=condition=Ready pod/p --timeout=10s
    kubectl wait --for=jsonpath='{.status.phase}'=Running pod/p --timeout=10s
    "#;

/// A client in a pod has nothing but the variables and files that the kubelet gives it.
#[tokio::test]
async fn a_client_in_a_pod_finds_the_api_server_and_is_its_service_account() {
    let terminal = Terminal::open().await;
    let done = "kubectl wait --for=jsonpath='{.status.phase}'=Succeeded pod/inside --timeout=20s >/dev/null";
    let out = terminal
        .run(&format!(
            r"kubectl run inside --image=example/kubectl --image-pull-policy=IfNotPresent --restart=Never -- \
                auth whoami -o jsonpath='{{.status.userInfo.username}}'
            {done} || {{ kubectl logs inside; exit 1; }}
            kubectl logs inside; echo
            kubectl get service,endpoints,endpointslice kubernetes 2>/dev/null"
        ))
        .await;
    assert_shows(&out, &["system:serviceaccount:default:default"]);
    assert_shows(&out, &["service/kubernetes", "endpoints/kubernetes", "endpointslice.discovery.k8s.io/kubernetes"]);
    // Whoever takes it away gets it back.
    terminal
        .run(
            "kubectl delete service kubernetes >/dev/null
            until kubectl get service kubernetes >/dev/null 2>&1; do sleep 0.2; done",
        )
        .await;
    terminal.close().await;
}

#[tokio::test]
async fn get_prints_what_it_is_asked_for() {
    let terminal = Terminal::open().await;
    let out = terminal.run(&format!("{CREATE} kubectl get pods -o wide --show-labels")).await;
    assert_shows(&out, &["deployment.apps/web condition met", "pod/p condition met", "NOMINATED NODE"]);
    let pod = line(&out, "p");
    assert_eq!((&pod[1..4], pod[6], pod[9]), (&["1/1", "Running", "0"][..], "a100-0", "x=y"));

    let out = terminal.run("kubectl get all").await;
    let kinds =
        ["service/web", "deployment.apps/web", "replicaset.apps/web-", "horizontalpodautoscaler.autoscaling/web"];
    assert_shows(&out, &kinds);
    for (command, expected) in [
        ("-l x=y -o name", "pod/p\n"),
        ("-l 'x in (y),app notin (web)' -o name", "pod/p\n"),
        ("--field-selector=status.phase=Running,metadata.name=p -o name", "pod/p\n"),
        ("-A --chunk-size=1 --sort-by=.metadata.name -o jsonpath='{.items[0].metadata.name}'", "p"),
        ("p -o custom-columns=NAME:.metadata.name,PHASE:.status.phase", "NAME   PHASE\np      Running\n"),
    ] {
        assert_eq!(terminal.run(&format!("kubectl get pods {command}")).await, expected, "{command}");
    }
    let watched = terminal
        .run(
            r#"(exec "${KUBECTL:-kubectl}" get cm -w -o name >seen) & watcher=$!
            kubectl create cm late >/dev/null
            until grep -s late seen; do sleep 0.02; done
            kill $watcher"#,
        )
        .await;
    assert_eq!(watched, "configmap/late\n");
    terminal.close().await;
}

#[tokio::test]
async fn describe_shows_the_story_of_an_object() {
    let terminal = Terminal::open().await;
    terminal.run(CREATE).await;
    let described = async |what: &str, parts: &[&str]| {
        assert_shows(&terminal.run(&format!("kubectl describe {what}")).await, parts);
    };
    described(
        "pod p",
        &["Node:             a100-0/127.", "State:          Running", "Successfully assigned default/p"],
    )
    .await;
    described("deploy web", &["1 desired | 1 updated", "25% max surge", "NewReplicaSetAvailable", "from 0 to 1"]).await;
    described("svc web", &["Selector:                 app=web", "Endpoints:                127."]).await;
    described("hpa web", &["Min replicas:", "AbleToScale    True", "ScalingActive  False"]).await;
    described("node a100-0", &["nvidia.com/gpu:     2", "Ready            True"]).await;
    described("ns default", &["Status:       Active"]).await;
    terminal.close().await;
}

#[tokio::test]
async fn logs_and_events_tell_what_happened() {
    let terminal = Terminal::open().await;
    terminal.run(CREATE).await;
    assert_eq!(terminal.run("kubectl logs p").await, "one\ntwo\n");
    assert_eq!(terminal.run("kubectl logs p --tail=1").await, "two\n");
    assert_shows(&terminal.run("kubectl logs -l app=web --prefix").await, &["/shell] hello"]);
    assert_shows(
        &terminal.refused("kubectl logs p --previous").await,
        &["previous terminated container \"p\" in pod \"p\" not found"],
    );
    // Following ends with the pod.
    let followed = "kubectl logs p -f >followed & until grep -qs two followed; do sleep 0.02; done
        kubectl delete pod p --timeout=10s >/dev/null; wait; cat followed";
    assert_eq!(terminal.run(followed).await.lines().take(2).collect::<Vec<_>>(), ["one", "two"]);
    assert_shows(&terminal.run("kubectl events --for pod/p").await, &["Scheduled", "Pulled", "Created", "Started"]);
    assert_shows(&terminal.run("kubectl get events").await, &["pod/p", "deployment/web"]);
    terminal.close().await;
}

#[tokio::test]
async fn the_api_describes_itself() {
    let terminal = Terminal::open().await;
    let out = terminal.run("kubectl explain deployment.spec.template.spec").await;
    assert_shows(&out, &["KIND:       Deployment", "FIELD: spec <PodSpec>", "containers\t<[]Container> -required-"]);
    assert_shows(&terminal.refused("kubectl explain pod.spec.gizmo").await, &["field \"gizmo\" does not exist"]);
    let out = terminal.run("kubectl api-resources; kubectl api-versions").await;
    assert_eq!(line(&out, "deployments")[1..], ["deploy", "apps/v1", "true", "Deployment"]);
    assert_shows(&out, &["\nautoscaling/v2\n", "\nv1\n"]);
    let out = terminal.run("kubectl version; kubectl cluster-info; kubectl get --raw /readyz").await;
    assert_shows(&out, &["Server Version: v1.36", "control plane", "ok"]);
    let out = terminal.run("kubectl auth whoami; kubectl auth can-i create pods; kubectl auth can-i --list").await;
    assert_shows(&out, &["kubernetes-admin", "\nyes\n", "*.*"]);
    terminal.close().await;
}

#[tokio::test]
async fn another_identity_is_taken_on_when_nobody_is_restricted() {
    let terminal = Terminal::open().await;
    let script = "kubectl auth whoami --as=jane --as-group=team -o jsonpath='{.status.userInfo}'
        kubectl auth can-i list pods --as=jane";
    let out = terminal.run(script).await;
    assert_shows(&out, &[r#""username":"jane""#, r#"["team","system:authenticated"]"#, "yes"]);
    terminal.close().await;
}

#[tokio::test]
async fn top_shows_what_pods_and_nodes_use() {
    let terminal =
        Terminal::open_with(Options { metrics_resolution: Some(Duration::from_millis(400)), ..options() }).await;
    let out = terminal
        .run(
            r#"kubectl run p --image=example/shell -- -c "$FOREVER" >/dev/null
            until kubectl top pods 2>/dev/null | grep -q '^p '; do sleep 0.2; done
            kubectl top pods; kubectl top pod p --containers; kubectl top nodes"#,
        )
        .await;
    assert_eq!(line(&out, "NAME"), ["NAME", "CPU(cores)", "MEMORY(bytes)"]);
    assert!(line(&out, "p")[2].ends_with("Mi"), "{out}");
    assert!(line(&out, "a100-0")[1].ends_with('m'), "{out}");
    terminal.close().await;
    let terminal = Terminal::open().await;
    assert_shows(&terminal.refused("kubectl top pods").await, &["error: Metrics API not available"]);
    terminal.close().await;
}
