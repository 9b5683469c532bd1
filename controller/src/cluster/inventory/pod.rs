//! What is kept of a pod: where it runs and how many GPUs it holds there.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::cluster::index::workload;

/// A pod that holds GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuPod {
    /// Its node.
    pub node: String,
    /// GPUs it holds.
    pub gpus: u32,
}

impl GpuPod {
    /// Reads a pod; `None` when it holds no GPU: it asks for none, has no node yet, or has ended.
    pub fn read(pod: &Pod) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let node = spec.node_name.as_ref().filter(|node| !node.is_empty())?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            return None;
        }
        let init = spec.init_containers.as_deref().unwrap_or_default();
        // An init container that is restarted runs beside the others; one that is not has ended before they start.
        let (beside, before): (Vec<_>, Vec<_>) =
            init.iter().partition(|container| container.restart_policy.as_deref() == Some("Always"));
        let together: u32 = spec.containers.iter().chain(beside).map(gpus).sum();
        let gpus = before.into_iter().map(gpus).fold(together, u32::max);
        (gpus > 0).then(|| Self { node: node.clone(), gpus })
    }
}

fn gpus(container: &Container) -> u32 {
    workload::gpus(container).map_or(0, |(_, count)| count)
}
