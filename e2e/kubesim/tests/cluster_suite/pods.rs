//! What the node agent makes of a pod.

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::{
    Api, Resource,
    api::{DeleteParams, LogParams},
};
use serde_json::json;

use crate::fixture::{NAMESPACE, TestCluster, eventually, forever, is_gone, is_ready, marker, pod, processes, shell};

/// The log straight from the node, where the API server fetches it for `kubectl logs`.
async fn node_log(test: &TestCluster, pod: &str, query: &str) -> String {
    let node = Api::<Node>::all(test.cluster.client()).get("a100-0").await.unwrap();
    let status = node.status.unwrap();
    let address = &status.addresses.unwrap()[0].address;
    let port = status.daemon_endpoints.unwrap().kubelet_endpoint.unwrap().port;
    let url = format!("https://{address}:{port}/containerLogs/{NAMESPACE}/{pod}/main{query}");
    // Its certificate is of its own making.
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    client.get(url).send().await.unwrap().text().await.unwrap()
}

fn restarts(pod: &Pod) -> i32 {
    pod.status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref())
        .map_or(0, |statuses| statuses[0].restart_count)
}

#[tokio::test]
async fn a_container_gets_env_volumes_and_identity() {
    let test = TestCluster::start().await;
    test.create::<ConfigMap>(
        json!({"metadata": {"name": "settings"}, "data": {"app.yaml": "level: debug", "MODE": "fast"}}),
    )
    .await;
    test.create::<Secret>(json!({"metadata": {"name": "key"}, "stringData": {"value": "s3cret"}})).await;
    let script = "cat /etc/app/app.yaml; echo; \
        echo name=$NAME mode=$MODE secret=$SECRET arg=$0; \
        echo ip=$IP bind=$BIND_HOST; \
        echo namespace=$(cat $ACCOUNT/namespace) token=$(wc -c < $ACCOUNT/token); \
        cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; \
        wc -l < /var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "config", "configMap": {"name": "settings"}}],
        "containers": [{
            "name": "main",
            "image": "example/shell",
            "args": ["-c", script, "$(NAME)-x"],
            "env": [
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MODE"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "key", "key": "value"}}},
                {"name": "ACCOUNT", "value": "/var/run/secrets/kubernetes.io/serviceaccount"},
            ],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}],
        }],
    });
    test.create::<Pod>(pod("task", &spec)).await;
    let succeeded = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Succeeded");
    let done = test.until("task", "succeeded", succeeded).await.unwrap();
    let ip = done.status.unwrap().pod_ip.unwrap();
    let [a, b] = test.cluster.network();
    assert!(ip.starts_with(&format!("{a}.{b}.1.")), "{ip}");
    let log = node_log(&test, "task", "").await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "level: debug");
    assert_eq!(lines[1], "name=task mode=fast secret=s3cret arg=task-x");
    assert_eq!(lines[2], format!("ip={ip} bind={ip}"));
    assert!(lines[3].starts_with("namespace=default token=") && !lines[3].ends_with("token=0"), "{}", lines[3]);
    assert_eq!(lines[4], "default");
    assert_ne!(lines[5].trim(), "0", "the certificate of the cluster's authority");
    test.shutdown().await;
}

#[tokio::test]
async fn logs_reach_a_client_through_the_api_server() {
    let test = TestCluster::start().await;
    test.create::<Pod>(pod("talker", &shell(&format!("echo one; echo two >&2; {}", forever(&marker()))))).await;
    test.until("talker", "ready", is_ready).await;
    eventually("logged", async || node_log(&test, "talker", "").await.lines().count() == 2).await;
    let tail = LogParams { tail_lines: Some(1), ..LogParams::default() };
    let all = test.api::<Pod>().logs("talker", &LogParams::default()).await.unwrap();
    assert_eq!(all.lines().collect::<std::collections::BTreeSet<_>>(), ["one", "two"].into());
    assert_eq!(test.api::<Pod>().logs("talker", &tail).await.unwrap().lines().count(), 1);
    test.shutdown().await;
}

#[tokio::test]
async fn a_crashing_container_backs_off_and_keeps_its_last_words() {
    let test = TestCluster::start().await;
    test.create::<Pod>(pod("crash", &shell("echo dying; exit 3"))).await;
    let crashed =
        test.until("crash", "restarted twice", |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) >= 2)).await;
    let statuses = crashed.unwrap().status.unwrap().container_statuses.unwrap();
    let last = statuses[0].last_state.clone().unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    let backing_off = |pod: Option<&Pod>| {
        let statuses = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
        let waiting = statuses.and_then(|statuses| statuses[0].state.as_ref()?.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    };
    test.until("crash", "backing off", backing_off).await;
    assert_eq!(node_log(&test, "crash", "?previous=true").await, "dying\n");
    eventually("told in events", async || {
        test.events("crash")
            .await
            .iter()
            .any(|event| event.starts_with("BackOff: Back-off restarting failed container main"))
    })
    .await;
    test.shutdown().await;
}

#[tokio::test]
async fn an_image_without_a_program_says_which_ones_there_are() {
    let test = TestCluster::start().await;
    let spec = json!({"containers": [{"name": "main", "image": "nginx:1.27"}]});
    test.create::<Pod>(pod("stranger", &spec)).await;
    let waiting = |pod: Option<&Pod>| {
        let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
        statuses[0].state.as_ref()?.waiting.clone()
    };
    let refused =
        |pod: Option<&Pod>| waiting(pod).is_some_and(|waiting| waiting.reason.as_deref() == Some("ImagePullBackOff"));
    let pod = test.until("stranger", "refused", refused).await;
    assert_eq!(
        waiting(pod.as_ref()).unwrap().message.as_deref(),
        Some(
            "Back-off pulling image \"nginx:1.27\": ErrImagePull: failed to pull image \"nginx:1.27\": no local program \
             is mapped to it; mapped are: example/kubectl, example/shell"
        )
    );
    eventually("told", async || {
        let events = test.events("stranger").await;
        ["Failed: Error: ErrImagePull", "BackOff: Back-off pulling image \"nginx:1.27\""]
            .iter()
            .all(|wanted| events.iter().any(|event| event == wanted))
    })
    .await;
    test.shutdown().await;
}

#[tokio::test]
async fn what_the_kubelet_does_not_start_says_why() {
    let test = TestCluster::start().await;
    let never = json!({"containers": [{"name": "main", "image": "nginx:1.27", "imagePullPolicy": "Never"}]});
    test.create::<Pod>(pod("absent", &never)).await;
    let mut root = shell("true");
    root["securityContext"] = json!({"runAsNonRoot": true, "runAsUser": 0});
    let made = test.create::<Pod>(pod("root", &root)).await;
    for (name, reason, message) in [
        (
            "absent",
            "ErrImageNeverPull",
            "Container image \"nginx:1.27\" is not present with pull policy of Never".to_owned(),
        ),
        (
            "root",
            "CreateContainerConfigError",
            format!(
                "container's runAsUser breaks non-root policy (pod: \"root_default({})\", container: main)",
                made.metadata.uid.unwrap()
            ),
        ),
    ] {
        let waiting = |pod: Option<&Pod>| {
            let statuses = pod?.status.as_ref()?.container_statuses.as_ref()?;
            statuses[0].state.as_ref()?.waiting.clone()
        };
        let says = |pod: Option<&Pod>| {
            waiting(pod).is_some_and(|waiting| {
                waiting.reason.as_deref() == Some(reason) && waiting.message.as_deref() == Some(message.as_str())
            })
        };
        test.until(name, &message, says).await;
    }
    test.shutdown().await;
}

#[tokio::test]
async fn a_process_that_ignores_term_is_killed_after_its_grace_period() {
    let test = TestCluster::start().await;
    let marker = marker();
    let mut spec = shell(&format!(": {marker}; trap '' TERM; sh -c ': {marker}; while true; do sleep 0.1; done'"));
    spec["terminationGracePeriodSeconds"] = json!(1);
    test.create::<Pod>(pod("stubborn", &spec)).await;
    test.until("stubborn", "ready", is_ready).await;
    eventually("running with its child", async || processes(&marker) == 2).await;
    let deleted = test.api::<Pod>().delete("stubborn", &DeleteParams::default()).await.unwrap();
    assert!(deleted.left().unwrap().meta().deletion_timestamp.is_some(), "deletion is graceful");
    test.until::<Pod>("stubborn", "gone", is_gone).await;
    assert_eq!(processes(&marker), 0);
    test.shutdown().await;
}

#[tokio::test]
async fn liveness_failures_restart_and_readiness_failures_take_traffic_away() {
    let test = TestCluster::start().await;
    let probe = json!({"tcpSocket": {"port": 4999}, "periodSeconds": 1, "failureThreshold": 1});
    let mut unready = shell(&forever(&marker()));
    unready["containers"][0]["readinessProbe"] = probe.clone();
    let mut unhealthy = shell(&forever(&marker()));
    unhealthy["containers"][0]["livenessProbe"] = probe;
    test.create::<Pod>(pod("unready", &unready)).await;
    test.create::<Pod>(pod("unhealthy", &unhealthy)).await;
    test.until("unhealthy", "restarted", |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) >= 1)).await;
    eventually("told why", async || {
        test.events("unhealthy")
            .await
            .iter()
            .any(|event| event.starts_with("Unhealthy: Liveness probe failed: dial tcp"))
    })
    .await;
    let pod = test.api::<Pod>().get("unready").await.unwrap();
    assert!(!is_ready(Some(&pod)));
    assert_eq!(restarts(&pod), 0);
    test.shutdown().await;
}

#[tokio::test]
async fn init_containers_run_first_and_share_volumes() {
    let test = TestCluster::start().await;
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "data", "emptyDir": {}}],
        "initContainers": [{"name": "init", "image": "example/shell", "args": ["-c", "echo prepared > /data/file"], "volumeMounts": mount}],
        "containers": [{"name": "main", "image": "example/shell", "args": ["-c", "cat /data/file"], "volumeMounts": mount}],
    });
    test.create::<Pod>(pod("task", &spec)).await;
    let succeeded = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Succeeded");
    test.until("task", "succeeded", succeeded).await;
    assert_eq!(node_log(&test, "task", "").await, "prepared\n");
    test.shutdown().await;
}
