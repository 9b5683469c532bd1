//! The sentence of each reason: what a person reads in the status, in events and in `explain`.

use std::fmt;

use super::{Reason, Trigger, Unsettled};
use crate::snapshot::Pause;

/// What [`Reason::NotWatchedYet`] says.
const NOT_WATCHED_YET: &str =
    "a replica could go, but since the controller began the load has not been watched for long enough";

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
            Self::VariantPaused { pause, replicas } => of_pause(f, pause, *replicas),
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

/// A pause, with the number that is held and the one that was asked for where limits allow another.
fn of_pause(f: &mut fmt::Formatter<'_>, pause: &Pause, replicas: u32) -> fmt::Result {
    let noun = if replicas == 1 { "replica is" } else { "replicas are" };
    write!(f, "paused{pause}: {replicas} {noun} held")?;
    match pause.replicas.filter(|asked| *asked != replicas) {
        Some(asked) => write!(f, ", {asked} asked for is outside the limits of whoever follows the number"),
        None => Ok(()),
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
    use jiff::SignedDuration;
    use rstest::rstest;

    use super::*;
    use crate::settings::Thresholds;

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
    #[case::paused(
        Reason::VariantPaused {
            pause: Pause {
                replicas: Some(8),
                until: Some(jiff::Timestamp::UNIX_EPOCH),
                by: Some("alice".into()),
                why: Some("node upgrade".into()),
            },
            replicas: 4,
        },
        "paused by alice until 1970-01-01T00:00:00Z (node upgrade): 4 replicas are held, 8 asked for is outside the limits \
         of whoever follows the number"
    )]
    #[case::paused_as_it_is(
        Reason::VariantPaused { pause: Pause::default(), replicas: 1 },
        "paused: 1 replica is held"
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
