//! What was observed, before anything is concluded from it.

mod autoscaler;
mod demand;
mod inventory;
mod load;
mod obstacle;
mod pause;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::autoscaler::{
    Autoscaler, AutoscalerCondition, AutoscalerStatus, Change, DEFAULT_TOLERANCE, Hold, ScalingPolicy, ScalingRules,
    Zero,
};
pub use self::demand::{Demand, Gateway};
pub use self::inventory::{Gpus, Inventory};
pub use self::load::Load;
pub use self::obstacle::Obstacle;
pub use self::pause::{Pause, PauseRequest};
use crate::vllm::ServerArguments;

/// One look at the world: every model this controller decides for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The models, in any order.
    pub models: Vec<Model>,
    /// GPUs of the cluster; `None` when they are not known.
    #[serde(default)]
    pub inventory: Option<Inventory>,
    /// Whether loads are those of this moment instead of the peaks of a while, as a controller asks for them that has only
    /// begun: what was there before it began is over. A moment says that a model is short, not that it can do with less.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub momentary: bool,
}

impl Snapshot {
    /// When the first of the pauses in force at `now` ends by itself; `None` when none does.
    pub fn next_end_of_a_pause(&self, now: Timestamp) -> Option<Timestamp> {
        let variants = self.models.iter().flat_map(|model| &model.variants);
        variants.filter_map(|variant| variant.pause.as_ref()?.in_force(now)?.until).min()
    }
}

/// Variants that serve the same model in the same namespace share its load and are decided together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Which model.
    pub key: ModelKey,
    /// Whether the metric source answered for this model at all.
    pub source: Source,
    /// What is asked of the model as a whole.
    #[serde(default)]
    pub demand: Demand,
    /// Its variants, in any order.
    pub variants: Vec<Variant>,
}

/// Identity of a model within the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelKey {
    /// Namespace of the variants.
    pub namespace: String,
    /// Model name as the servers report it, e.g. `meta-llama/Llama-3.1-8B`.
    pub model_id: String,
}

/// Identity of a variant: its `VariantAutoscaling`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VariantKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Outcome of asking the metric source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// It answered; what it did not mention is missing.
    #[default]
    Answered,
    /// It answered, and has series of this model that do not say which pod they are of.
    Unlabelled {
        /// The labels they have, sorted.
        labels: Vec<String>,
    },
    /// It did not answer.
    Failed {
        /// Why, in words for a person.
        message: String,
    },
}

/// One way of serving a model: a workload on one kind of accelerator at one cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Name of the `VariantAutoscaling`; unique within the model's namespace.
    pub name: String,
    /// Accelerator, e.g. `A100`; `unknown` when it could not be found out.
    pub accelerator: String,
    /// Cost of one replica per unit of time, in the user's currency.
    pub cost: f64,
    /// Replicas the workload asks for (`spec.replicas`; 1 when not set).
    pub spec_replicas: u32,
    /// Replicas the workload reports (`status.replicas`), or `spec_replicas` while it reports none.
    pub current: u32,
    /// Replicas published last; `None` when never, which is not the same as 0.
    pub desired: Option<u32>,
    /// Since when that has been published, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_since: Option<Timestamp>,
    /// What whoever follows the published number can reach (the HPA's or `ScaledObject`'s limits).
    pub bounds: Bounds,
    /// Whoever follows the published number; `None` when nobody is known to.
    #[serde(default)]
    pub autoscaler: Option<Autoscaler>,
    /// What a person asked for: to hold its number; `None` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseRequest>,
    /// GPUs one replica requests; 0 counts as 1.
    pub gpus_per_replica: u32,
    /// How its servers are started; `None` when that could not be read.
    #[serde(default)]
    pub server: Option<ServerArguments>,
    /// The workload's serving pods, one per replica, in any order; without those that are being deleted or have ended.
    pub pods: Vec<Pod>,
}

impl Variant {
    /// Replicas it keeps while nothing is asked of its model.
    pub fn idle_floor(&self) -> u32 {
        match self.autoscaler.as_ref().map(|autoscaler| autoscaler.zero) {
            Some(Zero::Autoscaler | Zero::Controller) => 0,
            Some(Zero::Never) | None => self.bounds.clamp(0),
        }
    }
}

/// Limits on replicas; `None` means unknown, hence not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower limit.
    pub min: Option<u32>,
    /// Upper limit.
    pub max: Option<u32>,
}

impl Bounds {
    /// The number nearest to `replicas` within the limits; if they contradict each other, the upper one holds.
    pub fn clamp(&self, replicas: u32) -> u32 {
        replicas.max(self.min.unwrap_or(0)).min(self.max.unwrap_or(u32::MAX))
    }
}

/// One pod of a variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// Whether its `Ready` condition holds, and since when it has had that value.
    pub ready: Readiness,
    /// What keeps it from running, if anything is known to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// What the metric source said of it; `None` when nothing.
    pub sample: Option<Sample>,
}

/// A pod's `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Readiness {
    /// Ready since the given time.
    Ready {
        /// Last change of the condition.
        since: Timestamp,
    },
    /// Not ready since the given time (its creation, if it never was).
    NotReady {
        /// Last change of the condition.
        since: Timestamp,
    },
}

/// Readings of one pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Model name in the pod's series.
    pub model_id: String,
    /// Used share of the KV cache, 0 to 1, of its fullest engine; `None` when there is no such series.
    pub kv_usage: Option<Reading>,
    /// Requests waiting for a slot, in the engine where most wait; `None` when there is no such series.
    pub queue_length: Option<Reading>,
    /// What the `saturation` analyzer and the proactive mode need besides.
    #[serde(default)]
    pub tokens: Tokens,
    /// What the proactive mode learns from.
    #[serde(default)]
    pub pace: Pace,
}

/// What the requests of one pod see, on average over the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pace {
    /// Requests it completes per second, without those whose clients gave up.
    pub rate: Option<Reading>,
    /// Requests that arrive at it per second: those it is done with, and those by which the requests in it become more.
    pub arrivals: Option<Reading>,
    /// Requests that wait in it now; the sample's queue is the longest of the last minute.
    pub waiting: Option<Reading>,
    /// Requests in it by its last scrape: those it computes and those that wait.
    pub present: Option<Reading>,
    /// Milliseconds to the first token, with the time a request waits.
    pub ttft_ms: Option<Reading>,
    /// Milliseconds between two tokens.
    pub itl_ms: Option<Reading>,
}

/// Token counts of one pod. All are optional: without them its capacity is not measured, which is not a capacity of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tokens {
    /// Engines in it (`--data-parallel-size`), each with a KV cache and a queue of its own; 0 when that is not known.
    pub engines: u32,
    /// Blocks of its KV caches (label `num_gpu_blocks` of `vllm:cache_config_info`), over all its engines.
    pub kv_blocks: Option<u64>,
    /// Tokens a block holds (label `block_size` of the same series).
    pub kv_block_size: Option<u64>,
    /// Tokens in use in the KV caches, over all its engines; `None` where only the sample's share says so.
    pub kv_in_use: Option<f64>,
    /// Requests that wait, over all its engines; `None` where only the sample's queue says so.
    pub queued: Option<f64>,
    /// Average length of a prompt, in tokens, over the last minutes.
    pub avg_input: Option<Reading>,
    /// Average length of an answer, in tokens, over the last minutes.
    pub avg_output: Option<Reading>,
}

impl Tokens {
    /// Tokens its KV cache holds; `None` unless both factors are known and above 0.
    pub fn kv_capacity(&self) -> Option<u64> {
        let (blocks, size) = (self.kv_blocks?, self.kv_block_size?);
        Some(blocks.saturating_mul(size)).filter(|capacity| *capacity > 0)
    }
}

/// One number and how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The value; one that is not finite, or negative, counts as missing.
    pub value: f64,
    /// Time since it was scraped.
    pub age: SignedDuration,
}
