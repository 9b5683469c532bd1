//! Keeping nodes and pods with GPUs in memory, while growth is to be limited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher;
use kube::{Api, Client};

use super::{ClusterGpus, GpuNode, GpuPod, Listed};
use crate::cluster::index::convert;
use crate::cluster::mirror::{self, Change, Failure};
use crate::shared::Shared;

/// A kind that is not served or not allowed may be later.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Watches whenever growth [is limited](super::GpuInventory::limit). A pod may hold GPUs in any namespace, and nodes are in none; so both are read
/// cluster-wide even by a controller that is confined to namespaces, which needs to be given the rights for it.
pub async fn run(client: Client, node_selector: Option<String>, shared: Arc<Shared>) {
    let mut limited = shared.gpu_inventory.limited.subscribe();
    loop {
        if limited.wait_for(|limited| *limited).await.is_err() {
            return;
        }
        *shared.gpu_inventory.gpus() = ClusterGpus { nodes: Listed::Pending, pods: Listed::Pending };
        tracing::info!(nodeSelector = node_selector.as_deref(), "Counting GPUs of nodes and pods");
        tokio::select! {
            () = nodes(&client, node_selector.as_deref(), &shared) => {}
            () = pods(&client, &shared) => {}
            off = limited.wait_for(|limited| !*limited) => if off.is_err() { return },
        }
        *shared.gpu_inventory.gpus() = ClusterGpus::default();
        tracing::info!("No longer counting GPUs");
    }
}

async fn nodes(client: &Client, selector: Option<&str>, shared: &Shared) {
    let mut config = watcher::Config::default();
    if let Some(selector) = selector {
        config = config.labels(selector);
    }
    loop {
        let stream = watcher(Api::<Node>::all(client.clone()), config.clone());
        let read = |node: Node| (convert::key(&node.metadata).name, GpuNode::read(&node));
        let take = |change| {
            let mut gpus = shared.gpu_inventory.gpus();
            if gpus.nodes.take(change) {
                shared.wake.notify_one();
            }
        };
        mirror::follow(&shared.troubles, "nodes", stream, read, take).await;
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

async fn pods(client: &Client, shared: &Shared) {
    let config = watcher::Config::default().fields("spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed");
    loop {
        let stream = watcher(Api::<Pod>::all(client.clone()), config.clone());
        let read = |pod: Pod| (convert::key(&pod.metadata), GpuPod::read(&pod));
        // A GPU that is free again is not worth a cycle of its own: most of the time it is one of ours that was given
        // up, and the next cycle is near.
        let take = |change| {
            let _first = shared.gpu_inventory.gpus().pods.take(change);
        };
        mirror::follow(&shared.troubles, "pods with GPUs", stream, read, take).await;
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

impl<K: Ord, R: PartialEq> Listed<K, R> {
    /// Takes what a watch brings. Returns whether decisions may come out differently at once: the list is there for the
    /// first time, or an object came, went or changed.
    fn take(&mut self, change: Result<Change<K, R>, Failure>) -> bool {
        match change {
            Err(failure) => {
                // What was listed before stays in force, unless it may not be read any longer.
                if failure.lasts() || !matches!(self, Self::Known(_)) {
                    *self = Self::Failed(failure.words);
                }
                false
            }
            Ok(Change::Put(key, record)) => {
                let Self::Known(known) = self else { return false };
                if known.get(&key) == Some(&record) {
                    return false;
                }
                known.insert(key, record);
                true
            }
            Ok(Change::Gone(key)) => {
                let Self::Known(known) = self else { return false };
                known.remove(&key).is_some()
            }
            Ok(all @ Change::All(_)) => {
                let mut listed = BTreeMap::new();
                all.apply(&mut listed);
                let differs = !matches!(self, Self::Known(known) if *known == listed);
                *self = Self::Known(listed);
                differs
            }
        }
    }
}
