//! What the isolation guide promises, for instances whose id is what `CONTROLLER_INSTANCE` says, or begins with it where
//! there are several: several suites may run side by side, each in a cluster of its own or all in one.

use wva_e2e::instances::{DEPLOYMENT, Wva, with_instance, with_instances};
use wva_e2e::kubectl::Kubectl;
use wva_e2e::workload::A100;

/// Instances of the series of a query, once there are `count` series.
async fn instances(wva: &Wva<'_>, promql: &str, count: usize) -> String {
    let series = wva.series(promql, count).await;
    let instance = |series: &wva_e2e::prometheus::Series| series.labels.get("controller_instance").cloned();
    let mut found: Vec<String> = series.iter().map(|series| instance(series).unwrap_or_default()).collect();
    found.sort();
    found.join(" ")
}

async fn names(kubectl: &Kubectl, kind: &str, selector: &str) -> String {
    kubectl.run(&["get", kind, "-A", "-l", selector, "-o", "name"]).await.expect("kubectl lists")
}

/// The controllers that `metadata.managedFields` of the variants of a namespace names as writers.
async fn writers(kubectl: &Kubectl, namespace: &str) -> Vec<String> {
    let path = "jsonpath={range .items[*].metadata.managedFields[*]}{.manager}{\"\\n\"}{end}";
    let managers =
        kubectl.run(&["get", "va", "-n", namespace, "--show-managed-fields", "-o", path]).await.expect("the variant");
    managers.lines().filter(|manager| manager.starts_with("wva-controller")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_suite_carries_its_instance_and_the_guides_queries_find_it() {
    with_instance(async |wva| {
        let (environment, kubectl, id) = (wva.environment(), wva.kubectl(), wva.id());
        wva.add_model("llama-a100", A100, "40", 3).await;
        let suite = std::env::var("CONTROLLER_INSTANCE").unwrap_or_default();
        assert!(id.starts_with(&suite), "{id} is no instance of the suite {suite}");
        for metric in ["wva_desired_replicas", "wva_current_replicas", "wva_desired_ratio"] {
            let query = format!("{metric}{{controller_instance=\"{id}\"}}");
            assert_eq!(instances(wva, &query, 1).await, id);
        }
        // Nothing to alert on while the series is there.
        let absent = format!("absent(wva_current_replicas{{controller_instance=\"{id}\"}})");
        assert!(environment.prometheus().query(&absent).await.unwrap().is_empty());
        let rates = "sum by (controller_instance, direction) (rate(wva_replica_scaling_total[5m]))";
        environment.prometheus().query(rates).await.expect("the guide's query is one");

        let namespace = wva.models();
        let selector = "jsonpath={.items[0].spec.metrics[0].external.metric.selector.matchLabels}";
        let labels = kubectl.run(&["get", "hpa", "-n", &namespace, "-o", selector]).await.unwrap();
        assert!(labels.contains(&format!("\"controller_instance\":\"{id}\"")), "{labels}");
        let env = "jsonpath={.items[0].spec.template.spec.containers[0].env[?(@.name==\"CONTROLLER_INSTANCE\")].value}";
        assert_eq!(kubectl.run(&["get", "deploy", "-n", &wva.namespace(), "-o", env]).await.unwrap(), id);
        let lease = kubectl.run(&["get", "lease", "-n", &wva.namespace(), "-o", "name"]).await.unwrap();
        assert!(lease.contains(&format!("{id}.72dd1cf1.llm-d.ai")), "{lease}");
        let managers = ["get", "va", "-n", &namespace, "--show-managed-fields", "-o", "yaml"];
        let managers = kubectl.run(&managers).await.unwrap();
        assert!(managers.contains(&format!("manager: wva-controller/{id}")), "{managers}");

        // The guide's clean-up by label.
        let label = format!("wva.llmd.ai/controller-instance={id}");
        for kind in ["va", "hpa"] {
            assert_ne!(names(kubectl, kind, &label).await, "", "{kind} carry the label");
            kubectl.run(&["delete", kind, "-n", &namespace, "-l", &label]).await.unwrap();
            assert_eq!(names(kubectl, kind, &label).await, "");
        }
        // Its series go with it.
        instances(wva, &format!("wva_desired_replicas{{controller_instance=\"{id}\"}}"), 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relabelled_variant_changes_hands_without_a_restart_and_never_has_two_series() {
    with_instances(async |[one, other]: &[Wva<'_>; 2]| {
        let (kubectl, old, new) = (one.kubectl(), one.id(), other.id());
        for wva in [one, other] {
            wva.add_model("llama-a100", A100, "40", 3).await;
        }
        let namespace = one.models();
        let of_old = format!("wva_desired_replicas{{exported_namespace=\"{namespace}\"}}");
        assert_eq!(instances(one, &of_old, 1).await, old);
        let of_both = format!("wva_desired_replicas{{exported_namespace=~\"{namespace}|{}\"}}", other.models());
        let mut both = [old, new];
        both.sort_unstable();
        assert_eq!(instances(one, &of_both, 2).await, both.join(" "));
        assert_eq!(writers(kubectl, &namespace).await, [format!("wva-controller/{old}")]);

        let pods = async || {
            let path = "jsonpath={.items[*].metadata.uid} {.items[*].status.containerStatuses[*].restartCount}";
            let of_both = format!("wva.llmd.ai/controller-instance in ({old},{new}),control-plane=controller-manager");
            kubectl.run(&["get", "pods", "-A", "-l", &of_both, "-o", path]).await.unwrap()
        };
        let before = pods().await;
        assert_ne!(before.trim(), "", "pods of {DEPLOYMENT}");

        let label = format!("wva.llmd.ai/controller-instance={new}");
        kubectl.run(&["label", "va", "--all", "-n", &namespace, "--overwrite", &label]).await.unwrap();
        let series = |id: &str| {
            format!("wva_desired_replicas{{exported_namespace=\"{namespace}\",controller_instance=\"{id}\"}}")
        };
        instances(one, &series(new), 1).await;
        instances(one, &series(old), 0).await;
        assert_eq!(pods().await, before, "neither controller was restarted");
        // Who reads the object sees one owner: the first write of the new one takes out the entry of the old one.
        assert_eq!(writers(kubectl, &namespace).await, [format!("wva-controller/{new}")]);

        // A label nobody answers to: no controller takes it.
        kubectl.run(&["label", "va", "--all", "-n", &namespace, "wva.llmd.ai/controller-instance-"]).await.unwrap();
        instances(one, &of_old, 0).await;
    })
    .await;
}
