//! What the isolation guide promises, for the instance that `CONTROLLER_INSTANCE` names: several suites may run side by
//! side, each in an environment of its own or with an instance of its own.

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, Model, install_all, make_namespace};
use wva_e2e::kubectl::Kubectl;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
const PATIENCE: Duration = Duration::from_mins(1);

/// The suite's instance, as `CONTROLLER_INSTANCE=test-a make test-e2e-full` gives it.
fn instance() -> String {
    std::env::var("CONTROLLER_INSTANCE").ok().filter(|id| !id.is_empty()).unwrap_or_else(|| "test-a".to_owned())
}

/// Installs a controller for each instance and one model of it, both in namespaces that carry the instance's name.
async fn install(environment: &Environment, instances: &[&str]) {
    let prometheus = environment.prometheus();
    let controller = |id: &&str| Controller::quick("wva", &format!("wva-{id}"), id, prometheus.url());
    let controllers: Vec<Controller> = instances.iter().map(controller).collect();
    install_all(&controllers, environment.kubectl()).await.expect("the controllers install");
    for instance in instances {
        add_model(environment, instance).await;
    }
}

async fn add_model(environment: &Environment, instance: &str) {
    let kubectl = environment.kubectl();
    let namespace = format!("llm-{instance}");
    let server = Vllm::new(&namespace, "llama-a100", MODEL_ID, A100);
    make_namespace(kubectl, &namespace).await.expect("the namespace is made");
    kubectl.apply(&server.manifest().expect("a manifest")).await.expect("the server is applied");
    let model = Model { release: "llama-a100", server: &server, accelerator: "A100", cost: "40", max: 3, instance };
    model.add(kubectl).await.expect("the model is added");
}

/// Instances of the series of a query, once there are `count` series.
async fn instances(environment: &Environment, promql: &str, count: usize) -> String {
    let prometheus = environment.prometheus();
    wait::until(promql, PATIENCE, || async {
        match prometheus.query(promql).await {
            Ok(series) if series.len() == count => {
                let instance = |labels: &std::collections::BTreeMap<String, String>| {
                    labels.get("controller_instance").cloned().unwrap_or_default()
                };
                let mut found: Vec<String> = series.iter().map(|series| instance(&series.labels)).collect();
                found.sort();
                Look::Done(found.join(" "))
            }
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await
    .expect("the series are there")
}

async fn names(kubectl: &Kubectl, kind: &str, selector: &str) -> String {
    kubectl.run(&["get", kind, "-A", "-l", selector, "-o", "name"]).await.expect("kubectl lists")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_suite_carries_its_instance_and_the_guides_queries_find_it() {
    with_environment(async |environment: &Environment| {
        let (kubectl, id) = (environment.kubectl(), instance());
        install(environment, &[&id]).await;
        for metric in ["wva_desired_replicas", "wva_current_replicas", "wva_desired_ratio"] {
            let query = format!("{metric}{{controller_instance=\"{id}\"}}");
            assert_eq!(instances(environment, &query, 1).await, id);
        }
        // Nothing to alert on while the series is there.
        let absent = format!("absent(wva_current_replicas{{controller_instance=\"{id}\"}})");
        assert!(environment.prometheus().query(&absent).await.unwrap().is_empty());
        let rates = "sum by (controller_instance, direction) (rate(wva_replica_scaling_total[5m]))";
        environment.prometheus().query(rates).await.expect("the guide's query is one");

        let namespace = format!("llm-{id}");
        let selector = "jsonpath={.items[0].spec.metrics[0].external.metric.selector.matchLabels}";
        let labels = kubectl.run(&["get", "hpa", "-n", &namespace, "-o", selector]).await.unwrap();
        assert!(labels.contains(&format!("\"controller_instance\":\"{id}\"")), "{labels}");
        let env = "jsonpath={.items[0].spec.template.spec.containers[0].env[?(@.name==\"CONTROLLER_INSTANCE\")].value}";
        assert_eq!(kubectl.run(&["get", "deploy", "-n", &format!("wva-{id}"), "-o", env]).await.unwrap(), id);
        let lease = kubectl.run(&["get", "lease", "-n", &format!("wva-{id}"), "-o", "name"]).await.unwrap();
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
        instances(environment, "wva_desired_replicas", 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relabelled_variant_changes_hands_without_a_restart_and_never_has_two_series() {
    with_environment(async |environment: &Environment| {
        let (kubectl, old) = (environment.kubectl(), instance());
        let new = format!("{old}-b");
        install(environment, &[&old, &new]).await;
        let of_old = format!("wva_desired_replicas{{exported_namespace=\"llm-{old}\"}}");
        assert_eq!(instances(environment, &of_old, 1).await, old);
        assert_eq!(instances(environment, "wva_desired_replicas", 2).await, format!("{old} {new}"));

        let namespace = format!("llm-{old}");
        let label = format!("wva.llmd.ai/controller-instance={new}");
        kubectl.run(&["label", "va", "--all", "-n", &namespace, "--overwrite", &label]).await.unwrap();
        let handed_over =
            format!("wva_desired_replicas{{exported_namespace=\"llm-{old}\",controller_instance=\"{new}\"}}");
        instances(environment, &handed_over, 1).await;
        let kept = format!("wva_desired_replicas{{exported_namespace=\"llm-{old}\",controller_instance=\"{old}\"}}");
        instances(environment, &kept, 0).await;

        // A label nobody answers to: no controller takes it.
        kubectl.run(&["label", "va", "--all", "-n", &namespace, "wva.llmd.ai/controller-instance-"]).await.unwrap();
        instances(environment, &of_old, 0).await;
    })
    .await;
}
