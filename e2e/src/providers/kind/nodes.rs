//! When a cluster is ready, judged by ourselves: `kind create cluster --wait` exits 0 when its time is over, and never
//! looks at the pods of kube-system. And GPUs that no device plugin reports.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::config::GpuNode;
use crate::wait::{self, Look, TimedOut};

/// Label kubeadm gives to control-plane nodes.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// A node could not be given its GPUs.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct Error {
    doing: String,
    source: kube::Error,
}

/// Waits until `count` nodes are Ready.
///
/// # Errors
/// When they are not within `limit`; the error says which are not.
pub async fn ready(client: &kube::Client, count: usize, limit: Duration) -> Result<(), TimedOut> {
    let nodes: Api<Node> = Api::all(client.clone());
    wait::until(&format!("{count} nodes to be Ready"), limit, || async {
        match nodes.list(&ListParams::default()).await {
            Ok(list) => missing_nodes(&list.items, count).map_or(Look::Done(()), Look::NotYet),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}

/// Waits until every pod of kube-system is Ready, so that names are resolved and volumes are made.
///
/// # Errors
/// When one is not within `limit`; the error says which.
pub async fn system_ready(client: &kube::Client, limit: Duration) -> Result<(), TimedOut> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
    wait::until("the pods of kube-system to be Ready", limit, || async {
        match pods.list(&ListParams::default()).await {
            Ok(list) => waiting_pods(&list.items).map_or(Look::Done(()), Look::NotYet),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}

/// Gives the workers their GPUs as capacity, in the order of their names: kind numbers them as the configuration lists
/// them.
///
/// # Errors
/// When a node cannot be read or patched.
pub async fn add_gpus(client: &kube::Client, workers: &[GpuNode]) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let list = nodes.list(&ListParams::default()).await;
    let list = list.map_err(|source| Error { doing: "listing the nodes to give them GPUs".to_owned(), source })?;
    for (name, gpus) in assign(&list.items, workers) {
        let amount = json!({ "nvidia.com/gpu": gpus.to_string() });
        // Both at once: the kubelet would copy capacity to allocatable only at its next report, ten seconds later.
        let status = json!({ "status": { "capacity": amount, "allocatable": amount } });
        nodes
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .map_err(|source| Error { doing: format!("giving node {name} {gpus} GPUs"), source })?;
    }
    Ok(())
}

/// What is missing until `count` nodes are Ready, in words; `None` when nothing is.
fn missing_nodes(nodes: &[Node], count: usize) -> Option<String> {
    if nodes.len() < count {
        return Some(format!("{} of {count} nodes have registered", nodes.len()));
    }
    let unready: Vec<String> = nodes.iter().filter_map(unready).collect();
    (!unready.is_empty()).then(|| unready.join("; "))
}

fn unready(node: &Node) -> Option<String> {
    let name = node.metadata.name.clone().unwrap_or_default();
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    match conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(format!("{name}: {}", ready.message.as_deref().unwrap_or("not Ready"))),
        None => Some(format!("{name}: has not reported yet")),
    }
}

/// Which pods are not Ready, in words; `None` when all are. No pod at all is not ready: DNS has yet to come.
fn waiting_pods(pods: &[Pod]) -> Option<String> {
    if pods.is_empty() {
        return Some("no pods yet".to_owned());
    }
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let waiting: Vec<String> =
        pods.iter().filter(|pod| !ready(pod)).filter_map(|pod| pod.metadata.name.clone()).collect();
    (!waiting.is_empty()).then(|| format!("not Ready: {}", waiting.join(", ")))
}

/// The GPUs of each worker that has some. `NAME-worker` comes before `NAME-worker2`, and that before `NAME-worker10`.
fn assign(nodes: &[Node], workers: &[GpuNode]) -> Vec<(String, u32)> {
    let is_worker = |node: &&Node| !node.metadata.labels.iter().flatten().any(|(label, _)| label == CONTROL_PLANE);
    let mut names: Vec<String> = nodes.iter().filter(is_worker).filter_map(|node| node.metadata.name.clone()).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.into_iter().zip(workers.iter().map(|worker| worker.gpus)).filter(|(_, gpus)| *gpus > 0).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn node(name: &str, ready: &str) -> Node {
        let labels = if name.contains("control") { json!({ CONTROL_PLANE: "" }) } else { json!({}) };
        let conditions = if ready.is_empty() {
            json!([])
        } else {
            json!([{ "type": "Ready", "status": ready, "message": "CNI is not there" }])
        };
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": labels }, "status": { "conditions": conditions }
        }))
        .unwrap()
    }

    fn pod(name: &str, ready: &str) -> Pod {
        let conditions = json!([{ "type": "Ready", "status": ready }]);
        serde_json::from_value(json!({ "metadata": { "name": name }, "status": { "conditions": conditions } })).unwrap()
    }

    #[rstest]
    #[case::registering(vec![node("a", "True")], Some("1 of 2 nodes have registered"))]
    #[case::no_report(vec![node("a", "True"), node("b", "")], Some("b: has not reported yet"))]
    #[case::not_ready(vec![node("a", "False"), node("b", "True")], Some("a: CNI is not there"))]
    #[case::ready(vec![node("a", "True"), node("b", "True")], None)]
    fn nodes_are_ready_when_each_says_so(#[case] nodes: Vec<Node>, #[case] expect: Option<&str>) {
        assert_eq!(missing_nodes(&nodes, 2).as_deref(), expect);
    }

    #[rstest]
    #[case::none(vec![], Some("no pods yet"))]
    #[case::dns_waits(vec![pod("etcd", "True"), pod("coredns", "False")], Some("not Ready: coredns"))]
    #[case::all(vec![pod("etcd", "True"), pod("coredns", "True")], None)]
    fn the_cluster_is_ready_when_its_own_pods_are(#[case] pods: Vec<Pod>, #[case] expect: Option<&str>) {
        assert_eq!(waiting_pods(&pods).as_deref(), expect);
    }

    #[test]
    fn workers_get_the_gpus_of_their_place_in_the_configuration() {
        let names = ["x-worker10", "x-worker2", "x-control-plane", "x-worker"];
        let nodes: Vec<Node> = names.iter().map(|name| node(name, "True")).collect();
        let gpus = |gpus| GpuNode { gpus, product: "P".to_owned(), memory_mib: 1 };
        let assigned = assign(&nodes, &[gpus(8), gpus(0), gpus(4)]);
        assert_eq!(assigned, [("x-worker".to_owned(), 8), ("x-worker10".to_owned(), 4)]);
    }
}
