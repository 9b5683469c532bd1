use k8s_openapi::api::core::v1::{Node, Pod};
use rstest::rstest;

use super::*;
use crate::fixtures::yaml;

fn node(labels: &str, allocatable: &str, spec: &str, ready: &str) -> Option<GpuNode> {
    let node: Node = yaml(&format!(
        "{{metadata: {{name: n, labels: {labels}}}, spec: {spec}, status: {{allocatable: {allocatable}, \
         conditions: [{{type: MemoryPressure, status: 'False'}}, {{type: Ready, status: '{ready}'}}]}}}}"
    ));
    GpuNode::read(&node)
}

fn pod(spec: &str, phase: &str) -> Option<GpuPod> {
    let pod: Pod = yaml(&format!("{{metadata: {{name: p}}, spec: {spec}, status: {{phase: {phase}}}}}"));
    GpuPod::read(&pod)
}

impl ClusterGpus {
    fn empty() -> Self {
        Self { nodes: Listed::Known(BTreeMap::new()), pods: Listed::Known(BTreeMap::new()) }
    }

    fn with_node(mut self, name: &str, product: &str, gpus: u32, usable: bool) -> Self {
        if let Listed::Known(nodes) = &mut self.nodes {
            nodes.insert(name.to_owned(), GpuNode { product: product.to_owned(), gpus, usable });
        }
        self
    }

    fn with_pod(mut self, name: &str, node: &str, gpus: u32) -> Self {
        if let Listed::Known(pods) = &mut self.pods {
            pods.insert(ObjectKey::new("ns", name), GpuPod { node: node.to_owned(), gpus });
        }
        self
    }

    /// Total and held by others, by product. Pods named `ours…` are ours.
    fn counts(&self) -> Vec<(String, u32, u32)> {
        let inventory = self.inventory(|pod| pod.name.starts_with("ours")).unwrap();
        inventory.gpus.into_iter().map(|(product, gpus)| (product, gpus.total, gpus.used_by_others)).collect()
    }
}

#[rstest]
#[case::nvidia(
    "{nvidia.com/gpu.product: NVIDIA-A100-PCIE-80GB}",
    "{nvidia.com/gpu: '8', cpu: '64'}",
    "NVIDIA-A100-PCIE-80GB",
    8
)]
#[case::amd("{amd.com/gpu.product-name: AMD_Instinct_MI300X_OAM}", "{amd.com/gpu: '8'}", "AMD_Instinct_MI300X_OAM", 8)]
#[case::amd_before_its_operator("{beta.amd.com/gpu.product-name: MI210}", "{amd.com/gpu: '2'}", "MI210", 2)]
#[case::amd_by_hand("{amd.com/gpu.product: AMD-MI300X-192G}", "{amd.com/gpu: '1'}", "AMD-MI300X-192G", 1)]
#[case::intel("{gpu.intel.com/product: Max_1550}", "{gpu.intel.com/i915: '4'}", "Max_1550", 4)]
#[case::intel_xe("{gpu.intel.com/product: Flex_170}", "{gpu.intel.com/xe: '1'}", "Flex_170", 1)]
#[case::gaudi_by_hand("{intel.com/gpu.product: Intel-Gaudi-2-96GB}", "{habana.ai/gaudi: '8'}", "Intel-Gaudi-2-96GB", 8)]
#[case::cloud("{cloud.google.com/gke-accelerator: nvidia-l4}", "{nvidia.com/gpu: '1'}", "nvidia-l4", 1)]
#[case::no_label("{}", "{habana.ai/gaudi: '8'}", "habana.ai/gaudi", 8)]
fn a_node_says_which_gpus_it_has(
    #[case] labels: &str,
    #[case] allocatable: &str,
    #[case] product: &str,
    #[case] gpus: u32,
) {
    let expect = GpuNode { product: product.to_owned(), gpus, usable: true };
    assert_eq!(node(labels, allocatable, "{}", "True"), Some(expect));
}

#[rstest]
#[case::no_gpu("{}", "{cpu: '64'}")]
#[case::all_gpus_broken("{nvidia.com/gpu.product: A100}", "{nvidia.com/gpu: '0'}")]
fn a_node_without_gpus_does_not_count(#[case] labels: &str, #[case] allocatable: &str) {
    assert_eq!(node(labels, allocatable, "{}", "True"), None);
}

#[rstest]
#[case::ready("{}", "True", true)]
#[case::cordoned("{unschedulable: true}", "True", false)]
#[case::not_ready("{}", "False", false)]
#[case::unreachable("{}", "Unknown", false)]
fn a_node_that_takes_no_new_pods_is_not_usable(#[case] spec: &str, #[case] ready: &str, #[case] usable: bool) {
    let node = node("{nvidia.com/gpu.product: A100}", "{nvidia.com/gpu: '4'}", spec, ready);
    assert_eq!(node.map(|node| node.usable), Some(usable));
}

#[rstest]
#[case::containers_together(
    "{nodeName: n, containers: [{name: a, resources: {requests: {nvidia.com/gpu: 2}}}, {name: b, resources: {limits: {nvidia.com/gpu: 1}}}]}",
    3
)]
#[case::the_larger_of_init_and_main(
    "{nodeName: n, initContainers: [{name: i, resources: {limits: {nvidia.com/gpu: 4}}}, {name: j, resources: {limits: {nvidia.com/gpu: 1}}}], \
     containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}",
    4
)]
#[case::a_sidecar_runs_beside(
    "{nodeName: n, initContainers: [{name: i, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}], \
     containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}",
    3
)]
fn a_pod_holds_what_its_containers_ask_for(#[case] spec: &str, #[case] gpus: u32) {
    assert_eq!(pod(spec, "Running"), Some(GpuPod { node: "n".to_owned(), gpus }));
}

#[rstest]
#[case::not_scheduled("{containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}", "Pending")]
#[case::no_gpu("{nodeName: n, containers: [{name: a}]}", "Running")]
#[case::ended("{nodeName: n, containers: [{name: a, resources: {limits: {nvidia.com/gpu: 2}}}]}", "Succeeded")]
fn a_pod_that_holds_no_gpu_does_not_count(#[case] spec: &str, #[case] phase: &str) {
    assert_eq!(pod(spec, phase), None);
}

#[test]
fn gpus_are_added_up_by_product_and_so_is_what_others_hold_of_them() {
    let gpus = ClusterGpus::empty()
        .with_node("a", "A100", 4, true)
        .with_node("b", "A100", 8, true)
        .with_node("c", "H100", 8, true)
        .with_pod("ours-1", "a", 2)
        .with_pod("other", "b", 3)
        .with_pod("another", "c", 8)
        .with_pod("of-a-node-that-is-not-selected", "z", 8);
    assert_eq!(gpus.counts(), [("A100".to_owned(), 12, 3), ("H100".to_owned(), 8, 8)]);
}

#[test]
fn a_cordoned_node_offers_nothing_but_what_our_pods_hold_there_is_ours() {
    let gpus = ClusterGpus::empty()
        .with_node("a", "A100", 4, true)
        .with_node("cordoned", "A100", 8, false)
        .with_node("also", "H100", 8, false)
        .with_pod("ours-1", "cordoned", 2)
        .with_pod("other", "cordoned", 3);
    // The decision counts our two as taken. If the total were 4, it would see two left of the four that are free.
    assert_eq!(gpus.counts(), [("A100".to_owned(), 6, 0), ("H100".to_owned(), 0, 0)]);
}

#[test]
fn what_cannot_be_listed_makes_the_whole_unknown_and_says_why() {
    let unknown = |nodes, pods| ClusterGpus { nodes, pods }.unknown();
    let some = || Listed::Known(BTreeMap::new());
    assert_eq!(unknown(some(), Listed::Known(BTreeMap::new())), None);
    assert_eq!(unknown(Listed::Pending, Listed::Pending).unwrap(), "nodes have not been listed yet");
    let refused = Listed::Failed("pods is forbidden (HTTP 403)".to_owned());
    let gpus = ClusterGpus { nodes: some(), pods: refused };
    assert_eq!(gpus.inventory(|_| false), None);
    assert_eq!(gpus.unknown().unwrap(), "pods of all namespaces cannot be listed: pods is forbidden (HTTP 403)");
}
