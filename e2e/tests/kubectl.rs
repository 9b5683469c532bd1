//! What a user of the guides' install does with kubectl.
//!
//! In clusters of their own: the guides' controller has no id, so it answers for every variant of a cluster without one,
//! and their examples name their namespace. (With an id: `suites/user.rs`.)

use std::time::Duration;

use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::instance::make_namespace;
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";

/// A vLLM Deployment in `namespace`, which is made.
async fn serve(environment: &Environment, namespace: &str, name: &str) {
    let kubectl = environment.kubectl();
    make_namespace(kubectl, namespace).await.expect("the namespace is made");
    let server = Vllm::new(namespace, name, MODEL_ID, A100);
    kubectl.apply(&server.manifest().expect("a manifest")).await.expect("the Deployment is applied");
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
