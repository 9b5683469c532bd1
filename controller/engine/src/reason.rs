//! Why a target is what it is.

mod sentence;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::settings::Thresholds;
use crate::snapshot::Pause;

/// Why a target is what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Reason {
    /// The model needs capacity and this variant is the cheapest that can give it.
    ScaleUp {
        /// Average spare KV-cache share of the replicas that are not saturated.
        avg_spare_kv: f64,
        /// Average spare queue length of the replicas that are not saturated.
        avg_spare_queue: f64,
        /// What fell below its trigger.
        trigger: Trigger,
        /// What the averages were compared with.
        thresholds: Thresholds,
    },
    /// The model has capacity to spare and this variant is the most expensive that can give it up.
    ScaleDown {
        /// Spare KV-cache share that would remain with one replica fewer.
        remaining_kv: f64,
        /// Spare queue length that would remain with one replica fewer.
        remaining_queue: f64,
        /// What the remainders were compared with.
        thresholds: Thresholds,
    },
    /// The model needs room for more tokens and this variant gives it at the least cost.
    TokensShort {
        /// Tokens in use and waiting.
        demand: i64,
        /// Tokens there is room for, or will be.
        anticipated: i64,
        /// Tokens there is too little room for, with the share that is to stay free.
        required: f64,
    },
    /// The model has room for more tokens than it needs and this variant is the most expensive that can give it up.
    TokensToSpare {
        /// Tokens in use and waiting.
        demand: i64,
        /// Tokens there is room for.
        supply: i64,
        /// Tokens of room that are not needed, with the share that is to stay free.
        spare: f64,
        /// Tokens one replica of this variant has room for.
        per_replica: i64,
    },
    /// More requests arrive than the replicas can take within what was promised, and this variant takes them at the least
    /// cost.
    RateShort {
        /// Requests that arrive per second.
        rate: f64,
        /// Requests per second that the replicas can take, those on their way included.
        anticipated: f64,
        /// Requests per second that are too many, with the share that is to stay free.
        required: f64,
    },
    /// The thresholds say that the model is short, and what arrives and waits says by how much; this variant takes it at the
    /// least cost.
    LoadShort {
        /// Requests that arrive per second.
        rate: f64,
        /// Requests that wait.
        waiting: f64,
        /// Requests per second that the replicas take, those on their way included.
        anticipated: f64,
    },
    /// The thresholds say that the model is short, but the replicas there and on their way take what arrives, so that what waits
    /// becomes less.
    LoadCovered {
        /// Requests that arrive per second.
        rate: f64,
        /// Requests that wait.
        waiting: f64,
        /// Requests per second that the replicas take, those on their way included.
        anticipated: f64,
    },
    /// Replicas take more than what arrived lately, and this variant is the most expensive that can be given up.
    LoadToSpare {
        /// The most requests that arrived per second lately.
        rate: f64,
        /// Requests per second that the replicas take.
        supply: f64,
        /// Requests per second that could be more, with the share that is to stay free.
        spare: f64,
        /// Requests per second that one replica of this variant takes.
        per_replica: f64,
    },
    /// Fewer requests arrive than the replicas can take within what was promised, and this variant is the most expensive that can
    /// be given up.
    RateToSpare {
        /// Requests that arrive per second.
        rate: f64,
        /// Requests per second that the replicas can take.
        supply: f64,
        /// Requests per second that could be more, with the share that is to stay free.
        spare: f64,
        /// Requests per second that one replica of this variant can take.
        per_replica: f64,
    },
    /// The rate of requests would let replicas go, but saturation does not.
    ForecastVetoed {
        /// Replicas that the rate asks for.
        wanted: u32,
        /// Whether saturation asks for more replicas; else it only thinks fewer unsafe.
        saturated: bool,
    },
    /// Saturation would let replicas go, but the rate of requests needs them.
    NeededByForecast {
        /// Replicas that saturation asks for.
        analyzer: u32,
    },
    /// The model needs capacity; another variant gets it.
    OtherVariantScalesUp {
        /// Name of that variant.
        variant: String,
    },
    /// The model has capacity to spare; another variant gives it up.
    OtherVariantScalesDown {
        /// Name of that variant.
        variant: String,
    },
    /// The model needs capacity and no variant can grow: all are at their maximum or have pending pods.
    NoVariantCanGrow,
    /// Load and capacity are in balance.
    Steady,
    /// The model seems to have capacity to spare, but a controller that has only begun has seen no more of it than a moment.
    NotWatchedYet,
    /// An earlier change of the model is still under way.
    InTransition {
        /// Variant that is under way.
        variant: String,
        /// What has not settled.
        unsettled: Unsettled,
    },
    /// The number published earlier was not followed for too long: start again from the replicas there are.
    Rebased {
        /// The number that was given up.
        unreached: u32,
    },
    /// The metrics allow no decision: the last one is held.
    Held,
    /// Decisions are paused by configuration: the last one is held.
    Paused,
    /// A person paused this variant: its number is held.
    VariantPaused {
        /// What they asked for.
        pause: Pause,
        /// Replicas that are held.
        replicas: u32,
    },
    /// The workload is scaled to zero.
    AtZero,
    /// Nothing was asked of the model for the retention of its policy: it is put to sleep.
    ScaledToZero {
        /// The retention.
        retention: SignedDuration,
    },
    /// The model is idle and would be put to sleep, but whoever follows the number keeps replicas.
    IdleAtMinimum {
        /// Replicas that are kept.
        min: u32,
    },
    /// Requests wait at the gateway for a model that sleeps, and this variant is the cheapest to serve them.
    Woken {
        /// Requests that wait.
        queued: u64,
    },
    /// Requests wait at the gateway for a model that sleeps; another variant is woken for them.
    OtherVariantWakes {
        /// Name of that variant.
        variant: String,
    },
    /// There are not enough free GPUs for all the replicas that are needed.
    LimitedByGpus {
        /// Type of the accelerator.
        accelerator: String,
        /// Replicas that are needed.
        wanted: u32,
        /// GPUs that one replica takes.
        gpus_per_replica: u32,
        /// GPUs of this type that were left for this variant.
        free: u32,
    },
    /// The GPUs for the replicas that are needed cannot be counted, and nothing grows on what is not known.
    GpusUnknown {
        /// The accelerator.
        accelerator: String,
        /// Replicas that are needed.
        wanted: u32,
        /// Whether there is an inventory, which does not know the accelerator; else there is none at all.
        inventory: bool,
    },
    /// Another number is wanted, and has not been for long enough, or would be too large a change at once.
    Stabilized {
        /// Replicas that are wanted.
        wanted: u32,
    },
    /// The limits of whoever follows the number moved it.
    Bounded {
        /// Lower limit.
        min: Option<u32>,
        /// Upper limit.
        max: Option<u32>,
    },
}

/// Which trigger asked for more capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// Spare KV cache.
    KvCache,
    /// Spare queue.
    Queue,
    /// Both.
    Both,
}

/// What an earlier change still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unsettled {
    /// The workload does not have the published replicas yet.
    Replicas {
        /// Published.
        desired: u32,
        /// There.
        current: u32,
    },
    /// Not every replica reports metrics yet.
    Metrics {
        /// Replicas that report.
        reporting: u32,
        /// Replicas there are.
        current: u32,
    },
}

/// What a decision is, as the condition `OptimizationReady` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The last decision is held, because the metrics allow none.
    Held,
    /// Decisions are paused, by configuration or for this variant.
    Paused,
    /// Nothing is to be done, or the rate of requests had its say.
    Balanced,
    /// Saturation alone decided.
    BySaturation,
    /// A sleeping model is woken.
    FromZero,
    /// GPUs are short.
    LimitedByGpus,
    /// GPUs cannot be counted.
    GpusUnknown,
}

impl Reason {
    /// Class of the reason, from a closed set: safe as a metric label.
    pub fn class(&self) -> &'static str {
        match self {
            Self::ScaleUp { .. } | Self::TokensShort { .. } => "saturation",
            Self::ScaleDown { .. } | Self::TokensToSpare { .. } => "spare_capacity",
            Self::RateShort { .. } => "arrival_rate",
            Self::LoadShort { .. } => "demand",
            Self::LoadCovered { .. } => "demand_covered",
            Self::LoadToSpare { .. } => "spare_demand",
            Self::RateToSpare { .. } => "spare_rate",
            Self::ForecastVetoed { .. } => "forecast_vetoed",
            Self::NeededByForecast { .. } => "needed_by_forecast",
            Self::OtherVariantScalesUp { .. } => "other_variant_scales_up",
            Self::OtherVariantScalesDown { .. } => "other_variant_scales_down",
            Self::NoVariantCanGrow => "no_variant_can_grow",
            Self::Steady => "steady",
            Self::NotWatchedYet => "not_watched_yet",
            Self::InTransition { .. } => "in_transition",
            Self::Rebased { .. } => "rebased",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::VariantPaused { .. } => "variant_paused",
            Self::AtZero => "at_zero",
            Self::ScaledToZero { .. } => "scaled_to_zero",
            Self::IdleAtMinimum { .. } => "idle_at_minimum",
            Self::Woken { .. } => "woken",
            Self::OtherVariantWakes { .. } => "other_variant_wakes",
            Self::LimitedByGpus { .. } => "limited_by_gpus",
            Self::GpusUnknown { .. } => "gpus_unknown",
            Self::Stabilized { .. } => "stabilized",
            Self::Bounded { .. } => "bounded",
        }
    }

    /// What the decision is.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Held => Outcome::Held,
            Self::Paused | Self::VariantPaused { .. } => Outcome::Paused,
            Self::Woken { .. } => Outcome::FromZero,
            Self::LimitedByGpus { .. } => Outcome::LimitedByGpus,
            Self::GpusUnknown { .. } => Outcome::GpusUnknown,
            Self::Steady
            | Self::AtZero
            | Self::RateShort { .. }
            | Self::RateToSpare { .. }
            | Self::ForecastVetoed { .. }
            | Self::NeededByForecast { .. } => Outcome::Balanced,
            Self::ScaleUp { .. }
            | Self::ScaleDown { .. }
            | Self::TokensShort { .. }
            | Self::TokensToSpare { .. }
            | Self::LoadCovered { .. }
            | Self::LoadToSpare { .. }
            | Self::Stabilized { .. }
            | Self::LoadShort { .. }
            | Self::OtherVariantScalesUp { .. }
            | Self::OtherVariantScalesDown { .. }
            | Self::NoVariantCanGrow
            | Self::NotWatchedYet
            | Self::InTransition { .. }
            | Self::Rebased { .. }
            | Self::ScaledToZero { .. }
            | Self::IdleAtMinimum { .. }
            | Self::OtherVariantWakes { .. }
            | Self::Bounded { .. } => Outcome::BySaturation,
        }
    }

    /// Whether replicas for this reason are wanted now, so that a workload at zero, which its autoscaler may not touch, has to
    /// be scaled for it.
    pub fn wakes(&self) -> bool {
        match self {
            Self::Woken { .. }
            | Self::ScaleUp { .. }
            | Self::TokensShort { .. }
            | Self::RateShort { .. }
            | Self::LoadShort { .. }
            | Self::LimitedByGpus { .. } => true,
            // Somebody who names a number wants it; who names none wants what is there.
            Self::VariantPaused { pause, .. } => pause.replicas.is_some_and(|asked| asked > 0),
            // What is only held, on its way already or moved by a limit is nobody's need.
            Self::ScaleDown { .. }
            | Self::TokensToSpare { .. }
            | Self::LoadCovered { .. }
            | Self::LoadToSpare { .. }
            | Self::Stabilized { .. }
            | Self::RateToSpare { .. }
            | Self::ForecastVetoed { .. }
            | Self::NeededByForecast { .. }
            | Self::OtherVariantScalesUp { .. }
            | Self::OtherVariantScalesDown { .. }
            | Self::NoVariantCanGrow
            | Self::NotWatchedYet
            | Self::Steady
            | Self::InTransition { .. }
            | Self::Rebased { .. }
            | Self::Held
            | Self::Paused
            | Self::AtZero
            | Self::ScaledToZero { .. }
            | Self::IdleAtMinimum { .. }
            | Self::OtherVariantWakes { .. }
            | Self::GpusUnknown { .. }
            | Self::Bounded { .. } => false,
        }
    }
}
