//! What a workload's pod template says about accelerators.

use k8s_openapi::api::core::v1::{Container, NodeSelectorRequirement, PodSpec};
use wva_api::ScaleTargetRef;
use wva_engine::vllm::{self, ServerArguments};

use crate::cluster::gpu;

/// Kind of the targets that are watched and not read one by one.
pub const DEPLOYMENT: &str = "Deployment";

/// Accelerator of a variant when nothing names it.
pub const UNKNOWN_ACCELERATOR: &str = "unknown";

/// Whether a target reference means a Deployment.
pub fn is_deployment(target: &ScaleTargetRef) -> bool {
    target.kind == DEPLOYMENT && matches!(target.api_version.as_str(), "" | "apps/v1")
}

/// The accelerator the pods ask for: by node selector, by required node affinity, or else by GPU resource.
pub fn accelerator(template: &PodSpec) -> Option<String> {
    by_node_selector(template).or_else(|| by_affinity(template)).or_else(|| by_resource(template))
}

/// GPUs one replica requests; 1 when its template requests none, so that a workload always counts.
pub fn gpus_per_replica(template: &PodSpec) -> u32 {
    gpus_of_pod(template).max(1)
}

/// GPUs one pod requests.
pub fn gpus_of_pod(template: &PodSpec) -> u32 {
    template.containers.iter().map(|container| gpus(container).map_or(0, |(_, count)| count)).sum()
}

/// How the vLLM servers of the pods are started, by their commands, arguments and literal environment variables.
pub fn server(template: &PodSpec) -> ServerArguments {
    let containers: Vec<_> = template
        .containers
        .iter()
        .map(|container| {
            let env = container.env.iter().flatten().filter_map(|env| Some((env.name.clone(), env.value.clone()?)));
            (container, env.collect::<Vec<_>>())
        })
        .collect();
    ServerArguments::of_containers(containers.iter().map(|(container, env)| vllm::Container {
        command: container.command.as_deref().unwrap_or_default(),
        args: container.args.as_deref().unwrap_or_default(),
        env,
    }))
}

fn by_node_selector(template: &PodSpec) -> Option<String> {
    let selector = template.node_selector.as_ref()?;
    selector.iter().find(|(label, _)| gpu::names_product(label)).map(|(_, product)| product.clone())
}

fn by_affinity(template: &PodSpec) -> Option<String> {
    let node = template.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = node.required_during_scheduling_ignored_during_execution.as_ref()?;
    let requirements = required.node_selector_terms.iter().flat_map(|term| term.match_expressions.iter().flatten());
    requirements.into_iter().find_map(single_product)
}

/// A requirement that admits exactly one product names the accelerator; a choice of several does not.
fn single_product(requirement: &NodeSelectorRequirement) -> Option<String> {
    match (requirement.operator.as_str(), requirement.values.as_deref()) {
        ("In", Some([product])) if gpu::names_product(&requirement.key) => Some(product.clone()),
        _ => None,
    }
}

fn by_resource(template: &PodSpec) -> Option<String> {
    template.containers.iter().find_map(gpus).map(|(resource, _)| resource.to_owned())
}

/// GPU resource and count of a container. For extended resources the API server demands that a request, if given,
/// equals the limit; either may be written alone.
pub(crate) fn gpus(container: &Container) -> Option<(&'static str, u32)> {
    let resources = container.resources.as_ref()?;
    [&resources.requests, &resources.limits].into_iter().flatten().find_map(|quantities| {
        gpu::resources().find_map(|resource| {
            let count = quantities.get(resource)?.0.parse().ok().filter(|&count| count > 0)?;
            Some((resource, count))
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn template(yaml: &str) -> PodSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[rstest]
    #[case::node_selector("{nodeSelector: {nvidia.com/gpu.product: NVIDIA-H100}, containers: []}", Some("NVIDIA-H100"))]
    #[case::other_vendor("{nodeSelector: {amd.com/gpu.product: MI300X}, containers: []}", Some("MI300X"))]
    #[case::label_of_amds_operator(
        "{nodeSelector: {amd.com/gpu.product-name: AMD_Instinct_MI300X_OAM}, containers: []}",
        Some("AMD_Instinct_MI300X_OAM")
    )]
    #[case::affinity(
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
         [{matchExpressions: [{key: nvidia.com/gpu.product, operator: In, values: [A100]}]}]}}}, containers: []}",
        Some("A100")
    )]
    #[case::affinity_with_a_choice(
        "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
         [{matchExpressions: [{key: nvidia.com/gpu.product, operator: In, values: [A100, H100]}]}]}}}, containers: []}",
        None
    )]
    #[case::resource("{containers: [{name: c, resources: {limits: {amd.com/gpu: '2'}}}]}", Some("amd.com/gpu"))]
    #[case::nothing("{nodeSelector: {disk: ssd}, containers: [{name: c}]}", None)]
    fn the_accelerator_is_found_in_the_template(#[case] yaml: &str, #[case] expect: Option<&str>) {
        assert_eq!(accelerator(&template(yaml)).as_deref(), expect);
    }

    #[test]
    fn the_arguments_of_the_servers_are_read_from_the_template() {
        let server = server(&template(
            "{containers: [{name: proxy, args: [--port=8000]}, {name: vllm, command: [vllm, serve, m], \
             args: [--max-num-seqs, '64', --num-gpu-blocks-override=1000], env: [{name: VLLM_USE_V1, value: '0'}, \
             {name: HF_TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}",
        ));
        assert_eq!((server.max_num_seqs, server.fixed_kv_capacity(), server.v1_engine), (64, Some(16_000), false));
    }

    #[rstest]
    #[case::sum_over_containers(
        "{containers: [{name: a, resources: {requests: {nvidia.com/gpu: '2'}}}, \
         {name: b, resources: {requests: {nvidia.com/gpu: '1'}}}]}",
        3
    )]
    #[case::limits_alone("{containers: [{name: a, resources: {limits: {nvidia.com/gpu: 4}}}]}", 4)]
    #[case::none_counts_as_one("{containers: [{name: a}]}", 1)]
    #[case::init_containers_do_not_count(
        "{initContainers: [{name: i, resources: {requests: {nvidia.com/gpu: '8'}}}], containers: [{name: a}]}",
        1
    )]
    fn gpus_of_one_replica_are_summed(#[case] yaml: &str, #[case] expect: u32) {
        assert_eq!(gpus_per_replica(&template(yaml)), expect);
    }
}
