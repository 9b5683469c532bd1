//! Deployments from creation to deletion.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::fixture::{self, TestCluster, deployment, eventually, forever, marker, processes, shell};

fn available(count: i32) -> impl Fn(Option<&Deployment>) -> bool {
    move |deployment| {
        let Some((deployment, status)) =
            deployment.and_then(|deployment| Some((deployment, deployment.status.as_ref()?)))
        else {
            return false;
        };
        status.observed_generation == deployment.metadata.generation
            && [status.replicas, status.updated_replicas, status.available_replicas] == [Some(count); 3]
    }
}

async fn patch(test: &TestCluster, name: &str, patch: Value) {
    test.api::<Deployment>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test]
async fn a_deployment_runs_scales_and_leaves_no_process_behind() {
    let test = TestCluster::start().await;
    let marker = marker();
    test.create::<Deployment>(deployment("web", 2, &shell(&forever(&marker)))).await;
    test.until("web", "available", available(2)).await;
    eventually("running as two processes", async || processes(&marker) == 2).await;

    patch(&test, "web", json!({"spec": {"replicas": 3}})).await;
    test.until("web", "scaled up", available(3)).await;
    patch(&test, "web", json!({"spec": {"replicas": 1}})).await;
    test.until("web", "scaled down", available(1)).await;
    eventually("down to one process", async || processes(&marker) == 1).await;

    test.api::<Deployment>().delete("web", &DeleteParams::background()).await.unwrap();
    eventually("without processes", async || processes(&marker) == 0).await;
    eventually("without pods", async || test.pods("web").await.is_empty()).await;
    let sets = test.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap();
    assert!(sets.items.is_empty());
    test.shutdown().await;
}

#[tokio::test]
async fn a_new_template_rolls_out_and_the_old_one_can_be_rolled_back_to() {
    let test = TestCluster::start().await;
    let (first, second) = (marker(), marker());
    test.create::<Deployment>(deployment("web", 2, &shell(&forever(&first)))).await;
    test.until("web", "available", available(2)).await;
    let template = |marker: &str| json!({"spec": {"template": {"spec": shell(&forever(marker))}}});

    patch(&test, "web", template(&second)).await;
    test.until("web", "rolled out", available(2)).await;
    eventually("running the new template only", async || (processes(&first), processes(&second)) == (0, 2)).await;

    patch(&test, "web", template(&first)).await;
    let rolled_back = test.until("web", "rolled back", available(2)).await.unwrap();
    assert_eq!(rolled_back.annotations()["deployment.kubernetes.io/revision"], "3");
    let sets = test.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(sets.len(), 2, "the first ReplicaSet is used again");
    let current = sets.iter().find(|set| set.spec.as_ref().unwrap().replicas == Some(2)).unwrap();
    assert_eq!(current.annotations()["deployment.kubernetes.io/revision"], "3");
    assert_eq!(current.annotations()["deployment.kubernetes.io/revision-history"], "1");
    test.shutdown().await;
}

#[tokio::test]
async fn recreate_stops_the_old_pods_before_it_starts_new_ones() {
    let test = TestCluster::start().await;
    let mut object = deployment("web", 2, &gpu(&forever(&marker())));
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    test.create::<Deployment>(object).await;
    test.until("web", "available", available(2)).await;
    let old = fixture::names(&test.pods("web").await);
    // Both GPUs are taken: a new pod only fits once an old one has gone.
    patch(&test, "web", json!({"spec": {"template": {"metadata": {"labels": {"app": "web", "version": "2"}}}}})).await;
    test.until("web", "recreated", available(2)).await;
    let new = fixture::names(&test.pods("web").await);
    assert!(new.iter().all(|name| !old.contains(name)));
    test.shutdown().await;
}

#[tokio::test]
async fn a_paused_deployment_scales_but_does_not_roll() {
    let test = TestCluster::start().await;
    let (first, second) = (marker(), marker());
    test.create::<Deployment>(deployment("web", 1, &shell(&forever(&first)))).await;
    test.until("web", "available", available(1)).await;
    let template = json!({"spec": shell(&forever(&second))});
    patch(&test, "web", json!({"spec": {"paused": true, "replicas": 2, "template": template}})).await;
    eventually("scaled with the old template", async || processes(&first) == 2).await;
    assert_eq!(processes(&second), 0);
    patch(&test, "web", json!({"spec": {"paused": false}})).await;
    test.until("web", "rolled out", available(2)).await;
    eventually("running the new template", async || (processes(&first), processes(&second)) == (0, 2)).await;
    test.shutdown().await;
}

fn gpu(script: &str) -> Value {
    let mut spec = shell(script);
    spec["containers"][0]["resources"] = json!({"limits": {"nvidia.com/gpu": "1"}});
    spec
}

#[tokio::test]
async fn a_third_gpu_pod_waits_until_one_of_two_goes() {
    let test = TestCluster::start().await;
    test.create::<Deployment>(deployment("first", 2, &gpu(&forever(&marker())))).await;
    test.until("first", "available", available(2)).await;
    test.create::<Deployment>(deployment("third", 1, &gpu(&forever(&marker())))).await;
    eventually("told why it waits", async || {
        let pods = test.pods("third").await;
        let conditions = pods.first().and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| {
            condition.type_ == "PodScheduled"
                && condition.reason.as_deref() == Some("Unschedulable")
                && condition.message.as_deref() == Some("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
        })
    })
    .await;
    patch(&test, "first", json!({"spec": {"replicas": 1}})).await;
    test.until("third", "available", available(1)).await;
    test.shutdown().await;
}
