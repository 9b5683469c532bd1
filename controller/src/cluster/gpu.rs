//! The vendors of GPUs: the resources that pods ask for, and the node labels that name a product.

/// A vendor: its resources, and the node labels that may name the product, the usual one first.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) resources: &'static [&'static str],
    pub(crate) labels: &'static [&'static str],
}

/// Resources of the vendors' device plugins. Labels come from NVIDIA's feature discovery, AMD's node labeller (the
/// `beta.` form from before its operator) and Intel's node feature rules. For Gaudi nobody names the product;
/// `gpu.product` of AMD and Intel is what guides for this controller have people set by hand.
pub(crate) const VENDORS: [Vendor; 4] = [
    Vendor { resources: &["nvidia.com/gpu"], labels: &["nvidia.com/gpu.product"] },
    Vendor {
        resources: &["amd.com/gpu"],
        labels: &["amd.com/gpu.product-name", "beta.amd.com/gpu.product-name", "amd.com/gpu.product"],
    },
    Vendor {
        resources: &["gpu.intel.com/i915", "gpu.intel.com/xe", "intel.com/gpu"],
        labels: &["gpu.intel.com/product", "intel.com/gpu.product"],
    },
    Vendor { resources: &["habana.ai/gaudi"], labels: &["intel.com/gpu.product"] },
];

/// Node labels of cloud providers that name an accelerator.
pub(crate) const CLOUD_LABELS: [&str; 4] = [
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "accelerator",
];

/// Every resource that counts as a GPU.
pub(crate) fn resources() -> impl Iterator<Item = &'static str> {
    VENDORS.iter().flat_map(|vendor| vendor.resources).copied()
}

/// Whether a node label names a GPU product: one of the vendors' and clouds', or `gpu.product` of any vendor.
pub(crate) fn names_product(label: &str) -> bool {
    let known = VENDORS.iter().flat_map(|vendor| vendor.labels).chain(&CLOUD_LABELS);
    label.ends_with("/gpu.product") || known.into_iter().any(|known| *known == label)
}
