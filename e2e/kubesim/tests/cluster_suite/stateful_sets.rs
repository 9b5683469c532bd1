//! `StatefulSets`, and the scale subresource of kinds nobody here knows.

use k8s_openapi::{
    api::apps::v1::StatefulSet, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::fixture::{self, NAMESPACE, TestCluster, eventually, forever, marker, processes, shell};

fn ready(count: i32) -> impl Fn(Option<&StatefulSet>) -> bool {
    move |set| {
        let Some((set, status)) = set.and_then(|set| Some((set, set.status.as_ref()?))) else { return false };
        status.observed_generation == set.metadata.generation
            && (status.replicas, status.ready_replicas) == (count, Some(count))
    }
}

#[tokio::test]
async fn pods_of_a_stateful_set_have_numbers_and_are_scaled_through_the_subresource() {
    let test = TestCluster::start().await;
    let marker = marker();
    let mut set = fixture::deployment("db", 2, &shell(&forever(&marker)));
    set["spec"]["serviceName"] = json!("db");
    test.create::<StatefulSet>(set).await;
    test.until("db", "ready", ready(2)).await;
    let names = async |app: &str| fixture::names(&test.pods(app).await);
    assert_eq!(names("db").await, ["db-0", "db-1"]);
    let pods = test.pods("db").await;
    assert_eq!(pods[1].labels()["apps.kubernetes.io/pod-index"], "1");
    assert!(pods[0].status.as_ref().unwrap().start_time <= pods[1].status.as_ref().unwrap().start_time);

    let sets = test.api::<StatefulSet>();
    let scale = sets.get_scale("db").await.unwrap();
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("app=db"));
    let one = json!({"spec": {"replicas": 1}});
    sets.patch_scale("db", &PatchParams::default(), &Patch::Merge(&one)).await.unwrap();
    test.until("db", "scaled down", ready(1)).await;
    assert_eq!(names("db").await, ["db-0"]);

    let next = fixture::marker();
    let template = json!({"spec": {"template": {"spec": shell(&forever(&next))}}});
    sets.patch("db", &PatchParams::default(), &Patch::Merge(&template)).await.unwrap();
    eventually("running the new template only", async || (processes(&marker), processes(&next)) == (0, 1)).await;
    let updated = |set: Option<&StatefulSet>| {
        let status = set.and_then(|set| set.status.as_ref());
        status
            .is_some_and(|status| status.current_revision == status.update_revision && status.ready_replicas == Some(1))
    };
    test.until("db", "rolled out", updated).await;
    sets.delete("db", &DeleteParams::background()).await.unwrap();
    eventually("without processes", async || processes(&next) == 0).await;
    test.shutdown().await;
}

#[tokio::test]
async fn a_custom_kind_with_a_scale_subresource_is_scaled_like_any_other() {
    let test = TestCluster::start().await;
    let client = test.cluster.client();
    // As the LeaderWorkerSet project defines it, in what matters for scaling.
    let definition = json!({
        "metadata": {"name": "leaderworkersets.leaderworkerset.x-k8s.io"},
        "spec": {
            "group": "leaderworkerset.x-k8s.io",
            "scope": "Namespaced",
            "names": {"plural": "leaderworkersets", "singular": "leaderworkerset", "kind": "LeaderWorkerSet", "shortNames": ["lws"]},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "properties": {"replicas": {"type": "integer", "default": 1}}},
                        "status": {"type": "object", "properties": {
                            "replicas": {"type": "integer"},
                            "hpaPodSelector": {"type": "string"},
                        }},
                    },
                }},
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas",
                        "labelSelectorPath": ".status.hpaPodSelector",
                    },
                },
            }],
        },
    });
    let definition: CustomResourceDefinition = serde_json::from_value(definition).unwrap();
    Api::<CustomResourceDefinition>::all(client.clone()).create(&PostParams::default(), &definition).await.unwrap();
    let kind = GroupVersionKind::gvk("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet");
    let resource = ApiResource::from_gvk_with_plural(&kind, "leaderworkersets");
    let sets: Api<DynamicObject> = Api::namespaced_with(client, NAMESPACE, &resource);
    let set = DynamicObject::new("workers", &resource).data(json!({"spec": {}}));
    let created = sets.create(&PostParams::default(), &set).await.unwrap();
    let status = json!({"status": {"replicas": 1, "hpaPodSelector": "role=leader"}});
    sets.patch_status("workers", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    let scale = sets.get_scale("workers").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(1));
    assert_eq!(scale.status.unwrap().selector.as_deref(), Some("role=leader"));
    let three = json!({"spec": {"replicas": 3}});
    let scaled = sets.patch_scale("workers", &PatchParams::default(), &Patch::Merge(&three)).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(3));
    let now = sets.get("workers").await.unwrap();
    assert_eq!(now.data["spec"]["replicas"], 3);
    assert!(now.metadata.generation > created.metadata.generation);
    test.shutdown().await;
}
