//! Targets of kinds that no cluster has by itself.
//!
//! In a cluster of its own: it begins without the kind, and instances of a cluster share its kinds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::instance::make_namespace;
use wva_e2e::kubectl::Kubectl;
use wva_e2e::wait::{self, Look};

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
        let variant = format!(
            "{{apiVersion: llmd.ai/v1alpha1, kind: VariantAutoscaling, metadata: {{name: llama, namespace: models}}, \
             spec: {{modelID: {MODEL_ID}, scaleTargetRef: {{apiVersion: example.com/v1, kind: ModelSet, name: llama}}}}}}"
        );
        kubectl.apply(&variant).await.unwrap();
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
