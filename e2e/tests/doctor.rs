//! `kubectl wva doctor`: causes that concern the whole cluster are produced; doctor names each, names nothing else, and the
//! command it gives fixes it. (Causes of one instance are in `suites/doctor.rs`.)
//!
//! In clusters of their own: the definition of variants and the registration of the external-metrics API are changed,
//! which every instance of a cluster would notice.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clinic;

use serde_json::Value;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, make_namespace};
use wva_e2e::workload::{A100, Vllm};

use crate::clinic::{Clinic, MODEL_ID, RELEASE, scrape};

/// Runs a test on a healthy model in namespace `models`, with a controller in namespace `wva`.
async fn with_clinic(test: impl AsyncFnOnce(&Clinic<'_>)) {
    with_environment(async |environment: &Environment| {
        make_namespace(environment.kubectl(), "models").await.unwrap();
        let controller = Controller::quick(RELEASE, "wva", "team-a", environment.prometheus().url());
        test(&Clinic::open(environment, controller, "models").await).await;
    })
    .await;
}

/// Installs the controller as it was, whoever has changed it since.
async fn reinstall(clinic: &Clinic<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("controller.yaml");
    std::fs::write(&file, clinic.controller.manifests().unwrap()).unwrap();
    let file = file.to_str().unwrap();
    let args = ["apply", "--server-side", "--force-conflicts", "-f", file];
    clinic.environment.kubectl().run(&args).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_a_variant_from_being_managed_is_named_and_fixed() {
    with_clinic(async |clinic: &Clinic<'_>| {
        clinic.case("NamespaceExcluded", "kubectl annotate namespace models wva.llmd.ai/exclude=true").await;
        clinic
            .case("InstanceMismatch", "kubectl label va @va -n models wva.llmd.ai/controller-instance=nobody --overwrite")
            .await;
        clinic
            .case("NamespaceNotWatched", "kubectl set env deployment/@controller -n wva WATCH_NAMESPACE=elsewhere")
            .await;
        clinic.run("kubectl set env deployment/@controller -n wva WATCH_NAMESPACE-").await;
        clinic.healthy().await;

        clinic
            .case(
                "TargetMissing",
                r#"kubectl patch va @va -n models --type=merge -p '{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"gone"}}}'"#,
            )
            .await;

        clinic
            .run("kubectl get va @va -n models -o json | sed 's/\"name\": \"@va\"/\"name\": \"second\"/; /\"resourceVersion\"/d; /\"uid\"/d' | kubectl create -f -")
            .await;
        let finding = clinic.finds("TargetConflict").await;
        let ways = finding["fix"].as_array().unwrap();
        let way = ways.iter().position(|way| way.as_str().unwrap().contains("second")).unwrap();
        clinic.fix(&finding, way).await;
        clinic.healthy().await;

        let rule = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations";
        let definition = clinic.run("kubectl get crd variantautoscalings.llmd.ai -o json").await;
        clinic
            .run(&format!("kubectl patch crd variantautoscalings.llmd.ai --type=json -p '[{{\"op\":\"remove\",\"path\":\"{rule}\"}}]'"))
            .await;
        let finding = clinic
            .case("InvalidVariant", r#"kubectl patch va @va -n models --type=json -p '[{"op":"remove","path":"/spec/modelID"}]'"#)
            .await;
        assert!(finding["fix"][0].as_str().unwrap().contains(MODEL_ID), "{finding:#}");
        assert!(definition.contains("x-kubernetes-validations"));

        clinic.run("kubectl delete deployment @controller -n wva").await;
        clinic.finds("NoController").await;
        reinstall(clinic).await;
        clinic.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_do_not_reach_the_autoscaler_are_named_and_fixed() {
    with_clinic(async |clinic: &Clinic<'_>| {
        let hpa = "hpa llama-hpa -n models";

        clinic.case("HpaMissing", &format!("kubectl delete {hpa}")).await;
        let most = clinic.run(&format!("kubectl get {hpa} -o jsonpath='{{.spec.maxReplicas}}'")).await;
        assert_eq!(most, "3", "the user's own settings are kept");
        let target = "/spec/metrics/0/external/target";
        let value = r#"{"type":"Value","value":"1"}"#;
        clinic
            .case(
                "HpaTargetMisread",
                &format!("kubectl patch {hpa} --type=json -p '[{{\"op\":\"replace\",\"path\":\"{target}\",\"value\":{value}}}]'"),
            )
            .await;
        let selector = "/spec/metrics/0/external/metric/selector/matchLabels/controller_instance";
        clinic
            .case(
                "HpaSelectorMismatch",
                &format!("kubectl patch {hpa} --type=json -p '[{{\"op\":\"replace\",\"path\":\"{selector}\",\"value\":\"team-b\"}}]'"),
            )
            .await;

        let monitor = "servicemonitor workload-variant-autoscaler-controller-manager-metrics-monitor -n wva";
        clinic.run(&scrape(monitor, "/nothing")).await;
        clinic.finds("MetricNotServed").await;
        clinic.run(&format!("kubectl delete {monitor}")).await;
        clinic.finds("ServiceMonitorMissing").await;
        reinstall(clinic).await;
        clinic.healthy().await;

        let service = clinic.run("kubectl get apiservice v1beta1.external.metrics.k8s.io -o json").await;
        clinic.run("kubectl delete apiservice v1beta1.external.metrics.k8s.io").await;
        clinic.finds("ExternalMetricsAbsent").await;
        let mut service: Value = serde_json::from_str(&service).unwrap();
        let metadata = service["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| key == "name");
        service.as_object_mut().unwrap().remove("status");
        clinic.environment.kubectl().apply(&service.to_string()).await.unwrap();
        clinic.healthy().await;

        // Not a fault, only something to know: the exit code stays 0.
        clinic
            .run("kubectl get va @va -n models -o json | sed 's/\"name\": \"@va\"/\"name\": \"second\"/; s/\"name\": \"llama\"/\"name\": \"llama-two\"/; /\"resourceVersion\"/d; /\"uid\"/d' | kubectl create -f -")
            .await;
        let server = Vllm::new("models", "llama-two", MODEL_ID, A100);
        clinic.environment.kubectl().apply(&server.manifest().unwrap()).await.unwrap();
        let answer = clinic.environment.kubectl().answer(&["doctor", "-n", "models", "-o", "name"]).await.unwrap();
        assert!(answer.out.contains("CostsEqual"), "{answer:?}");
    })
    .await;
}
