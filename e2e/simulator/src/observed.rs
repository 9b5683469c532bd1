//! A scenario made of what a controller observed of a model: its variants, limits and costs, and how fast its servers are known to be.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use wva_engine::settings::{Profile, Slo as Promised};
use wva_engine::snapshot::{self, Reading, Sample};
use wva_engine::{Memory, ModelKey, Settings};

use crate::Scenario;
use crate::load::{Lengths, Load};
use crate::policy::{Follower, Policy};
use crate::scenario::{Routing, Slo, Variant};
use crate::server::Server;

/// Most replicas of a variant whose limit is not known.
const MOST: u32 = 10;
/// Requests per second where none was seen to arrive.
const RATE: f64 = 1.0;

/// How the load is to go on from the rate that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// To the peak at once, after five minutes.
    #[default]
    Step,
    /// To the peak within half an hour.
    Ramp,
    /// To the peak and back, in an hour, twice.
    Wave,
    /// At the peak for two minutes, every ten minutes or so.
    Bursts,
    /// As it is, but it swings by 17 %.
    Noise,
}

impl Shape {
    /// A load of this shape, and how many seconds it goes on.
    fn load(self, rate: f64, peak: f64) -> (Load, f64) {
        match self {
            Self::Step => (Load::Step { from: rate, to: peak, at_seconds: 300.0 }, 1800.0),
            Self::Ramp => (Load::Ramp { from: rate, to: peak, begin_seconds: 300.0, end_seconds: 2100.0 }, 2700.0),
            Self::Wave => {
                let (mean, amplitude) = (f64::midpoint(rate, peak), (peak - rate) / 2.0);
                (Load::Wave { mean, amplitude, period_seconds: 3600.0 }, 7200.0)
            }
            Self::Bursts => {
                (Load::Bursts { quiet: rate, burst: peak, every_seconds: 600.0, length_seconds: 120.0 }, 3600.0)
            }
            Self::Noise => (Load::Noise { mean: rate, sd: 0.17, every_seconds: 10.0 }, 1800.0),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Wave => "wave",
            Self::Bursts => "bursts",
            Self::Noise => "noise",
        })
    }
}

/// What the load is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Its course.
    pub shape: Shape,
    /// Requests per second at first; what was seen to arrive if not given.
    pub rate: Option<f64>,
    /// How many times as many at its peak.
    pub times: f64,
    /// Seconds from the creation of a pod to its first answer.
    pub start_up_seconds: f64,
}

/// A model as it was observed, ready to be simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The scenario.
    pub scenario: Scenario,
    /// How its controller decides.
    pub policy: Policy,
    /// What was not known and is taken to be so, in sentences.
    pub assumed: Vec<String>,
}

/// What is known of a model, and what is assumed where it is not.
pub fn observed(model: &snapshot::Model, settings: &Settings, memory: &Memory, asked: Asked) -> Observed {
    let snapshot::Model { key, source: _, demand, variants } = model;
    let mut assumed = Vec::new();
    let seen = demand.arrival_rate.map(|it| it.value).filter(|it| *it > 0.0);
    let rate = asked.rate.or(seen).unwrap_or_else(|| {
        assumed
            .push(format!("no requests were seen to arrive: {RATE} a second is taken instead (--rate says another)"));
        RATE
    });
    let peak = rate * asked.times;
    let (load, duration_seconds) = asked.shape.load(rate, peak);
    let samples = || variants.iter().flat_map(|it| &it.pods).filter_map(|it| it.sample.as_ref());
    let length = |of: fn(&Sample) -> Option<Reading>| mean(samples().filter_map(of).map(|it| it.value));
    let mut requests = Lengths::default();
    match (length(|it| it.tokens.avg_input), length(|it| it.tokens.avg_output)) {
        (Some(input), Some(output)) => {
            requests.prompt.mean = input;
            requests.output.mean = output;
        }
        _ => assumed.push(format!(
            "how long requests are is not known: prompts of {} and answers of {} tokens",
            requests.prompt.mean, requests.output.mean
        )),
    }
    let variants: Vec<_> = variants.iter().map(|it| variant(key, it, settings, memory, &mut assumed)).collect();
    let scenario = Scenario {
        name: key.model_id.clone(),
        description: format!("{} of {rate:.2} requests a second, {peak:.2} at most", asked.shape),
        duration_seconds,
        load,
        requests,
        variants,
        start_up_seconds: asked.start_up_seconds,
        start_up_spread: 0.0,
        termination_grace_seconds: 30.0,
        scrape_seconds: 15.0,
        interval_seconds: settings.interval.as_secs_f64(),
        patience_seconds: Some(60.0),
        long_wait_seconds: 5.0,
        slo: slo(key, settings, &mut assumed),
        routing: routing(demand),
        gpus: BTreeMap::new(),
    };
    Observed { scenario, policy: policy(model, settings), assumed }
}

/// How the controller decides on a model, carried out at once.
fn policy(model: &snapshot::Model, settings: &Settings) -> Policy {
    let key = &model.key;
    Policy::Wva {
        analyzer: *settings.analyzer.of(key),
        scale_up: *settings.scale_up.of(key),
        thresholds: *settings.thresholds_of(key),
        hybrid: settings.proactive.is_some(),
        early_trigger: true,
        follower: Follower::AtOnce,
    }
}

fn variant(
    key: &ModelKey,
    of: &snapshot::Variant,
    settings: &Settings,
    memory: &Memory,
    assumed: &mut Vec<String>,
) -> Variant {
    let max = of.bounds.max.unwrap_or_else(|| {
        let most = MOST.max(of.spec_replicas);
        assumed.push(format!("nobody is known to limit {}: {most} replicas at most", of.name));
        most
    });
    Variant {
        name: of.name.clone(),
        accelerator: of.accelerator.clone(),
        cost: of.cost,
        gpus_per_replica: of.gpus_per_replica.max(1),
        min: of.bounds.min.unwrap_or(1).min(max),
        max,
        initial: of.spec_replicas.min(max),
        server: server(key, of, settings, memory, assumed),
        measured: None,
    }
}

/// How fast a replica is by its profile, else by what the controller learnt; and what fits into it.
fn server(
    key: &ModelKey,
    of: &snapshot::Variant,
    settings: &Settings,
    memory: &Memory,
    assumed: &mut Vec<String>,
) -> Server {
    let mut server = Server::default();
    let profile = settings.proactive.as_ref().and_then(|it| it.profile_of(&key.model_id, &of.accelerator));
    let profile = profile.map(|Profile { alpha, beta, gamma, .. }| [*alpha, *beta, *gamma]);
    let learnt = || memory.service_time(key, &of.accelerator).map(|it| [it.alpha, it.beta, it.gamma]);
    match profile.or_else(learnt) {
        Some(times) => [server.alpha_ms, server.beta_ms, server.gamma_ms] = times.map(f64::from),
        None => assumed.push(format!(
            "how fast {} is has not been learnt, and no profile says so: an A100 with an 8 B model is simulated",
            of.name
        )),
    }
    let positive = |it: i64| u32::try_from(it).ok().filter(|it| *it > 0);
    if let Some(arguments) = &of.server {
        server.max_num_seqs = positive(arguments.max_num_seqs).unwrap_or(server.max_num_seqs);
        server.max_num_batched_tokens = positive(arguments.batched_tokens()).unwrap_or(server.max_num_batched_tokens);
    }
    let said = of.pods.iter().filter_map(|pod| u32::try_from(pod.sample.as_ref()?.tokens.kv_capacity()?).ok());
    let fixed = || positive(of.server.as_ref()?.fixed_kv_capacity()?);
    match said.min().or_else(fixed) {
        Some(tokens) if tokens > 0 => server.kv_tokens = tokens,
        _ => assumed.push(format!("how much fits into {} is not known: {} tokens", of.name, server.kv_tokens)),
    }
    server
}

fn slo(key: &ModelKey, settings: &Settings, assumed: &mut Vec<String>) -> Slo {
    let default = Slo::default();
    let promised = settings.proactive.as_ref().and_then(|it| it.slo_of(key));
    let seconds = |milliseconds: Option<f32>| milliseconds.map(|it| f64::from(it) / 1000.0);
    let of = |of: fn(&Promised) -> Option<f32>| promised.and_then(|it| seconds(of(it)));
    let slo = Slo {
        ttft_seconds: of(|it| it.ttft_ms).unwrap_or(default.ttft_seconds),
        itl_seconds: of(|it| it.itl_ms).unwrap_or(default.itl_seconds),
    };
    if promised.is_none() {
        assumed.push(format!(
            "nothing is promised: a first token within {} s and {} s between tokens count as kept",
            slo.ttft_seconds, slo.itl_seconds
        ));
    }
    slo
}

/// Flow control where a gateway is known to queue requests.
fn routing(demand: &snapshot::Demand) -> Routing {
    match demand.gateway {
        snapshot::Gateway::Queued(_) => Routing::default(),
        snapshot::Gateway::None | snapshot::Gateway::Unknown => Routing::FewestRequests,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.filter(|it| *it > 0.0).fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
