//! What is kept of a node: which GPUs it has and whether a new pod could get them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use crate::cluster::gpu::{CLOUD_LABELS, VENDORS, Vendor};

/// A node with GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuNode {
    /// Product, as its label names it; the resource's name when no label does.
    pub product: String,
    /// Allocatable GPUs.
    pub gpus: u32,
    /// Whether a new pod could be given one: the node is ready and not cordoned.
    pub usable: bool,
}

impl GpuNode {
    /// Reads a node; `None` when it has no GPU.
    pub fn read(node: &Node) -> Option<Self> {
        let status = node.status.as_ref()?;
        let allocatable = status.allocatable.as_ref()?;
        let (vendor, resource, gpus) = VENDORS.iter().find_map(|vendor| {
            vendor.resources.iter().find_map(|&resource| {
                let gpus: u32 = allocatable.get(resource)?.0.parse().ok()?;
                (gpus > 0).then_some((vendor, resource, gpus))
            })
        })?;
        let labels = node.metadata.labels.as_ref();
        let product = labels.and_then(|labels| product(vendor, labels)).unwrap_or(resource);
        let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
        let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
        Some(Self {
            product: product.to_owned(),
            gpus,
            usable: ready && !cordoned && node.metadata.deletion_timestamp.is_none(),
        })
    }
}

fn product<'a>(vendor: &Vendor, labels: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let names = vendor.labels.iter().chain(&CLOUD_LABELS);
    names.into_iter().find_map(|name| labels.get(*name)).map(String::as_str).filter(|product| !product.is_empty())
}
