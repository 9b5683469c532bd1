//! Owners and namespaces on their way out.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, Namespace, Pod, ServiceAccount},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::json;

use crate::fixture::{TestCluster, deployment, eventually, forever, is_gone, marker, processes, shell};

async fn running(test: &TestCluster, marker: &str) {
    test.create::<Deployment>(deployment("web", 1, &shell(&forever(marker)))).await;
    eventually("running", async || processes(marker) == 1).await;
}

#[tokio::test]
async fn foreground_deletion_keeps_the_owner_until_its_pods_are_gone() {
    let test = TestCluster::start().await;
    let marker = marker();
    running(&test, &marker).await;
    let answer = test.api::<Deployment>().delete("web", &DeleteParams::foreground()).await.unwrap();
    assert!(answer.is_left(), "the owner is still there");
    test.until::<Deployment>("web", "gone", is_gone).await;
    let left = test.pods("web").await;
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(processes(&marker), 0);
    test.shutdown().await;
}

#[tokio::test]
async fn orphaned_pods_keep_running_without_their_owner() {
    let test = TestCluster::start().await;
    let marker = marker();
    running(&test, &marker).await;
    test.api::<Deployment>().delete("web", &DeleteParams::orphan()).await.unwrap();
    test.until::<Deployment>("web", "gone", is_gone).await;
    let sets = test.api::<ReplicaSet>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(sets.len(), 1);
    assert!(sets[0].metadata.owner_references.iter().flatten().next().is_none());
    assert_eq!(processes(&marker), 1);
    test.shutdown().await;
    assert_eq!(processes(&marker), 0);
}

#[tokio::test]
async fn a_namespace_is_emptied_before_it_goes() {
    let test = TestCluster::start().await;
    let marker = marker();
    let client = test.cluster.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let name = "team-a";
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    eventually("given a service account", async || accounts.get_opt("default").await.unwrap().is_some()).await;
    let object = serde_json::from_value(deployment("web", 2, &shell(&forever(&marker)))).unwrap();
    Api::<Deployment>::namespaced(client.clone(), name).create(&PostParams::default(), &object).await.unwrap();
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "settings"}})).unwrap();
    Api::<ConfigMap>::namespaced(client.clone(), name).create(&PostParams::default(), &map).await.unwrap();
    eventually("running", async || processes(&marker) == 2).await;

    namespaces.delete(name, &DeleteParams::default()).await.unwrap();
    let gone = await_condition(namespaces, name, |namespace: Option<&Namespace>| namespace.is_none());
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the namespace is still there").unwrap();
    assert_eq!(processes(&marker), 0);
    let pods = Api::<Pod>::namespaced(client, name).list(&ListParams::default()).await.unwrap();
    assert!(pods.items.is_empty());
    test.shutdown().await;
}
