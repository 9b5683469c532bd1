//! What a model does not wait for, and what moves nothing: a scale-down under load, a rolling update.

use std::time::Duration;

use serde_json::{Value, json};
use wva_e2e::gateway::{self, Variant};
use wva_e2e::instances::{Wva, with_instance};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const NAME: &str = "llama";
const HPA: &str = "llama-hpa";

/// A variant of so many replicas, at least `min` and at most `max`.
async fn serve(wva: &Wva<'_>, replicas: u32, (min, max): (u32, u32)) {
    let (kubectl, namespace) = (wva.kubectl(), wva.models());
    kubectl.apply(&gateway::monitored(&namespace).unwrap()).await.unwrap();
    let server = Vllm { replicas, ..Vllm::new(&namespace, NAME, "llama", A100) };
    kubectl.apply(&server.manifest().unwrap()).await.unwrap();
    let (model_id, accelerator, instance) = ("llama", A100.name, wva.id());
    let variant = Variant { name: NAME, namespace: &namespace, model_id, accelerator, cost: "40", min, max, instance };
    kubectl.apply(&variant.manifest().unwrap()).await.unwrap();
}

async fn patch(wva: &Wva<'_>, kind: &str, name: &str, patch: Value) {
    wva.kubectl().run(&["patch", kind, name, "-n", &wva.models(), "-p", &patch.to_string()]).await.unwrap();
}

/// Waits for what the variant is to have, and what its Deployment asks for.
async fn until(wva: &Wva<'_>, what: &str, wanted: impl Fn(&str, &str) -> bool) {
    let (kubectl, namespace) = (wva.kubectl(), wva.models());
    let path = "jsonpath={.status.desiredOptimizedAlloc.numReplicas}";
    let status = ["get", "va", NAME, "-n", &namespace, "-o", path];
    let asked = ["get", "deployment", NAME, "-n", &namespace, "-o", "jsonpath={.spec.replicas}"];
    wait::until(what, wva.patience(), || async {
        match (kubectl.run(&status).await, kubectl.run(&asked).await) {
            (Ok(desired), Ok(asked)) if wanted(&desired, &asked) => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn load_that_comes_back_while_the_autoscaler_holds_a_scale_down_costs_no_replica() {
    with_instance(async |wva| {
        serve(wva, 2, (1, 4)).await;
        // The windows of the chart.
        let windows = json!({"stabilizationWindowSeconds": 240});
        let behavior = json!({"spec": {"behavior": {"scaleUp": windows, "scaleDown": windows}}});
        patch(wva, "hpa", HPA, behavior).await;
        until(wva, "the idle model to be given up a replica", |desired, asked| (desired, asked) == ("1", "2")).await;

        let model = wva.model(NAME);
        model.ready("both servers to take load", |ready| ready == 2).await;
        model.saturate().await;

        until(wva, "the scale-down to be taken back, and one more to be asked for", |desired, asked| {
            assert_eq!(asked, "2", "the autoscaler took a replica away");
            desired == "3"
        })
        .await;
    })
    .await;
}

/// An HPA counts the pods that a rolling update has too many, and keeps them where they are within its tolerance: with one
/// pod more than 11, the number 11 is as good as 12 to it. Without tolerance it does not, which is what the chart asks for.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_under_a_constant_number_changes_no_replicas() {
    const REPLICAS: u32 = 11;
    with_instance(async |wva| {
        serve(wva, REPLICAS, (REPLICAS, 16)).await;
        let (kubectl, namespace) = (wva.kubectl(), wva.models());
        let exact = json!({"tolerance": "0"});
        patch(wva, "hpa", HPA, json!({"spec": {"behavior": {"scaleUp": exact, "scaleDown": exact}}})).await;
        let one_by_one = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        patch(wva, "deployment", NAME, json!({"spec": {"strategy": one_by_one}})).await;
        until(wva, "a decision", |desired, asked| (desired, asked) == ("11", "11")).await;

        kubectl.run(&["rollout", "restart", &format!("deployment/{NAME}"), "-n", &namespace]).await.unwrap();

        let counts_of = "jsonpath={.spec.replicas} {.status.replicas} {.status.updatedReplicas} {.status.readyReplicas} \
                    {.status.observedGeneration} {.metadata.generation}";
        let mut looks = 0;
        let limit = wva.environment().facts().patience(Duration::from_mins(2));
        let rolled = wait::until("the update to end", limit, || {
            looks += 1;
            async {
                let line = ["get", "deployment", NAME, "-n", &namespace, "-o", counts_of];
                let seen = kubectl.run(&line).await.unwrap();
                assert_eq!(seen.split(' ').next(), Some("11"), "the number of replicas drifts: {seen}");
                let words: Vec<&str> = seen.split(' ').collect();
                let done = words.len() == 6 && words[..4] == ["11"; 4] && words[4] == words[5];
                if done { Look::Done(()) } else { Look::NotYet(seen) }
            }
        });
        rolled.await.unwrap();
        assert!(looks > 3, "it was looked at while it lasted");
        until(wva, "the same decision", |desired, asked| (desired, asked) == ("11", "11")).await;
    })
    .await;
}
