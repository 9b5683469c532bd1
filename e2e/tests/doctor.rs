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

use crate::clinic::{Clinic, MODEL_ID, RELEASE};

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
async fn without_a_controller_or_with_an_unusable_variant_that_is_named_and_fixed() {
    with_clinic(async |clinic: &Clinic<'_>| {
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
        clinic.mended("NoController").await;

        // Where all is well the only thing wrong is a ConfigMap that lies where nobody looks.
        make_namespace(clinic.environment.kubectl(), "quiet").await.unwrap();
        clinic
            .run("kubectl create configmap wva-saturation-scaling-config -n quiet --from-literal=default='kvCacheThreshold: 0.7'")
            .await;
        for (cause, harm) in
            [("NamespaceNotTracked", ""), ("NamespaceExcluded", "kubectl annotate namespace quiet wva.llmd.ai/exclude=true")]
        {
            if !harm.is_empty() {
                clinic.run(harm).await;
            }
            let findings = clinic.finds_in("quiet", &[cause]).await;
            clinic.fix(&findings[0], 0).await;
            clinic.finds_in("quiet", &[]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_do_not_reach_the_autoscaler_are_named_and_fixed() {
    with_clinic(async |clinic: &Clinic<'_>| {
        let monitor = "servicemonitor workload-variant-autoscaler-controller-manager-metrics-monitor -n wva";
        // Not a fault, only something to know: the exit code stays 0.
        let rules = r#"[{"op":"remove","path":"/spec/endpoints/0/metricRelabelings"}]"#;
        clinic.case("SeriesPerPod", &format!("kubectl patch {monitor} --type=json -p '{rules}'")).await;

        let service = clinic.run("kubectl get apiservice v1beta1.external.metrics.k8s.io -o json").await;
        clinic.run("kubectl delete apiservice v1beta1.external.metrics.k8s.io").await;
        clinic.finds("ExternalMetricsAbsent").await;
        let mut service: Value = serde_json::from_str(&service).unwrap();
        let metadata = service["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| key == "name");
        service.as_object_mut().unwrap().remove("status");
        clinic.environment.kubectl().apply(&service.to_string()).await.unwrap();
        clinic.mended("ExternalMetricsAbsent").await;

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
