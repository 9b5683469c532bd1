//! Why a target is what it is.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::settings::Thresholds;

/// What [`Reason::NotWatchedYet`] says.
const NOT_WATCHED_YET: &str =
    "a replica could go, but since the controller began the load has not been watched for long enough";

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
    /// Decisions are paused by configuration.
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
            Self::Paused => Outcome::Paused,
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

impl Reason {
    /// The sentence of a reason that compares rates of requests; nothing of any other.
    fn of_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RateShort { rate, anticipated, required } => write!(
                f,
                "{rate:.2} requests arrive per second and the replicas can take {anticipated:.2} within what was promised: \
                 room for {required:.2} more is needed"
            ),
            Self::LoadShort { rate, waiting, anticipated } => write!(
                f,
                "the model needs capacity: {rate:.2} requests arrive per second and {waiting:.0} wait, and the replicas take \
                 {anticipated:.2} per second, those on their way included"
            ),
            // Without the numbers, which would make each cycle write a new status.
            Self::LoadCovered { .. } => f.write_str(
                "the replicas there and on their way take what arrives: what waits becomes less without more of them",
            ),
            Self::LoadToSpare { rate, supply, spare, per_replica } => write!(
                f,
                "at most {rate:.2} requests arrived per second lately and the replicas take {supply:.2}: room for {spare:.2} \
                 can go, a replica takes {per_replica:.2}"
            ),
            Self::RateToSpare { rate, supply, spare, per_replica } => write!(
                f,
                "{rate:.2} requests arrive per second and the replicas can take {supply:.2} within what was promised: room \
                 for {spare:.2} can go, a replica takes {per_replica:.2}"
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScaleUp { avg_spare_kv, avg_spare_queue, trigger, thresholds } => {
                let kv = format_args!("spare KV cache {avg_spare_kv:.3} < {:.3}", thresholds.kv_spare_trigger);
                let queue = format_args!("spare queue {avg_spare_queue:.1} < {:.1}", thresholds.queue_spare_trigger);
                match trigger {
                    Trigger::KvCache => write!(f, "the model needs capacity: {kv}"),
                    Trigger::Queue => write!(f, "the model needs capacity: {queue}"),
                    Trigger::Both => write!(f, "the model needs capacity: {kv} and {queue}"),
                }
            }
            Self::ScaleDown { remaining_kv, remaining_queue, thresholds } => write!(
                f,
                "one replica can go: spare KV cache would stay at {remaining_kv:.3} >= {:.3} and spare queue at \
                 {remaining_queue:.1} >= {:.1}",
                thresholds.kv_spare_trigger, thresholds.queue_spare_trigger
            ),
            Self::TokensShort { demand, anticipated, required } => write!(
                f,
                "the model needs room for {required:.0} tokens more: {demand} in use and waiting, room for {anticipated}"
            ),
            Self::TokensToSpare { demand, supply, spare, per_replica } => write!(
                f,
                "{spare:.0} tokens of room can go, a replica has {per_replica}: {demand} in use and waiting, room for \
                 {supply}"
            ),
            Self::RateShort { .. }
            | Self::LoadShort { .. }
            | Self::LoadCovered { .. }
            | Self::LoadToSpare { .. }
            | Self::RateToSpare { .. } => self.of_rates(f),
            Self::ForecastVetoed { wanted, saturated: true } => {
                write!(f, "{wanted} replicas would do for the requests that arrive, but the model is short of capacity")
            }
            Self::ForecastVetoed { wanted, saturated: false } => {
                write!(
                    f,
                    "{wanted} replicas would do for the requests that arrive, but the load on them is too high for fewer"
                )
            }
            // Without the rate, which would make each cycle write a new status.
            Self::NeededByForecast { analyzer } => {
                write!(f, "the load would fit on {analyzer} replicas, but the requests that arrive need them all")
            }
            Self::OtherVariantScalesUp { variant } => {
                write!(f, "the model needs capacity and {variant} is the cheapest that can give it")
            }
            Self::OtherVariantScalesDown { variant } => {
                write!(f, "one replica can go and {variant} is the most expensive that may give it up")
            }
            Self::NoVariantCanGrow => f.write_str(
                "the model needs capacity, but every variant is at its maximum or has pods that do not run yet",
            ),
            Self::Steady => f.write_str("load and capacity are in balance"),
            Self::NotWatchedYet => f.write_str(NOT_WATCHED_YET),
            Self::InTransition { variant, unsettled: Unsettled::Replicas { desired, current } } => {
                write!(f, "waiting for {variant} to go from {current} to {desired} replicas")
            }
            Self::InTransition { variant, unsettled: Unsettled::Metrics { reporting, current } } => {
                write!(f, "waiting for {variant}: {reporting} of {current} replicas report metrics")
            }
            Self::Rebased { unreached } => {
                write!(f, "{unreached} replicas were published but not reached in time; starting from the current ones")
            }
            Self::Held => f.write_str("the metrics allow no decision; the last one is held"),
            Self::Paused => f.write_str("decisions are paused; the last one is held"),
            Self::AtZero => f.write_str("the workload is scaled to zero"),
            Self::ScaledToZero { retention } => {
                write!(f, "nothing was asked of the model for {retention:#}: it is scaled to zero")
            }
            Self::IdleAtMinimum { min } => {
                write!(f, "the model is idle, but the autoscaler that follows the number keeps {min} replicas")
            }
            Self::Woken { queued } => {
                write!(f, "{queued} requests wait at the gateway and no replica serves the model")
            }
            Self::OtherVariantWakes { variant } => {
                write!(f, "requests wait at the gateway and {variant} is the cheapest to serve them")
            }
            Self::LimitedByGpus { accelerator, wanted, gpus_per_replica, free } => write!(
                f,
                "limited by GPUs: {wanted} replicas are needed at {gpus_per_replica} GPUs each, and {free} GPUs of type \
                 {accelerator} are free"
            ),
            Self::GpusUnknown { accelerator, wanted, inventory: true } => {
                write!(f, "{wanted} replicas are needed, but no node has GPUs of type {accelerator}")
            }
            Self::GpusUnknown { accelerator: _, wanted, inventory: false } => {
                write!(f, "{wanted} replicas are needed, but the GPUs of the cluster could not be counted")
            }
            Self::Stabilized { wanted } => {
                write!(f, "{wanted} replicas are wanted, and the stabilization of the settings keeps that back")
            }
            Self::Bounded { min, max } => bounded(f, *min, *max),
        }
    }
}

fn bounded(f: &mut fmt::Formatter<'_>, min: Option<u32>, max: Option<u32>) -> fmt::Result {
    const BY: &str = "by the autoscaler that follows the number";
    match (min, max) {
        (Some(min), Some(max)) => write!(f, "limited to between {min} and {max} replicas {BY}"),
        (Some(min), None) => write!(f, "limited to at least {min} replicas {BY}"),
        (None, Some(max)) => write!(f, "limited to at most {max} replicas {BY}"),
        // A workload that runs keeps one replica even when nobody states a limit.
        (None, None) => f.write_str("limited to at least 1 replica"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scale_up(trigger: Trigger) -> Reason {
        Reason::ScaleUp { avg_spare_kv: 0.045, avg_spare_queue: 2.0, trigger, thresholds: Thresholds::DEFAULT }
    }

    #[rstest]
    #[case::up_for_kv(scale_up(Trigger::KvCache), "the model needs capacity: spare KV cache 0.045 < 0.100")]
    #[case::up_for_queue(scale_up(Trigger::Queue), "the model needs capacity: spare queue 2.0 < 3.0")]
    #[case::up_for_both(
        scale_up(Trigger::Both),
        "the model needs capacity: spare KV cache 0.045 < 0.100 and spare queue 2.0 < 3.0"
    )]
    #[case::down(
        Reason::ScaleDown { remaining_kv: 0.425, remaining_queue: 3.5, thresholds: Thresholds::DEFAULT },
        "one replica can go: spare KV cache would stay at 0.425 >= 0.100 and spare queue at 3.5 >= 3.0"
    )]
    #[case::other_up(
        Reason::OtherVariantScalesUp { variant: "l40s".into() },
        "the model needs capacity and l40s is the cheapest that can give it"
    )]
    #[case::replicas(
        Reason::InTransition { variant: "a100".into(), unsettled: Unsettled::Replicas { desired: 3, current: 2 } },
        "waiting for a100 to go from 2 to 3 replicas"
    )]
    #[case::metrics(
        Reason::InTransition { variant: "a100".into(), unsettled: Unsettled::Metrics { reporting: 1, current: 2 } },
        "waiting for a100: 1 of 2 replicas report metrics"
    )]
    #[case::rebased(
        Reason::Rebased { unreached: 5 },
        "5 replicas were published but not reached in time; starting from the current ones"
    )]
    #[case::tokens_short(
        Reason::TokensShort { demand: 8600, anticipated: 8000, required: 2117.65 },
        "the model needs room for 2118 tokens more: 8600 in use and waiting, room for 8000"
    )]
    #[case::tokens_to_spare(
        Reason::TokensToSpare { demand: 2000, supply: 25600, spare: 22742.86, per_replica: 12800 },
        "22743 tokens of room can go, a replica has 12800: 2000 in use and waiting, room for 25600"
    )]
    #[case::rate_short(
        Reason::RateShort { rate: 12.3, anticipated: 10.0, required: 4.4706 },
        "12.30 requests arrive per second and the replicas can take 10.00 within what was promised: room for 4.47 more is \
         needed"
    )]
    #[case::rate_to_spare(
        Reason::RateToSpare { rate: 2.0, supply: 15.0, spare: 12.143, per_replica: 5.0 },
        "2.00 requests arrive per second and the replicas can take 15.00 within what was promised: room for 12.14 can go, a \
         replica takes 5.00"
    )]
    #[case::vetoed(
        Reason::ForecastVetoed { wanted: 2, saturated: true },
        "2 replicas would do for the requests that arrive, but the model is short of capacity"
    )]
    #[case::needed(
        Reason::NeededByForecast { analyzer: 2 },
        "the load would fit on 2 replicas, but the requests that arrive need them all"
    )]
    #[case::to_zero(
        Reason::ScaledToZero { retention: SignedDuration::from_mins(10) },
        "nothing was asked of the model for 10m: it is scaled to zero"
    )]
    #[case::woken(Reason::Woken { queued: 2 }, "2 requests wait at the gateway and no replica serves the model")]
    #[case::limited(
        Reason::LimitedByGpus { accelerator: "A100".into(), wanted: 5, gpus_per_replica: 2, free: 3 },
        "limited by GPUs: 5 replicas are needed at 2 GPUs each, and 3 GPUs of type A100 are free"
    )]
    #[case::unknown_type(
        Reason::GpusUnknown { accelerator: "B200".into(), wanted: 3, inventory: true },
        "3 replicas are needed, but no node has GPUs of type B200"
    )]
    #[case::at_most(
        Reason::Bounded { min: None, max: Some(4) },
        "limited to at most 4 replicas by the autoscaler that follows the number"
    )]
    fn a_reason_reads_as_one_sentence(#[case] reason: Reason, #[case] sentence: &str) {
        assert_eq!(reason.to_string(), sentence);
    }
}
