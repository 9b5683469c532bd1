//! What happens to a variant in its life, with real controllers on a cluster: handed over, contested, lost and found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::{with_controller, with_environment};
use wva_e2e::instance::{Controller, Model, make_namespace};
use wva_e2e::kubectl::Kubectl;
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
const PATIENCE: Duration = Duration::from_secs(40);
/// What a person perceives as at once, on a machine that does other things besides.
const SOON: Duration = Duration::from_secs(5);

/// Waits until the `Ready` condition of a variant holds these words.
async fn ready(kubectl: &Kubectl, limit: Duration, variant: &str, words: &str) -> String {
    let path = "jsonpath={.status.conditions[?(@.type==\"Ready\")]}";
    kubectl
        .eventually(limit, &["get", "va", variant, "-n", "models", "-o", path], |seen| seen.contains(words))
        .await
        .unwrap()
}

/// Waits until an event with this reason is recorded on a variant.
async fn event(kubectl: &Kubectl, variant: &str, type_: &str, reason: &str) {
    let selector = format!("involvedObject.name={variant},type={type_},reason={reason}");
    let args = ["get", "events", "-n", "models", "--field-selector", &selector];
    kubectl.eventually(SOON, &args, |seen| seen.contains(reason)).await.unwrap();
}

/// Waits until Prometheus has exactly this many series that match.
async fn series(environment: &Environment, selector: &str, count: usize) {
    let prometheus = environment.prometheus();
    let query = format!("wva_desired_replicas{selector}");
    wait::until(&format!("{count} series {query}"), PATIENCE, || async {
        match prometheus.query(&query).await {
            Ok(series) if series.len() == count => Look::Done(()),
            Ok(series) => Look::NotYet(format!("{series:?}")),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// Waits until this pod of the controller has finished `more` cycles more than now.
async fn cycles(environment: &Environment, pod: &str, more: f64) {
    let prometheus = environment.prometheus();
    let query = format!("wva_cycle_duration_seconds_count{{pod=\"{pod}\"}}");
    let count = async || prometheus.query(&query).await.ok().and_then(|series| Some(series.first()?.value));
    let before = count().await.unwrap_or_default();
    wait::until(&format!("{more} cycles of {pod}"), PATIENCE, || async {
        match count().await {
            Some(count) if count >= before + more => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}, before {before}")),
        }
    })
    .await
    .unwrap();
}

fn variant(name: &str, kind: &str, target: &str, instance: &str) -> String {
    let labels = if instance.is_empty() {
        String::new()
    } else {
        format!("labels: {{wva.llmd.ai/controller-instance: {instance}}}, ")
    };
    format!(
        "{{apiVersion: llmd.ai/v1alpha1, kind: VariantAutoscaling, metadata: {{{labels}name: {name}, namespace: models}}, \
         spec: {{modelID: {MODEL_ID}, scaleTargetRef: {{{kind}, name: {target}}}}}}}"
    )
}

async fn serve(kubectl: &Kubectl, name: &str) {
    make_namespace(kubectl, "models").await.unwrap();
    kubectl.apply(&Vllm::new("models", name, MODEL_ID, A100).manifest().unwrap()).await.unwrap();
}

/// A controller of an instance with a Lease of six seconds.
async fn install(environment: &Environment, instance: &str) {
    let namespace = format!("wva-{instance}");
    let prometheus = environment.prometheus();
    let mut controller = Controller::quick(&format!("wva-{instance}"), &namespace, instance, prometheus.url());
    let lease = ["leaseDuration=6s", "renewDeadline=4s", "retryPeriod=1s"];
    controller.set.extend(lease.map(|value| format!("wva.leaderElection.{value}")));
    controller.install(environment.kubectl()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_is_handed_over_by_its_label_and_contested_by_a_foreign_write() {
    with_environment(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(kubectl, "llama").await;
        install(environment, "team-a").await;
        install(environment, "team-b").await;
        kubectl.apply(&variant("llama", "kind: Deployment", "llama", "team-a")).await.unwrap();
        ready(kubectl, PATIENCE, "llama", "DeploymentFound").await;
        series(environment, r#"{variant_name="llama",controller_instance="team-a"}"#, 1).await;
        let pods =
            ["get", "pods", "-A", "-l", "control-plane=controller-manager", "-o", "jsonpath={.items[*].metadata.uid}"];
        let before = kubectl.run(&pods).await.unwrap();

        let hand_over =
            ["label", "va", "llama", "-n", "models", "--overwrite", "wva.llmd.ai/controller-instance=team-b"];
        kubectl.run(&hand_over).await.unwrap();
        series(environment, r#"{variant_name="llama",controller_instance="team-b"}"#, 1).await;
        series(environment, r#"{variant_name="llama",controller_instance="team-a"}"#, 0).await;
        assert_eq!(kubectl.run(&pods).await.unwrap(), before, "neither controller was restarted");
        assert!(ready(kubectl, SOON, "llama", "DeploymentFound").await.contains("True"), "a hand-over is no conflict");

        let patch = r#"{"status":{"actuation":{"applied":false}}}"#;
        let intrude = "--field-manager=wva-controller/intruder";
        let intruded =
            ["patch", "va", "llama", "-n", "models", "--subresource=status", "--type=merge", intrude, "-p", patch];
        kubectl.run(&intruded).await.unwrap();
        let conflict = ready(kubectl, PATIENCE, "llama", "InstanceConflict").await;
        assert!(conflict.contains("Controller instance intruder wrote the status"), "{conflict}");
        event(kubectl, "llama", "Warning", "InstanceConflict").await;
        series(environment, r#"{variant_name="llama"}"#, 0).await;
        ready(kubectl, PATIENCE, "llama", "DeploymentFound").await;
        series(environment, r#"{variant_name="llama",controller_instance="team-b"}"#, 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_lost_found_exchanged_and_contested_and_events_tell() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, "models").await.unwrap();
        kubectl.run(&["wait", "--for=condition=Established", "crd/variantautoscalings.llmd.ai"]).await.unwrap();
        kubectl.apply(&variant("llama", "kind: Deployment", "llama", "")).await.unwrap();
        ready(kubectl, PATIENCE, "llama", "DeploymentNotFound").await;
        event(kubectl, "llama", "Warning", "TargetNotFound").await;
        serve(kubectl, "llama").await;
        ready(kubectl, SOON, "llama", "DeploymentFound").await;
        event(kubectl, "llama", "Normal", "TargetFound").await;
        series(environment, r#"{variant_name="llama"}"#, 1).await;

        kubectl.run(&["delete", "deployment", "llama", "-n", "models"]).await.unwrap();
        let gone = ready(kubectl, SOON, "llama", "DeploymentNotFound").await;
        assert!(gone.contains("Target deployment 'llama' no longer exists"), "{gone}");
        let allocation = ["get", "va", "llama", "-n", "models", "-o", "jsonpath={.status.desiredOptimizedAlloc}"];
        assert_eq!(kubectl.run(&allocation).await.unwrap(), "{}", "cleared, as the guide shows it");
        series(environment, r#"{variant_name="llama"}"#, 0).await;

        serve(kubectl, "other").await;
        let edit = r#"{"spec":{"scaleTargetRef":{"name":"other"}}}"#;
        kubectl.run(&["patch", "va", "llama", "-n", "models", "--type=merge", "-p", edit]).await.unwrap();
        ready(kubectl, SOON, "llama", "Target deployment 'other' found").await;
        series(environment, r#"{variant_name="llama"}"#, 1).await;

        kubectl.apply(&variant("second", "kind: Deployment", "other", "")).await.unwrap();
        for name in ["llama", "second"] {
            ready(kubectl, SOON, name, "TargetConflict").await;
            event(kubectl, name, "Warning", "TargetConflict").await;
        }
        series(environment, r#"{variant_name=~"llama|second"}"#, 0).await;
        kubectl.run(&["delete", "va", "second", "-n", "models"]).await.unwrap();
        ready(kubectl, SOON, "llama", "DeploymentFound").await;
        series(environment, r#"{variant_name="llama"}"#, 1).await;
        let described = kubectl.run(&["describe", "va", "llama", "-n", "models"]).await.unwrap();
        for reason in ["TargetNotFound", "TargetFound", "TargetConflict"] {
            assert!(described.contains(reason), "{reason}: {described}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_controller_finds_the_same_state_and_writes_nothing() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(kubectl, "llama").await;
        let server = Vllm::new("models", "llama", MODEL_ID, A100);
        let model = Model { release: "llama", server: &server, accelerator: "A100", cost: "40", max: 3, instance: "" };
        model.add(kubectl).await.unwrap();
        let va = "llama-va";
        let metrics = ["get", "va", va, "-n", "models", "-o", "jsonpath={.status.conditions[*].reason}"];
        kubectl
            .eventually(PATIENCE, &metrics, |seen| seen.contains("MetricsFound") && seen.contains("Optimization"))
            .await
            .unwrap();
        let controller = ["-n", "workload-variant-autoscaler-system", "-l", "control-plane=controller-manager"];
        let pods = [&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"][..], &controller].concat();
        let before = kubectl.run(&pods).await.unwrap();
        let version = ["get", "va", va, "-n", "models", "-o", "jsonpath={.metadata.resourceVersion} {.status}"];
        let settled = wait::until("a status that stays for two cycles", PATIENCE, || async {
            let first = kubectl.run(&version).await.unwrap();
            cycles(environment, before.trim(), 2.0).await;
            let second = kubectl.run(&version).await.unwrap();
            if first == second { Look::Done(first) } else { Look::NotYet(second) }
        })
        .await
        .unwrap();
        kubectl.run(&[&["delete", "pod"][..], &controller].concat()).await.unwrap();
        let after = kubectl
            .eventually(PATIENCE, &pods, |seen| !seen.is_empty() && !seen.contains(before.trim()))
            .await
            .unwrap();
        series(environment, &format!("{{variant_name=\"{va}\"}}"), 1).await;
        cycles(environment, after.trim(), 3.0).await;
        assert_eq!(kubectl.run(&version).await.unwrap(), settled);
    })
    .await;
}

const MODEL_SETS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: modelsets.example.com}
spec:
  group: example.com
  names: {plural: modelsets, singular: modelset, kind: ModelSet}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_any_kind_with_a_scale_subresource_is_followed() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, "models").await.unwrap();
        kubectl.run(&["wait", "--for=condition=Established", "crd/variantautoscalings.llmd.ai"]).await.unwrap();
        let target = "apiVersion: example.com/v1, kind: ModelSet";
        kubectl.apply(&variant("llama", target, "llama", "")).await.unwrap();
        let unserved = ready(kubectl, PATIENCE, "llama", "InvalidSpec").await;
        assert!(unserved.contains("Kind ModelSet (example.com/v1) is not served by this cluster"), "{unserved}");

        kubectl.apply(MODEL_SETS).await.unwrap();
        kubectl.run(&["wait", "--for=condition=Established", "crd/modelsets.example.com"]).await.unwrap();
        ready(kubectl, PATIENCE, "llama", "Target modelset 'llama' does not exist yet").await;
        let set = "{apiVersion: example.com/v1, kind: ModelSet, metadata: {name: llama, namespace: models}, \
                   spec: {replicas: 3}}";
        kubectl.apply(set).await.unwrap();
        ready(kubectl, SOON, "llama", "Target modelset 'llama' found").await;
        series(environment, r#"{variant_name="llama"} == 3"#, 1).await;
        let metrics = ["get", "va", "llama", "-n", "models", "-o", "jsonpath={.status.conditions[*].reason}"];
        kubectl.eventually(SOON, &metrics, |seen| seen.contains("MetricsMissing")).await.unwrap();

        kubectl.run(&["delete", "modelset", "llama", "-n", "models"]).await.unwrap();
        ready(kubectl, SOON, "llama", "DeploymentNotFound").await;
        series(environment, r#"{variant_name="llama"}"#, 0).await;
    })
    .await;
}
