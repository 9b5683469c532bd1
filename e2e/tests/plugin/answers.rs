//! What the plugin says of a model in good order, word for word.

use serde_json::Value;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_controller;
use wva_e2e::wait::{self, Look};

use crate::fixture::{ADD, MODEL_ID, PATIENCE, installed, serve, settled, steady};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_in_good_order_is_shown_in_the_same_words_every_time() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(environment).await;
        let added = kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        insta::assert_snapshot!("add_model", steady(&added));
        settled(kubectl).await;
        let dir = tempfile::tempdir().unwrap();
        let path = installed(dir.path());
        for (name, line) in [
            ("status", "status -n models"),
            ("status_wide", "status llama -n models -o wide"),
            ("explain", "explain llama -n models"),
            ("doctor", "doctor -n models"),
            ("instances", "instances -A -o wide"),
            ("list_models", "list-models -A -o wide"),
            ("version", "version"),
            ("remove_model", "remove-model llama -n models --dry-run=client"),
        ] {
            let line = format!("PATH={}:$PATH kubectl wva {line} 2>&1", path.display());
            insta::assert_snapshot!(name, steady(&kubectl.shell(&line).await.unwrap()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_explained_replayed_and_completed() {
    with_controller(async |environment: &Environment| {
        let kubectl = environment.kubectl();
        serve(environment).await;
        kubectl.wva(&[&ADD[..], &["--wait"]].concat()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.json").display().to_string();

        let explained = wait::until("the chain to be whole", PATIENCE, || async {
            let answer =
                kubectl.answer(&["explain", "llama", "-n", "models", "-o", "json", "--save", &state]).await.unwrap();
            let view: Value = serde_json::from_str(&answer.out).unwrap_or_default();
            let whole = answer.code == Some(0) && view["whatIf"]["kvGrowsAt"].is_number();
            if whole { Look::Done(view) } else { Look::NotYet(format!("{answer:?}")) }
        })
        .await
        .unwrap();
        let states: Vec<&str> =
            explained["chain"].as_array().unwrap().iter().map(|link| link["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["fine"; 6], "{explained:#}");
        // One idle replica: it grows when the spare KV cache falls below 0.10, that is, above 0.80 - 0.10.
        let grows = explained["whatIf"]["kvGrowsAt"].as_f64().unwrap();
        assert!((0.70..=0.72).contains(&grows), "{explained:#}");

        let same = kubectl.answer(&["replay", &state]).await.unwrap();
        assert!(same.code == Some(0) && same.out.contains("the same numbers"), "{same:?}");
        let other = kubectl.answer(&["replay", &state, "--kv-spare-trigger", "0.9"]).await.unwrap();
        assert!(other.code == Some(1) && other.out.contains("another number for 1 variant"), "{other:?}");

        let path = installed(dir.path());
        let run = async |line: &str| {
            let line = format!("PATH={}:$(dirname \"$KUBECTL\"):/usr/bin:/bin; {line}", path.display());
            kubectl.shell(&line).await.unwrap()
        };
        let listed = run("kubectl plugin list 2>&1").await;
        assert!(listed.contains("kubectl-wva") && !listed.to_lowercase().contains("warning"), "{listed}");
        assert!(run("kubectl wva version --client").await.contains("client: "));
        let completed = run("kubectl __complete wva explain -n models ''").await;
        assert!(completed.starts_with("llama\n"), "{completed}");
        let completed = run("kubectl __complete wva status --model ''").await;
        assert!(!completed.contains(MODEL_ID), "the namespace of the context holds no model: {completed}");
        let completed = run("kubectl __complete wva status -A --model ''").await;
        assert!(completed.starts_with(MODEL_ID), "{completed}");
        let completed = run("kubectl __complete wva status -n mod").await;
        assert!(completed.starts_with("models\n"), "{completed}");
        let context = run("kubectl config current-context").await;
        let completed = run("kubectl __complete wva status --context ''").await;
        assert!(completed.starts_with(&context), "{completed}");
    })
    .await;
}
