//! Configuration as the guide describes it, with its own commands.
//!
//! In clusters of their own: the guide's controller has no id, so it answers for every variant of a cluster without
//! one.

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::wait::{self, Look};

/// Where the guide has the controller. Its ConfigMap has the name of the release.
const SYSTEM: &str = "workload-variant-autoscaler-system";
const DEPLOYMENT: &str = "deployment/workload-variant-autoscaler-controller-manager";
const MAIN: &str = "workload-variant-autoscaler-variantautoscaling-config";
const SATURATION: &str = "wva-saturation-scaling-config";
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until a command prints a line that holds all of these.
async fn line(kubectl: &Kubectl, args: &[&str], parts: &[&str]) -> String {
    wait::until(&format!("kubectl {} to print {parts:?}", args.join(" ")), PATIENCE, || async {
        match kubectl.run(args).await {
            Ok(seen) => match seen.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                Some(line) => Look::Done(line.to_owned()),
                None => Look::NotYet(seen),
            },
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
    .expect("the line is printed")
}

async fn logged(kubectl: &Kubectl, parts: &[&str]) -> String {
    line(kubectl, &["logs", "-n", SYSTEM, DEPLOYMENT], parts).await
}

async fn patch(kubectl: &Kubectl, data: &str) {
    let patch = format!(r#"{{"data": {data}}}"#);
    kubectl
        .run(&["patch", "configmap", MAIN, "-n", SYSTEM, "--type=merge", "-p", &patch])
        .await
        .expect("it is patched");
}

fn saturation(namespace: &str, threshold: &str) -> String {
    let data = serde_json::json!({ "default": format!("kvCacheThreshold: {threshold}\nqueueLengthThreshold: 3\n") });
    let metadata = serde_json::json!({ "name": SATURATION, "namespace": namespace });
    serde_json::json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_edit_changes_the_interval_at_once_and_has_its_immutable_part_refused() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        logged(kubectl, &["Updated saturation config", "scope=\"global\""]).await;
        patch(kubectl, r#"{"GLOBAL_OPT_INTERVAL": "120s", "PROMETHEUS_BASE_URL": "https://new-prometheus:9090"}"#)
            .await;
        logged(kubectl, &["Updated optimization interval", "old=2s", "new=120s"]).await;
        logged(kubectl, &["Attempted to change immutable parameters", "PROMETHEUS_BASE_URL"]).await;
        let events = ["get", "events", "-n", SYSTEM, "--field-selector", "reason=ImmutableConfigChangeRejected"];
        let event = line(kubectl, &events, &["Warning", "ImmutableConfigChangeRejected"]).await;
        assert!(event.contains(MAIN), "{event}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_opts_in_before_it_holds_a_variant_and_falls_back_when_its_config_map_goes() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, "production").await.expect("the namespace is made");
        kubectl.apply(&saturation("production", "0.70")).await.expect("the ConfigMap is applied");
        kubectl
            .run(&["label", "namespace", "production", "wva.llmd.ai/config-enabled=true"])
            .await
            .expect("it opts in");
        let local = "configmap=production/wva-saturation-scaling-config";
        logged(kubectl, &["Updated saturation config", local, "namespace-local", "newEntries=1"]).await;

        kubectl.apply(&saturation("production", "7.0")).await.expect("the mistake is applied");
        logged(kubectl, &["Invalid saturation config entry", local, "between 0 and 1", "last good version"]).await;
        line(kubectl, &["get", "events", "-n", "production"], &["Warning", "InvalidConfig", SATURATION]).await;

        kubectl.run(&["delete", "configmap", SATURATION, "-n", "production"]).await.expect("it is deleted");
        logged(kubectl, &["Removed saturation config", local]).await;
    })
    .await;
}
