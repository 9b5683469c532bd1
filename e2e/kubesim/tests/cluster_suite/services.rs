//! Addresses behind Services.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Endpoints, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::fixture::{TestCluster, deployment, eventually, forever, marker, pod, ready, shell};

fn addresses(endpoints: Option<&Endpoints>) -> Vec<String> {
    let subsets = endpoints.and_then(|endpoints| endpoints.subsets.as_ref()).into_iter().flatten();
    subsets.flat_map(|subset| subset.addresses.iter().flatten()).map(|address| address.ip.clone()).collect()
}

#[tokio::test]
async fn a_service_has_the_addresses_of_its_ready_pods() {
    let test = TestCluster::start().await;
    test.create::<Service>(json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }))
    .await;
    let mut spec = shell(&forever(&marker()));
    spec["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8000}]);
    test.create::<Deployment>(deployment("web", 2, &spec)).await;
    let endpoints =
        test.until("web", "backed by two", |endpoints: Option<&Endpoints>| addresses(endpoints).len() == 2).await;
    let mut pod_ips: Vec<String> =
        test.pods("web").await.iter().filter(|pod| ready(pod)).filter_map(|pod| pod.status.clone()?.pod_ip).collect();
    pod_ips.sort();
    assert_eq!(addresses(endpoints.as_ref()), pod_ips);
    let port = &endpoints.unwrap().subsets.unwrap()[0].ports.clone().unwrap()[0];
    assert_eq!((port.name.as_deref(), port.port), (Some("http"), 8000));

    let slices = async || {
        let list =
            test.api::<EndpointSlice>().list(&ListParams::default().labels("kubernetes.io/service-name=web")).await;
        list.unwrap().items
    };
    eventually("in the slice as well", async || slices().await.first().is_some_and(|slice| slice.endpoints.len() == 2))
        .await;
    test.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    eventually("without endpoints", async || test.api::<Endpoints>().get_opt("web").await.unwrap().is_none()).await;
    eventually("without slices", async || slices().await.is_empty()).await;
    test.shutdown().await;
}

#[tokio::test]
async fn endpoints_of_a_service_without_selector_are_left_alone() {
    let test = TestCluster::start().await;
    let manual = json!({"metadata": {"name": "outside"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]});
    test.create::<Service>(json!({"metadata": {"name": "outside"}, "spec": {"ports": [{"port": 80}]}})).await;
    test.create::<Endpoints>(manual).await;
    // The controller has been through its queue once a later Service has endpoints.
    test.create::<Service>(
        json!({"metadata": {"name": "later"}, "spec": {"selector": {"app": "later"}, "ports": [{"port": 80}]}}),
    )
    .await;
    test.create::<Pod>(pod("later", &shell(&forever(&marker())))).await;
    test.until("later", "backed", |endpoints: Option<&Endpoints>| addresses(endpoints).len() == 1).await;
    let endpoints = test.api::<Endpoints>().get("outside").await.unwrap();
    assert_eq!(addresses(Some(&endpoints)), ["192.0.2.1"]);
    test.shutdown().await;
}
