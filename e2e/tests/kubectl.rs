//! What a user does with kubectl, on a cluster with a controller in it.

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::instance::{Model, make_namespace};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";

/// A vLLM Deployment in `namespace`, which is made.
async fn serve(environment: &Environment, namespace: &str, name: &str) -> Vllm {
    let kubectl = environment.kubectl();
    make_namespace(kubectl, namespace).await.expect("the namespace is made");
    let server = Vllm::new(namespace, name, MODEL_ID, A100);
    kubectl.apply(&server.manifest().expect("a manifest")).await.expect("the Deployment is applied");
    server
}

fn example(name: &str) -> String {
    format!("{}/tests/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_examples_of_the_guides_apply_and_excerpts_are_refused_with_what_is_missing() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, "llm-inference").await.unwrap();
        for name in ["configuration-basic", "configuration-explicit-target"] {
            kubectl.run(&["apply", "-f", &example(name)]).await.unwrap();
        }
        let defaulted = kubectl
            .run(&["get", "va", "explicit-target", "-n", "llm-inference", "-o", "jsonpath={.spec}"])
            .await
            .unwrap();
        for part in [r#""apiVersion":"apps/v1""#, r#""kind":"Deployment""#, r#""variantCost":"10.0""#] {
            assert!(defaulted.contains(part), "{defaulted}");
        }
        for (name, missing) in [
            ("configuration-race-excerpt", "spec.modelID"),
            ("isolation-labelled-excerpt", "spec.scaleTargetRef"),
            ("isolation-label-only-excerpt", "name"),
        ] {
            let refusal = kubectl.run(&["apply", "-n", "llm-inference", "-f", &example(name)]).await.unwrap_err();
            assert!(refusal.to_string().contains(missing), "{name}: {refusal}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_is_ready_while_its_target_exists_and_says_so_within_a_second() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        make_namespace(kubectl, "llm-inference").await.unwrap();
        kubectl.run(&["apply", "-f", &example("configuration-basic")]).await.unwrap();
        let ready = [
            "get",
            "va",
            "llama-8b-autoscaler",
            "-n",
            "llm-inference",
            "-o",
            "jsonpath={.status.conditions[?(@.type==\"Ready\")]}",
        ];
        let second = Duration::from_secs(1);

        kubectl.eventually(Duration::from_secs(30), &ready, |seen| seen.contains("DeploymentNotFound")).await.unwrap();
        serve(environment, "llm-inference", "llama-8b").await;
        kubectl
            .run(&["wait", "-n", "llm-inference", "--for=condition=Ready", "--timeout=5s", "va/llama-8b-autoscaler"])
            .await
            .unwrap();

        kubectl.run(&["delete", "deployment", "llama-8b", "-n", "llm-inference"]).await.unwrap();
        let gone = kubectl.eventually(second, &ready, |seen| seen.contains(r#""status":"False""#)).await.unwrap();
        assert!(gone.contains(r#""reason":"DeploymentNotFound""#), "{gone}");
        assert!(gone.contains("Target deployment 'llama-8b' no longer exists"), "{gone}");
        let cleared = kubectl
            .run(&[
                "get",
                "va",
                "llama-8b-autoscaler",
                "-n",
                "llm-inference",
                "-o",
                "jsonpath={.status.desiredOptimizedAlloc.numReplicas}",
            ])
            .await
            .unwrap();
        assert_eq!(cleared, "");

        serve(environment, "llm-inference", "llama-8b").await;
        kubectl.eventually(second, &ready, |seen| seen.contains(r#""reason":"DeploymentFound""#)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_added_seen_scaled_and_removed_with_kubectl() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        let patience = Duration::from_secs(40);
        let server = serve(environment, "team-a", "llama-a100").await;
        let model =
            Model { release: "llama-a100", server: &server, accelerator: "A100", cost: "40", max: 3, instance: "" };
        model.add(kubectl).await.unwrap();
        let va = "llama-a100-va";

        let listed = kubectl.eventually(patience, &["get", "va", "-A"], |seen| seen.contains("True")).await.unwrap();
        for header in ["TARGET", "MODEL", "OPTIMIZED", "METRICSREADY", "AGE"] {
            assert!(listed.contains(header), "{listed}");
        }
        let wide = kubectl.run(&["get", "va", va, "-n", "team-a", "-o", "wide"]).await.unwrap();
        assert!(wide.contains("INSTANCE") && wide.contains("40"), "{wide}");
        let described = kubectl.run(&["describe", "va", va, "-n", "team-a"]).await.unwrap();
        assert!(described.contains("Model Id:") && described.contains("Optimization"), "{described}");

        let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/team-a/wva_desired_replicas";
        let raw = format!("{path}?labelSelector=variant_name%3D{va}");
        let metric =
            kubectl.eventually(patience, &["get", "--raw", &raw], |seen| seen.contains("metricLabels")).await.unwrap();
        assert!(metric.contains(r#""value":"1""#) && metric.contains(r#""exported_namespace":"team-a""#), "{metric}");
        let resources = kubectl.run(&["get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"]).await.unwrap();
        assert!(resources.contains("wva_desired_replicas"), "{resources}");

        kubectl.run(&["label", "va", va, "-n", "team-a", "team=research"]).await.unwrap();
        let selected = kubectl.run(&["get", "va", "-n", "team-a", "-l", "team=research", "-o", "name"]).await.unwrap();
        assert_eq!(selected.trim(), format!("variantautoscaling.llmd.ai/{va}"));

        kubectl.run(&["scale", "deployment", "llama-a100", "-n", "team-a", "--replicas=2"]).await.unwrap();
        let replicas = ["get", "deployment", "llama-a100", "-n", "team-a", "-o", "jsonpath={.status.readyReplicas}"];
        // Nobody asked for two: the idle model is brought back to the number that was published.
        kubectl.eventually(patience, &replicas, |seen| seen == "1").await.unwrap();

        let logs = kubectl.run(&["logs", "-n", "team-a", "deployment/llama-a100"]).await.unwrap();
        assert!(!logs.is_empty());
        kubectl.run(&["delete", "va", va, "-n", "team-a"]).await.unwrap();
        let query = format!("wva_desired_replicas{{variant_name=\"{va}\"}}");
        let prometheus = environment.prometheus();
        wait::until("the series of the deleted variant to end", patience, || async {
            match prometheus.query(&query).await {
                Ok(series) if series.is_empty() => Look::Done(()),
                Ok(series) => Look::NotYet(format!("{series:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
        .unwrap();
    })
    .await;
}
