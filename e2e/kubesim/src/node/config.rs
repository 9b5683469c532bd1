//! What an emulated node looks like.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A node, its size and its accelerators.
///
/// Written on the command line as `name=a100-0,gpus=4,product=NVIDIA-A100-PCIE-80GB,memory=81920`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Name of the Node object.
    pub name: String,
    /// Extended resource of the accelerators, such as `nvidia.com/gpu`.
    pub gpu_resource: String,
    /// Number of accelerators; a node with none has neither the resource nor its labels.
    pub gpus: u32,
    /// Value of the label `<gpu_resource>.product`.
    pub gpu_product: Option<String>,
    /// Memory of one accelerator in MiB, value of the label `<gpu_resource>.memory`.
    pub gpu_memory_mib: Option<u32>,
    /// Processor cores.
    pub cpu: u32,
    /// Main memory, such as `64Gi`.
    pub memory: String,
    /// How many pods the node takes.
    pub pods: u32,
    /// Further labels.
    pub labels: BTreeMap<String, String>,
}

/// A node description that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidNode {
    /// An item is not of the form `key=value`.
    #[error("`{0}` in a node description is not of the form key=value")]
    NotAPair(String),
    /// The key means nothing.
    #[error(
        "unknown key `{0}` in a node description; known are name, gpus, product, memory, resource, cpu, ram, pods and label.<name>"
    )]
    UnknownKey(String),
    /// A number was expected.
    #[error("`{key}={value}` in a node description: a whole number is expected")]
    NotANumber {
        /// The key.
        key: String,
        /// What it was set to.
        value: String,
    },
    /// There is no name.
    #[error("a node description needs a name, as in name=a100-0,gpus=4,product=NVIDIA-A100-PCIE-80GB")]
    NoName,
}

impl NodeConfig {
    /// A node without accelerators: 64 cores, 256 GiB, 250 pods.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            gpu_resource: "nvidia.com/gpu".to_owned(),
            gpus: 0,
            gpu_product: None,
            gpu_memory_mib: None,
            cpu: 64,
            memory: "256Gi".to_owned(),
            pods: 250,
            labels: BTreeMap::new(),
        }
    }

    /// The same node with `count` accelerators of `product`, each with `memory_mib` MiB.
    #[must_use]
    pub fn with_gpus(self, count: u32, product: impl Into<String>, memory_mib: u32) -> Self {
        Self { gpus: count, gpu_product: Some(product.into()), gpu_memory_mib: Some(memory_mib), ..self }
    }

    /// All labels: the well-known ones, those of the accelerators as their vendors' discovery sets them, then the
    /// node's own.
    pub(crate) fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            ("kubernetes.io/hostname".to_owned(), self.name.clone()),
            ("kubernetes.io/os".to_owned(), "linux".to_owned()),
            ("kubernetes.io/arch".to_owned(), architecture().to_owned()),
        ]);
        if self.gpus > 0 {
            let gpu = &self.gpu_resource;
            labels.insert(format!("{gpu}.count"), self.gpus.to_string());
            labels.extend(self.gpu_product.iter().map(|product| (format!("{gpu}.product"), product.clone())));
            labels.extend(self.gpu_memory_mib.iter().map(|memory| (format!("{gpu}.memory"), memory.to_string())));
        }
        labels.extend(self.labels.clone());
        labels
    }

    /// Capacity, all of which is allocatable.
    pub(crate) fn capacity(&self) -> BTreeMap<String, Quantity> {
        let mut capacity = BTreeMap::from([
            ("cpu".to_owned(), Quantity(self.cpu.to_string())),
            ("memory".to_owned(), Quantity(self.memory.clone())),
            ("pods".to_owned(), Quantity(self.pods.to_string())),
            ("ephemeral-storage".to_owned(), Quantity("100Gi".to_owned())),
        ]);
        if self.gpus > 0 {
            capacity.insert(self.gpu_resource.clone(), Quantity(self.gpus.to_string()));
        }
        capacity
    }
}

/// The processor architecture as Kubernetes names it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl FromStr for NodeConfig {
    type Err = InvalidNode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut node = Self::new("");
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').ok_or_else(|| InvalidNode::NotAPair(item.to_owned()))?;
            let number =
                || value.parse().map_err(|_| InvalidNode::NotANumber { key: key.to_owned(), value: value.to_owned() });
            match key {
                "name" => value.clone_into(&mut node.name),
                "gpus" => node.gpus = number()?,
                "product" => node.gpu_product = Some(value.to_owned()),
                "memory" => node.gpu_memory_mib = Some(number()?),
                "resource" => value.clone_into(&mut node.gpu_resource),
                "cpu" => node.cpu = number()?,
                "ram" => value.clone_into(&mut node.memory),
                "pods" => node.pods = number()?,
                _ => {
                    let label = key.strip_prefix("label.").ok_or_else(|| InvalidNode::UnknownKey(key.to_owned()))?;
                    node.labels.insert(label.to_owned(), value.to_owned());
                }
            }
        }
        if node.name.is_empty() { Err(InvalidNode::NoName) } else { Ok(node) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_description_gives_labels_and_capacity_of_the_accelerators() {
        let node: NodeConfig =
            "name=a100-0,gpus=4,product=NVIDIA-A100-PCIE-80GB,memory=81920,label.gpu-config=4A100".parse().unwrap();
        let labels = node.all_labels();
        assert_eq!(labels["nvidia.com/gpu.product"], "NVIDIA-A100-PCIE-80GB");
        assert_eq!(labels["nvidia.com/gpu.memory"], "81920");
        assert_eq!(labels["nvidia.com/gpu.count"], "4");
        assert_eq!(labels["gpu-config"], "4A100");
        assert_eq!(node.capacity()["nvidia.com/gpu"].0, "4");
    }

    #[test]
    fn a_node_without_accelerators_has_no_trace_of_them() {
        let node: NodeConfig = "name=plain".parse().unwrap();
        assert!(node.all_labels().keys().all(|key| !key.contains("gpu")));
        assert!(!node.capacity().contains_key("nvidia.com/gpu"));
    }

    #[rstest]
    #[case("gpus=4", InvalidNode::NoName)]
    #[case("a100-0", InvalidNode::NotAPair("a100-0".into()))]
    #[case("name=a,gpu=4", InvalidNode::UnknownKey("gpu".into()))]
    #[case("name=a,gpus=four", InvalidNode::NotANumber { key: "gpus".into(), value: "four".into() })]
    fn a_bad_description_says_what_is_wrong(#[case] text: &str, #[case] expected: InvalidNode) {
        assert_eq!(text.parse::<NodeConfig>(), Err(expected));
    }
}
