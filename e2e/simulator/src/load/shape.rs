//! How many requests arrive when.

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::trace::TraceFormat;

/// How many requests arrive when. Rates are in requests per second, times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Load {
    /// One rate, then another.
    Step {
        /// The first rate.
        from: f64,
        /// The second one.
        to: f64,
        /// When it begins.
        at_seconds: f64,
    },
    /// Several rates one after the other; each holds until the next begins.
    Steps {
        /// When each begins, and the rate.
        points: Vec<(f64, f64)>,
    },
    /// From one rate evenly to another.
    Ramp {
        /// The first rate.
        from: f64,
        /// The last one.
        to: f64,
        /// When it begins to change.
        begin_seconds: f64,
        /// When it has changed.
        end_seconds: f64,
    },
    /// A rate that swings: drawn anew from a normal distribution, again and again.
    Noise {
        /// Mean.
        mean: f64,
        /// Standard deviation, as a share of the mean.
        sd: f64,
        /// How long each draw holds.
        #[serde(default = "ten")]
        every_seconds: f64,
    },
    /// A rate that rises and falls: mean + amplitude · sin, from its lowest point on.
    Wave {
        /// Mean.
        mean: f64,
        /// How far it goes above and below.
        amplitude: f64,
        /// From one lowest point to the next.
        period_seconds: f64,
    },
    /// A low rate with bursts.
    Bursts {
        /// The rate between bursts.
        quiet: f64,
        /// The rate in a burst.
        burst: f64,
        /// From the beginning of one burst to that of the next; drawn between half and one and a half of it.
        every_seconds: f64,
        /// How long a burst is.
        length_seconds: f64,
    },
    /// Requests, or rates, that were recorded.
    Trace {
        /// File, relative to where the simulator runs.
        file: String,
        /// What the file looks like.
        format: TraceFormat,
        /// How many times as many requests.
        #[serde(default = "one")]
        scale: f64,
        /// Where in the recording to begin.
        #[serde(default)]
        skip_seconds: f64,
    },
}

fn one() -> f64 {
    1.0
}

fn ten() -> f64 {
    10.0
}

impl Load {
    /// Points of time with the rate from there on; between two of a ramp or a wave there is a second.
    pub(super) fn rates(&self, duration: f64, random: &mut Random) -> Vec<(f64, f64)> {
        let each_second = |rate: &dyn Fn(f64) -> f64| {
            (0..crate::number::ceil(duration)).map(|second| (f64::from(second), rate(f64::from(second)))).collect()
        };
        match self {
            Self::Step { from, to, at_seconds } => vec![(0.0, *from), (*at_seconds, *to)],
            Self::Steps { points } => points.clone(),
            Self::Ramp { from, to, begin_seconds, end_seconds } => each_second(&|at| {
                let share =
                    ((at - begin_seconds) / (end_seconds - begin_seconds).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
                from + (to - from) * share
            }),
            Self::Noise { mean, sd, every_seconds } => {
                let (mut points, mut at) = (Vec::new(), 0.0);
                while at < duration {
                    points.push((at, (mean * (1.0 + sd * random.normal())).max(0.0)));
                    at += every_seconds;
                }
                points
            }
            Self::Wave { mean, amplitude, period_seconds } => each_second(&|at| {
                let turn = std::f64::consts::TAU * (at / period_seconds - 0.25);
                (mean + amplitude * turn.sin()).max(0.0)
            }),
            Self::Bursts { quiet, burst, every_seconds, length_seconds } => {
                let (mut points, mut at) = (vec![(0.0, *quiet)], 0.0);
                while at < duration {
                    at += every_seconds * (0.5 + random.fraction());
                    points.push((at, *burst));
                    points.push((at + length_seconds, *quiet));
                    at += length_seconds;
                }
                points
            }
            Self::Trace { .. } => Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let rates: Vec<f64> = match self {
            Self::Step { from, to, .. } | Self::Ramp { from, to, .. } => vec![*from, *to],
            Self::Steps { points } => points.iter().flat_map(|(at, rate)| [*at, *rate]).collect(),
            Self::Noise { mean, sd, every_seconds } => {
                if *every_seconds <= 0.0 {
                    return Err("load.everySeconds has to be above 0".to_owned());
                }
                vec![*mean, *sd]
            }
            Self::Wave { mean, amplitude, period_seconds } => {
                if *period_seconds <= 0.0 {
                    return Err("load.periodSeconds has to be above 0".to_owned());
                }
                vec![*mean, *amplitude]
            }
            Self::Bursts { quiet, burst, every_seconds, length_seconds } => {
                if *every_seconds <= 0.0 {
                    return Err("load.everySeconds has to be above 0".to_owned());
                }
                vec![*quiet, *burst, *length_seconds]
            }
            Self::Trace { scale, skip_seconds, .. } => vec![*scale, *skip_seconds],
        };
        match rates.iter().find(|rate| !rate.is_finite() || **rate < 0.0) {
            Some(rate) => Err(format!("load: {rate} is no rate, number or time; give 0 or more")),
            None => Ok(()),
        }
    }
}

/// The rate that holds at a time; nothing arrives before the first point.
pub(super) fn at(points: &[(f64, f64)], when: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= when);
    after.checked_sub(1).map_or(0.0, |last| points[last].1)
}
