//! `DaemonSets`: a pod on each node they are for.

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet},
    core::v1::Node,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use kubesim::{
    cluster::{Cluster, Options},
    node::NodeConfig,
};
use serde_json::json;

use crate::{
    cluster,
    fixture::{TestCluster, eventually, forever, is_gone, marker, processes, shell},
};

fn serves(count: i32) -> impl Fn(Option<&DaemonSet>) -> bool {
    move |set| {
        let Some((set, status)) = set.and_then(|set| Some((set, set.status.as_ref()?))) else { return false };
        status.observed_generation == set.metadata.generation
            && status.desired_number_scheduled == count
            && (status.updated_number_scheduled.unwrap_or_default(), status.number_available.unwrap_or_default())
                == (count, count)
    }
}

#[tokio::test]
async fn a_daemon_set_runs_on_each_node_it_is_for() {
    let nodes = ["a100-0", "a100-1"].map(|name| NodeConfig::new(name).with_gpus(2, "NVIDIA-A100-PCIE-80GB", 81_920));
    let nodes = nodes.into_iter().chain([NodeConfig::new("plain")]).collect();
    let cluster = Cluster::start(Options { nodes, ..cluster::options() }).await.unwrap();
    let test = TestCluster { cluster };
    let (first, next) = (marker(), marker());
    let mut spec = shell(&forever(&first));
    spec["nodeSelector"] = json!({"nvidia.com/gpu.product": "NVIDIA-A100-PCIE-80GB"});
    let template = json!({"metadata": {"labels": {"app": "agent"}}, "spec": spec});
    let selector = json!({"matchLabels": {"app": "agent"}});
    test.create::<DaemonSet>(
        json!({"metadata": {"name": "agent"}, "spec": {"selector": selector, "template": template}}),
    )
    .await;
    test.until("agent", "on both GPU nodes", serves(2)).await;
    let places = async || {
        let pods = test.pods("agent").await;
        let mut nodes: Vec<String> = pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect();
        nodes.sort();
        nodes
    };
    assert_eq!(places().await, ["a100-0", "a100-1"]);
    let owner = test.pods("agent").await[0].owner_references()[0].clone();
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.controller), ("DaemonSet", "agent", Some(true)));

    // A label brings the third node in, and its loss takes it out.
    let nodes: Api<Node> = Api::all(test.cluster.client());
    let label = |value: serde_json::Value| json!({"metadata": {"labels": {"nvidia.com/gpu.product": value}}});
    let labelled = Patch::Merge(label(json!("NVIDIA-A100-PCIE-80GB")));
    nodes.patch("plain", &PatchParams::default(), &labelled).await.unwrap();
    test.until("agent", "on the new node too", serves(3)).await;
    nodes.patch("plain", &PatchParams::default(), &Patch::Merge(label(json!(null)))).await.unwrap();
    test.until("agent", "on two again", serves(2)).await;
    eventually("gone from the node", async || processes(&first) == 2).await;

    let mut spec = shell(&forever(&next));
    spec["nodeSelector"] = json!({"nvidia.com/gpu.product": "NVIDIA-A100-PCIE-80GB"});
    let patch = Patch::Merge(json!({"spec": {"template": {"spec": spec}}}));
    test.api::<DaemonSet>().patch("agent", &PatchParams::default(), &patch).await.unwrap();
    test.until("agent", "rolled out", serves(2)).await;
    eventually("running the new template only", async || (processes(&first), processes(&next)) == (0, 2)).await;
    let revisions = test.api::<ControllerRevision>().list(&ListParams::default()).await.unwrap().items;
    let mut numbers: Vec<i64> = revisions.iter().map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);

    test.api::<DaemonSet>().delete("agent", &DeleteParams::background()).await.unwrap();
    test.until::<DaemonSet>("agent", "gone", is_gone).await;
    eventually("without processes", async || processes(&next) == 0).await;
    test.shutdown().await;
}
