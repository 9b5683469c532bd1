//! What is worth knowing of a target besides its reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::proactive::Missing;
use crate::snapshot::{Hold, Obstacle};

/// What is worth knowing of a target besides its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Note {
    /// It grows although its GPUs could not be counted, as configured.
    GpusNotCounted {
        /// The accelerator.
        accelerator: String,
    },
    /// A scale-down that was published and not carried out yet does not count any longer: the model is short.
    TakenBack {
        /// Replicas that were published.
        published: u32,
    },
    /// The autoscaler that follows the number does not carry it out, or not yet.
    Held {
        /// Which, e.g. `HPA llama-hpa`.
        by: String,
        /// Why.
        hold: Hold,
        /// Whether the model is short meanwhile.
        short: bool,
    },
    /// Its annotations ask for a pause in words that are not understood, and nothing is held for them.
    PauseNotObeyed {
        /// What is wrong with them.
        why: String,
    },
    /// It has pods that cannot run and are not waited for.
    PodsStopped {
        /// How many.
        pods: u32,
        /// What keeps the first of them, by name.
        obstacle: Obstacle,
    },
    /// The model is to be sized by demand, but the rates for that are not known, so it grows step by step.
    LoadNotMeasured,
    /// The `saturation` analyzer is wanted, but pods do not say how many tokens their KV cache holds.
    TokensNotCounted,
    /// One variant of the model is saturated and another hardly used: requests do not reach them alike.
    UnevenLoad {
        /// The saturated one.
        saturated: String,
        /// The other.
        idle: String,
    },
    /// The proactive mode is on but knows too little of the model, so only saturation decides.
    NoForecast {
        /// What is missing.
        missing: Missing,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GpusNotCounted { accelerator } => {
                write!(f, "the GPUs of type {accelerator} could not be counted and do not limit it")
            }
            Self::TakenBack { published: 1 } => f.write_str("the scale-down to 1 replica is taken back"),
            Self::TakenBack { published } => write!(f, "the scale-down to {published} replicas is taken back"),
            Self::Held { by, hold, short: true } => write!(f, "saturated, held by {by}{hold}"),
            Self::Held { by, hold, short: false } => write!(f, "held by {by}{hold}"),
            Self::PauseNotObeyed { why } => write!(f, "the pause is not obeyed: {why}"),
            Self::PodsStopped { pods: 1, obstacle } => write!(f, "a pod of it {obstacle}"),
            Self::PodsStopped { pods, obstacle } => write!(f, "{pods} pods of it do not run, and the first {obstacle}"),
            Self::LoadNotMeasured => f.write_str(
                "scaleUpPolicy demand: it grows step by step until the rate that a replica can take has been seen",
            ),
            Self::UnevenLoad { saturated, idle } => write!(
                f,
                "load is uneven: {saturated} is saturated and {idle} hardly used, so send requests to both, by a gateway or \
                 a Service of the whole model"
            ),
            Self::NoForecast { missing } => write!(f, "hybrid mode: saturation alone decides, because {missing}"),
            Self::TokensNotCounted => f.write_str(
                "pods do not report vllm:cache_config_info, so the thresholds decide instead of the saturation analyzer",
            ),
        }
    }
}
