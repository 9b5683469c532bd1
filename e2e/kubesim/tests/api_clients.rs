//! What kube clients do all day: create, read, list, watch, patch, scale and delete.
#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use kubesim::apiserver::{Options, Server};
use serde_json::json;

async fn start() -> (Server, Client) {
    let server = Server::start(Options::default()).await.expect("a free loopback network");
    let mut config = kube::Config::new(server.url().parse().expect("url"));
    config.root_cert = Some(vec![server.ca_der()]);
    (server, Client::try_from(config).expect("client"))
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("key".to_owned(), value.to_owned())])),
        ..ConfigMap::default()
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let created = maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    assert!(created.uid().is_some() && created.creation_timestamp().is_some());
    assert_eq!(code(maps.create(&PostParams::default(), &config_map("a", "1")).await), 409);

    let patch = json!({"data": {"key": "2", "more": "3"}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    let read = maps.get("a").await.expect("read");
    assert_eq!(read.data.expect("data")["key"], "2");

    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(maps.get("a").await), 404);
    server.shutdown().await;
}

#[tokio::test]
async fn an_update_of_an_older_version_is_refused() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let first = maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    let mut second = first.clone();
    second.data = Some(BTreeMap::from([("key".to_owned(), "2".to_owned())]));
    maps.replace("a", &PostParams::default(), &second).await.expect("replaced");
    assert_eq!(code(maps.replace("a", &PostParams::default(), &second).await), 409);
    server.shutdown().await;
}

#[tokio::test]
async fn a_watch_continues_where_a_list_ended() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let list = maps.list(&ListParams::default()).await.expect("listed");
    let version = list.metadata.resource_version.expect("version");
    maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    let events: Vec<&'static str> = maps
        .watch(&WatchParams::default(), &version)
        .await
        .expect("watch")
        .map_ok(|event| match event {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            WatchEvent::Bookmark(_) => "bookmark",
            WatchEvent::Error(_) => "error",
        })
        .take(2)
        .try_collect()
        .await
        .expect("events");
    assert_eq!(events, ["added", "deleted"]);
    server.shutdown().await;
}

#[tokio::test]
async fn a_streaming_list_begins_with_what_is_there() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    maps.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    // Every namespace has the map with the cluster's certificate.
    let config = watcher::Config::default().streaming_lists().fields("metadata.name!=kube-root-ca.crt");
    let mut stream = watcher(maps.clone(), config).applied_objects().boxed();
    let first = stream.try_next().await.expect("event").expect("object");
    assert_eq!(first.name_any(), "a");
    maps.create(&PostParams::default(), &config_map("b", "1")).await.expect("created");
    let second = stream.try_next().await.expect("event").expect("object");
    assert_eq!(second.name_any(), "b");
    server.shutdown().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_watches() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut stream = maps.watch(&WatchParams::default(), "1").await.expect("watch").boxed();
    server.shutdown().await;
    let end = tokio::time::timeout(Duration::from_secs(5), async { while let Some(Ok(_)) = stream.next().await {} });
    end.await.expect("the stream ends");
}

#[tokio::test]
async fn a_new_namespace_has_a_service_account() {
    let (server, client) = start().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "team-a"}})).expect("valid");
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.expect("created");
    assert_eq!(namespace.labels()["kubernetes.io/metadata.name"], "team-a");
    assert_eq!(namespace.status.expect("status").phase.expect("phase"), "Active");
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "team-a");
    accounts.get("default").await.expect("exists");
    let missing: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    assert_eq!(code(missing.create(&PostParams::default(), &config_map("a", "1")).await), 404);
    server.shutdown().await;
}

#[tokio::test]
async fn a_lease_changes_hands_by_compare_and_swap() {
    let (server, client) = start().await;
    let leases: Api<Lease> = Api::namespaced(client, "kube-system");
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.000000Z"},
    }))
    .expect("valid");
    let mut held = leases.create(&PostParams::default(), &lease).await.expect("created");
    let mut contender = held.clone();
    held.spec.as_mut().expect("spec").lease_transitions = Some(1);
    leases.replace("leader", &PostParams::default(), &held).await.expect("renewed");
    contender.spec.as_mut().expect("spec").holder_identity = Some("b".to_owned());
    assert_eq!(code(leases.replace("leader", &PostParams::default(), &contender).await), 409);
    server.shutdown().await;
}

fn deployment() -> Deployment {
    let spec: DeploymentSpec = serde_json::from_value(json!({
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]},
        },
    }))
    .expect("valid");
    Deployment {
        metadata: ObjectMeta { name: Some("x".to_owned()), ..ObjectMeta::default() },
        spec: Some(spec),
        status: None,
    }
}

#[tokio::test]
async fn scaling_and_status_leave_each_other_alone() {
    let (server, client) = start().await;
    let deployments: Api<Deployment> = Api::namespaced(client, "default");
    deployments.create(&PostParams::default(), &deployment()).await.expect("created");
    let status = json!({"status": {"replicas": 1, "readyReplicas": 1}});
    deployments.patch_status("x", &PatchParams::default(), &Patch::Merge(&status)).await.expect("patched");
    let scale = json!({"spec": {"replicas": 3}});
    let scale = deployments.patch_scale("x", &PatchParams::default(), &Patch::Merge(&scale)).await.expect("scaled");
    assert_eq!(scale.status.expect("status").selector.as_deref(), Some("app=x"));
    let read = deployments.get("x").await.expect("read");
    assert_eq!(read.spec.as_ref().expect("spec").replicas, Some(3));
    assert_eq!(read.status.as_ref().expect("status").ready_replicas, Some(1));
    assert_eq!(read.metadata.generation, Some(2));
    server.shutdown().await;
}

#[tokio::test]
async fn a_custom_resource_is_served_as_soon_as_its_definition_is() {
    let (server, client) = start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                    "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
                }}},
                "subresources": {"status": {}},
            }],
        },
    }))
    .expect("valid");
    let created = definitions.create(&PostParams::default(), &definition).await.expect("created");
    let conditions = created.status.expect("status").conditions.expect("conditions");
    assert!(conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True"));

    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Thing"), "things");
    let things: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let thing = DynamicObject::new("one", &resource).data(json!({"spec": {"size": 1}}));
    things.create(&PostParams::default(), &thing).await.expect("created");
    let apply = PatchParams::apply("watcher");
    let status = json!({"apiVersion": "example.com/v1", "kind": "Thing", "status": {"seen": 1}});
    things.patch_status("one", &apply, &Patch::Apply(&status)).await.expect("applied");
    let read = things.get("one").await.expect("read");
    assert_eq!(read.data, json!({"spec": {"size": 1}, "status": {"seen": 1}}));
    assert_eq!(read.metadata.generation, Some(1));

    definitions.delete("things.example.com", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(things.get("one").await), 404);
    server.shutdown().await;
}

#[tokio::test]
async fn an_object_with_a_finalizer_waits_for_it() {
    let (server, client) = start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut map = config_map("a", "1");
    map.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    maps.create(&PostParams::default(), &map).await.expect("created");
    let waiting = maps.delete("a", &DeleteParams::default()).await.expect("accepted").left().expect("still there");
    assert!(waiting.metadata.deletion_timestamp.is_some());
    let release = json!({"metadata": {"finalizers": null}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(&release)).await.expect("released");
    assert_eq!(code(maps.get("a").await), 404);
    server.shutdown().await;
}
