//! Model servers: emulated vLLM Deployments on emulated GPUs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manifest;

/// A GPU node of the embedded cluster, and the name users give its accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Accelerator name in a `VariantAutoscaling`, and profile of the emulator.
    pub name: &'static str,
    /// Value of the node label `nvidia.com/gpu.product`.
    pub product: &'static str,
    /// Memory of one GPU in MiB.
    pub memory_mib: u32,
}

/// NVIDIA A100 with 80 GB.
pub const A100: Gpu = Gpu { name: "A100", product: "NVIDIA-A100-PCIE-80GB", memory_mib: 81_920 };
/// NVIDIA H100 with 80 GB.
pub const H100: Gpu = Gpu { name: "H100", product: "NVIDIA-H100-SXM5-80GB", memory_mib: 81_920 };

/// A vLLM Deployment.
#[derive(Clone, Debug, Serialize)]
pub struct Vllm {
    /// Name of the Deployment.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Model it serves.
    pub model_id: String,
    /// Product label of the nodes it runs on.
    pub product: String,
    /// Replicas it starts with.
    pub replicas: u32,
    /// Requests one replica runs at once (`--max-num-seqs`).
    pub slots: String,
    /// KV-cache blocks of one replica (`--num-gpu-blocks-override`).
    pub blocks: String,
    /// Environment of the emulator: profile, start-up delay.
    pub env: BTreeMap<String, String>,
}

impl Vllm {
    /// One replica on `gpu` with four slots that is ready a second after its start.
    pub fn new(namespace: &str, name: &str, model_id: &str, gpu: Gpu) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            model_id: model_id.to_owned(),
            product: gpu.product.to_owned(),
            replicas: 1,
            slots: "4".to_owned(),
            // A sequence of 384 tokens takes 24 blocks of 16: four fill 75 % of the cache.
            blocks: "128".to_owned(),
            env: BTreeMap::from([
                ("VLLM_SIM_GPU".to_owned(), gpu.name.to_owned()),
                ("VLLM_SIM_STARTUP_DELAY".to_owned(), "1s".to_owned()),
            ]),
        }
    }

    /// The manifest.
    ///
    /// # Errors
    /// When the template is wrong, which would be a bug.
    pub fn manifest(&self) -> Result<String, manifest::Error> {
        manifest::render("vllm.yaml", include_str!("../manifests/vllm.yaml.hbs"), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_asks_for_one_gpu_of_its_kind_and_serves_its_model() {
        let yaml = Vllm::new("team-a", "llama-a100", "meta-llama/Llama-3.1-8B", A100).manifest().unwrap();
        let object: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["nodeSelector"]["nvidia.com/gpu.product"], "NVIDIA-A100-PCIE-80GB");
        let container = &pod["containers"][0];
        assert_eq!(container["resources"]["limits"]["nvidia.com/gpu"], "1");
        assert_eq!(container["args"][1], "meta-llama/Llama-3.1-8B");
        assert_eq!(container["env"][0]["name"], "VLLM_SIM_GPU");
    }
}
