//! The proactive mode: how many replicas does the rate at which requests arrive need, whether or not any is saturated yet?
//!
//! [`forecast`] compares the rate with what the replicas can take within what was promised to the model's users, which
//! follows from [`queueing`](crate::queueing). [`arbitrate()`] decides between the replicas that this asks for and those
//! that an analyzer asks for.
//!
//! Rates are requests per second of the model as a whole.

mod arbitrate;
mod learnt;
mod missing;

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::arbitrate::{Positions, Verdict, arbitrate};
pub use self::learnt::Learnt;
pub use self::missing::Missing;
use crate::number::{float, truncate};
use crate::queueing::queue::narrow;
use crate::queueing::{Error, Replica, RequestSize, ServiceTime};
use crate::settings::{Lookup, Proactive, Slo};
use crate::snapshot::ModelKey;
use crate::vllm::ServerArguments;

/// Requests a server may batch at most, whatever its arguments say: the queue of a larger one is no longer worth solving.
const LARGEST_BATCH: u32 = 4096;

/// What arrives for a model, and what its replicas are.
#[derive(Clone, Debug, PartialEq)]
pub struct Load<'a> {
    /// Requests that arrive per second; `None` when that is not known.
    pub rate: Option<f64>,
    /// Average tokens of a prompt; `None` when that is not known.
    pub input: Option<f64>,
    /// Average tokens of an answer; `None` when that is not known.
    pub output: Option<f64>,
    /// The variants that serve.
    pub variants: Vec<Serving<'a>>,
}

/// A variant that serves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Serving<'a> {
    /// Its name.
    pub variant: &'a str,
    /// Its accelerator.
    pub accelerator: &'a str,
    /// How its servers are started, if that is known.
    pub server: Option<&'a ServerArguments>,
    /// Tokens that the KV cache of a replica holds, if that is known.
    pub kv_tokens: Option<i64>,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
}

/// What the rate at which requests arrive asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Requests that arrive per second, or that the model is to be ready for.
    pub rate: f64,
    /// Average tokens of a prompt; `None` while nothing is asked of the model.
    pub input: Option<f64>,
    /// Average tokens of an answer; `None` while nothing is asked of the model.
    pub output: Option<f64>,
    /// What was promised.
    pub slo: Slo,
    /// Requests per second that the ready replicas can take within it.
    pub supply: f64,
    /// The same together with replicas on their way.
    pub anticipated: f64,
    /// Requests per second that are too many, with the share that is to stay free.
    pub required: f64,
    /// Requests per second that could be more, with the share that is to stay free.
    pub spare: f64,
    /// The variants, by name.
    pub variants: Vec<VariantForecast>,
}

/// What one variant can take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantForecast {
    /// Its name.
    pub variant: String,
    /// Requests per second that one replica can take within what was promised.
    pub per_replica: f64,
    /// How long one replica computes.
    pub service: ServiceTime,
    /// Whether that was learnt, because no profile says it.
    pub learnt: bool,
    /// Requests that one replica serves together.
    pub max_batch: u32,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas on their way.
    pub pending: u32,
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, input, output, slo, supply, anticipated, required, spare, variants } = self;
        write!(f, "{rate:.2} requests arrive per second")?;
        if let (Some(input), Some(output)) = (input, output) {
            write!(f, ", with prompts of {input:.0} and answers of {output:.0} tokens")?;
        }
        write!(f, "; the replicas can take {anticipated:.2}")?;
        if anticipated > supply {
            write!(f, ", {:.2} of them when pending ones are ready,", anticipated - supply)?;
        }
        let within = |(promise, what): (Option<f32>, &str)| Some(format!("{:.0} ms {what}", promise?));
        let promises = [(slo.ttft_ms, "to the first token"), (slo.itl_ms, "between tokens")];
        let promises: Vec<_> = promises.into_iter().filter_map(within).collect();
        if !promises.is_empty() {
            write!(f, " within {}", promises.join(" and "))?;
        }
        let how = |learnt| if learnt { ", as learnt" } else { "" };
        let each: Vec<_> =
            variants.iter().map(|it| format!("{} {:.2}{}", it.variant, it.per_replica, how(it.learnt))).collect();
        write!(f, " (each of {})", each.join(", "))?;
        match (*required > 0.0, *spare > 0.0) {
            (true, _) => write!(f, ": room for {required:.2} more is needed"),
            (false, true) => write!(f, ": room for {spare:.2} is not needed"),
            (false, false) => Ok(()),
        }
    }
}

/// Compares the rate with what the replicas can take.
///
/// With 10 requests a second, a headroom of 0.8 and two replicas that take 5 each: 10 / 0.8 − 10 = 2.5 are too many.
///
/// # Errors
///
/// What is not known, or cannot be kept, so that there is no answer.
pub fn forecast(
    model: &ModelKey,
    load: &Load<'_>,
    learnt: &Learnt,
    known: &Lookup<'_>,
    rates: &mut Rates,
) -> Result<Forecast, Missing> {
    let Load { rate, input, output, variants } = load;
    let slo = known.slo_of(model).ok_or(Missing::Promise)?;
    let rate = rate.ok_or(Missing::Rate)?;
    let lengths = match (*input, *output) {
        (Some(input), Some(output)) if output >= 1.0 => Some((input, output)),
        _ if rate > 0.0 => return Err(Missing::Lengths),
        _ => None,
    };
    let ready_for = slo.tps.zip(lengths).map_or(0.0, |(tps, (_, output))| f64::from(tps) / output);
    let rate = rate.max(ready_for);

    let mut variants: Vec<_> = variants.iter().collect();
    variants.sort_by_key(|it| it.variant);
    let variants: Vec<_> = variants
        .into_iter()
        .map(|it| {
            let max_batch = max_batch(it.server, it.kv_tokens, lengths);
            let accelerator = || it.accelerator.to_owned();
            let profile = known.profile_of(&model.model_id, it.accelerator);
            let given = profile.map(|it| ServiceTime { alpha: it.alpha, beta: it.beta, gamma: it.gamma });
            let service = given.or_else(|| learnt.of(it.accelerator));
            let service = service.ok_or_else(|| Missing::Profile { accelerator: accelerator() })?;
            let per_replica = rates.of(service, lengths, max_batch, slo).map_err(|error| match error {
                Error::NotFeasible => Missing::Feasible { accelerator: accelerator() },
                Error::Invalid | Error::NoRoom | Error::RateOutOfRange => Missing::Sense { accelerator: accelerator() },
            })?;
            let Serving { variant, ready, pending, .. } = *it;
            let (variant, learnt) = (variant.to_owned(), given.is_none());
            Ok(VariantForecast { variant, per_replica, service, learnt, max_batch, ready, pending })
        })
        .collect::<Result<_, _>>()?;

    let sum =
        |of: fn(&VariantForecast) -> u32| variants.iter().map(|it| f64::from(of(it)) * it.per_replica).sum::<f64>();
    let (supply, anticipated) = (sum(|it| it.ready), sum(|it| it.ready.saturating_add(it.pending)));
    let Proactive { headroom, scale_down_boundary, profiles: _, slos: _ } = known.settings;
    Ok(Forecast {
        rate,
        input: lengths.map(|it| it.0),
        output: lengths.map(|it| it.1),
        slo: slo.clone(),
        supply,
        anticipated,
        required: (rate / headroom - anticipated).max(0.0),
        spare: (supply - rate / scale_down_boundary).max(0.0),
        variants,
    })
}

/// Requests per second that a replica can take within what was promised.
fn capacity(service: ServiceTime, lengths: Option<(f64, f64)>, max_batch: u32, slo: &Slo) -> Result<f64, Error> {
    let ServiceTime { alpha, beta, gamma } = service;
    let makes_sense =
        alpha > 0.0 && beta >= 0.0 && gamma >= 0.0 && [alpha, beta, gamma].iter().all(|it| it.is_finite());
    if !makes_sense {
        return Err(Error::Invalid);
    }
    let capacity = match lengths {
        Some((input, output)) => {
            let request = RequestSize { input: narrow(input), output: narrow(output) };
            Replica::new(service, request, max_batch).capacity(slo)?
        }
        None => Replica::idle_capacity(service, max_batch),
    };
    Some(f64::from(capacity)).filter(|it| it.is_finite() && *it > 0.0).ok_or(Error::Invalid)
}

/// Requests a server serves together: `--max-num-seqs`, or what vLLM takes when that is not given, and no more than fit into
/// its KV cache, where each holds I + O/2 tokens on average.
///
/// 16,000 tokens hold 80 requests of 100 tokens in and 200 out, whatever more the server would take.
pub(crate) fn max_batch(server: Option<&ServerArguments>, kv_tokens: Option<i64>, lengths: Option<(f64, f64)>) -> u32 {
    let given = server.map_or_else(|| ServerArguments::default().max_num_seqs, |server| server.max_num_seqs);
    let fitting = kv_tokens.zip(lengths).map(|(tokens, (input, output))| float(tokens) / (input + output / 2.0));
    let fitting = fitting.filter(|it| *it > 0.0).map_or(i64::MAX, truncate);
    u32::try_from(given.min(fitting).max(1)).unwrap_or(LARGEST_BATCH).clamp(1, LARGEST_BATCH)
}

/// Rates that replicas can take, each computed once a decision: many models have the same servers, promises and requests.
#[derive(Debug, Default)]
pub struct Rates(HashMap<[u64; 10], Result<f64, Error>>);

impl Rates {
    fn of(
        &mut self,
        service: ServiceTime,
        lengths: Option<(f64, f64)>,
        max_batch: u32,
        slo: &Slo,
    ) -> Result<f64, Error> {
        let ServiceTime { alpha, beta, gamma } = service;
        let (input, output) = lengths.unwrap_or((f64::NAN, f64::NAN));
        let promise = |promise: Option<f32>| promise.map_or(u64::MAX, |it| u64::from(it.to_bits()));
        let bits = |value: f32| u64::from(value.to_bits());
        let key = [
            bits(alpha),
            bits(beta),
            bits(gamma),
            u64::from(lengths.is_some()),
            input.to_bits(),
            output.to_bits(),
            u64::from(max_batch),
            promise(slo.ttft_ms),
            promise(slo.itl_ms),
            promise(slo.tps),
        ];
        *self.0.entry(key).or_insert_with(|| capacity(service, lengths, max_batch, slo))
    }
}
