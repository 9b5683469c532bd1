//! GPUs of the cluster: how many of each type there are, and how many of them others hold.
//!
//! Only in limited mode. [`watch`] keeps nodes with GPUs and pods that hold some in memory, [`node`] and [`pod`] say
//! what is kept of each; `WVA_NODE_SELECTOR` narrows the nodes. [`ClusterGpus::inventory`] adds up what the limiter is
//! to know; whatever cannot be known makes the whole of it unknown, and [`ClusterGpus::unknown`] says why.

pub mod node;
pub mod pod;
pub mod watch;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch as channel;
use wva_engine::Snapshot;
use wva_engine::snapshot::{Gpus, Inventory};

pub use self::node::GpuNode;
pub use self::pod::GpuPod;
use super::index::ObjectKey;
use crate::lock::lock;

/// What is known of nodes and pods with GPUs, shared between tasks.
#[derive(Debug, Default)]
pub struct GpuInventory {
    gpus: Mutex<ClusterGpus>,
    limited: channel::Sender<bool>,
}

/// Nodes with GPUs, and pods that hold some of them.
#[derive(Clone, Debug, Default)]
pub struct ClusterGpus {
    /// Nodes.
    pub nodes: Listed<String, GpuNode>,
    /// Pods that were given a node, of all namespaces.
    pub pods: Listed<ObjectKey, GpuPod>,
}

/// Objects of one kind, once they have been listed.
#[derive(Clone, Debug, Default)]
pub enum Listed<K, R> {
    /// Nobody looks.
    #[default]
    NotWatched,
    /// The list has not come yet.
    Pending,
    /// It cannot be had, in words for a person.
    Failed(String),
    /// These are there.
    Known(BTreeMap<K, R>),
}

/// The inventory for a decision: pods of its variants are ours, all others somebody else's.
pub fn of(snapshot: &Snapshot, gpus: &ClusterGpus) -> Option<Inventory> {
    let ours: HashSet<(&str, &str)> = snapshot
        .models
        .iter()
        .flat_map(|model| model.variants.iter().map(move |variant| (&model.key.namespace, variant)))
        .flat_map(|(namespace, variant)| variant.pods.iter().map(|pod| (namespace.as_str(), pod.name.as_str())))
        .collect();
    gpus.inventory(|pod| ours.contains(&(pod.namespace.as_str(), pod.name.as_str())))
}

impl GpuInventory {
    /// What is known. Held for the length of a computation, never across an await.
    pub fn gpus(&self) -> MutexGuard<'_, ClusterGpus> {
        lock(&self.gpus)
    }

    /// Says whether growth is limited, hence whether GPUs are to be counted.
    pub fn limit(&self, limited: bool) {
        self.limited.send_if_modified(|was| std::mem::replace(was, limited) != limited);
    }
}

impl ClusterGpus {
    /// GPUs by product, with what pods hold that are not `ours`; `None` when it is not known.
    ///
    /// GPUs of a node that takes no new pods are none that could be had. Those of them that our pods hold are counted
    /// nevertheless, because the decision counts all of our replicas as holding some.
    pub fn inventory(&self, ours: impl Fn(&ObjectKey) -> bool) -> Option<Inventory> {
        let (Listed::Known(nodes), Listed::Known(pods)) = (&self.nodes, &self.pods) else { return None };
        let mut inventory = Inventory::default();
        for node in nodes.values() {
            let gpus = inventory.gpus.entry(node.product.clone()).or_default();
            if node.usable {
                gpus.total = gpus.total.saturating_add(node.gpus);
            }
        }
        for (key, pod) in pods {
            let Some(node) = nodes.get(&pod.node) else { continue };
            let Gpus { total, used_by_others } = inventory.gpus.entry(node.product.clone()).or_default();
            match (ours(key), node.usable) {
                (true, false) => *total = total.saturating_add(pod.gpus),
                (false, true) => *used_by_others = used_by_others.saturating_add(pod.gpus),
                (true, true) | (false, false) => {}
            }
        }
        Some(inventory)
    }

    /// Why the GPUs are not known; `None` when they are.
    pub fn unknown(&self) -> Option<String> {
        let why = |kind: &str, state: Result<(), Option<&str>>| match state {
            Ok(()) => None,
            Err(None) => Some(format!("{kind} have not been listed yet")),
            Err(Some(why)) => Some(format!("{kind} cannot be listed: {why}")),
        };
        why("nodes", self.nodes.state()).or_else(|| why("pods of all namespaces", self.pods.state()))
    }
}

impl<K: Ord, R> Listed<K, R> {
    /// Whether it is known, and if not, why it cannot be had.
    fn state(&self) -> Result<(), Option<&str>> {
        match self {
            Self::Known(_) => Ok(()),
            Self::NotWatched | Self::Pending => Err(None),
            Self::Failed(why) => Err(Some(why)),
        }
    }
}

#[cfg(test)]
mod tests;
