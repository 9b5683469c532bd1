//! GPUs of the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// GPUs of the cluster by accelerator. Names may be spelled as on nodes or as on `VariantAutoscaling`s
/// (`NVIDIA-A100-PCIE-80GB`, `A100`): entries of the same [type](crate::accelerator::type_of) are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Counts by accelerator.
    pub gpus: BTreeMap<String, Gpus>,
}

/// GPUs of one accelerator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gpus {
    /// Allocatable on the nodes that may be used.
    pub total: u32,
    /// Requested there by pods that are not among [`Variant::pods`](super::Variant::pods): other workloads, and pods of
    /// variants that are being deleted, which hold their GPUs until they are gone.
    pub used_by_others: u32,
}
