//! GPU profiles: how fast each emulated GPU is and how much it holds.
//!
//! The emulated model is a dense one of 8 billion parameters in bfloat16 with grouped-query attention (32 layers,
//! 8 key-value heads of 128): 15 GiB of weights and 128 KiB of KV cache per token. The coefficients of the H100 are
//! of the size measured for such a model; those of the other GPUs follow from it by the ratios that bind each term,
//! memory bandwidth for reading weights and cache, dense bfloat16 throughput for the arithmetic.

use crate::IterationTime;

/// An emulated GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Gpu {
    /// NVIDIA H100 SXM, 80 GB.
    #[cfg_attr(feature = "clap", value(name = "H100", alias = "h100"))]
    H100,
    /// NVIDIA A100 SXM, 80 GB.
    #[cfg_attr(feature = "clap", value(name = "A100", alias = "a100"))]
    A100,
    /// NVIDIA L40S, 48 GB.
    #[cfg_attr(feature = "clap", value(name = "L40S", alias = "l40s"))]
    L40s,
}

/// The parameters of a GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Device memory.
    pub memory_gib: f64,
    /// Memory bandwidth.
    pub bandwidth_gb_per_s: f64,
    /// Dense bfloat16 throughput.
    pub tflops: f64,
}

const H100: Profile = Profile { memory_gib: 80.0, bandwidth_gb_per_s: 3350.0, tflops: 989.0 };
const A100: Profile = Profile { memory_gib: 80.0, bandwidth_gb_per_s: 2039.0, tflops: 312.0 };
const L40S: Profile = Profile { memory_gib: 48.0, bandwidth_gb_per_s: 864.0, tflops: 362.0 };

/// Iterations of the emulated model on one H100.
const H100_ITERATION: IterationTime =
    IterationTime { base_ms: 6.97, per_computed_token_ms: 0.027, per_resident_token_ms: 0.0003 };

/// Weights of the emulated model.
const WEIGHTS_GIB: f64 = 15.0;
/// Activations, CUDA graphs and the allocator's slack, per GPU.
const OVERHEAD_GIB: f64 = 3.0;
/// Keys and values of one token over all layers.
const KV_KIB_PER_TOKEN: f64 = 128.0;

impl Gpu {
    /// The parameters of this GPU.
    pub fn profile(self) -> Profile {
        match self {
            Self::H100 => H100,
            Self::A100 => A100,
            Self::L40s => L40S,
        }
    }

    /// How long iterations take on `gpus` of these in tensor parallel, communication being free.
    pub fn iteration_time(self, gpus: u32) -> IterationTime {
        let profile = self.profile();
        let bandwidth = H100.bandwidth_gb_per_s / profile.bandwidth_gb_per_s;
        let compute = H100.tflops / profile.tflops;
        IterationTime {
            base_ms: H100_ITERATION.base_ms * bandwidth,
            per_computed_token_ms: H100_ITERATION.per_computed_token_ms * compute,
            per_resident_token_ms: H100_ITERATION.per_resident_token_ms * bandwidth,
        }
        .faster(f64::from(gpus.max(1)))
    }

    /// KV blocks that fit beside the weights: one H100 at 0.9 has (80·0.9 − 15 − 3) GiB = 54 GiB, or 27648 blocks of
    /// 16 tokens at 2 MiB each. `None` when the weights do not fit.
    pub fn kv_blocks(self, gpus: u32, memory_utilization: f64, block_size: u32) -> Option<u32> {
        let gpus = f64::from(gpus.max(1));
        let free_gib = gpus * (self.profile().memory_gib * memory_utilization - OVERHEAD_GIB) - WEIGHTS_GIB;
        let block_gib = KV_KIB_PER_TOKEN * f64::from(block_size) / (1024.0 * 1024.0);
        whole_blocks(free_gib / block_gib)
    }
}

/// The largest whole number not above `blocks`, if there is at least one.
fn whole_blocks(blocks: f64) -> Option<u32> {
    // 25.2 GiB / 2 MiB comes out as 12902.39…; exact quotients may fall short by a rounding error.
    let blocks = (blocks + 1e-6).floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (1.0..=f64::from(u32::MAX)).contains(&blocks).then_some(blocks as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::h100(Gpu::H100, 1, 0.9, 16, Some(27_648))]
    #[case::a100_holds_as_much(Gpu::A100, 1, 0.9, 16, Some(27_648))]
    #[case::l40s_has_48_gib(Gpu::L40s, 1, 0.9, 16, Some(12_902))]
    #[case::larger_blocks_are_fewer(Gpu::H100, 1, 0.9, 32, Some(13_824))]
    #[case::two_gpus_share_the_weights(Gpu::H100, 2, 0.9, 16, Some(62_976))]
    #[case::too_little_memory_for_the_weights(Gpu::L40s, 1, 0.3, 16, None)]
    fn kv_blocks_are_what_the_weights_leave(
        #[case] gpu: Gpu,
        #[case] gpus: u32,
        #[case] utilization: f64,
        #[case] block_size: u32,
        #[case] blocks: Option<u32>,
    ) {
        assert_eq!(gpu.kv_blocks(gpus, utilization, block_size), blocks);
    }

    #[rstest]
    #[case::h100(Gpu::H100, 6.97, 0.027, 0.000_3)]
    #[case::a100_by_bandwidth_and_throughput(Gpu::A100, 11.451_4, 0.085_587, 0.000_492_9)]
    #[case::l40s_by_bandwidth_and_throughput(Gpu::L40s, 27.025_0, 0.073_765, 0.001_163_2)]
    fn slower_gpus_scale_each_term_by_what_binds_it(
        #[case] gpu: Gpu,
        #[case] base: f64,
        #[case] computed: f64,
        #[case] resident: f64,
    ) {
        let time = gpu.iteration_time(1);
        assert!((time.base_ms / base - 1.0).abs() < 1e-3, "{time:?}");
        assert!((time.per_computed_token_ms / computed - 1.0).abs() < 1e-3, "{time:?}");
        assert!((time.per_resident_token_ms / resident - 1.0).abs() < 1e-3, "{time:?}");
    }
}
