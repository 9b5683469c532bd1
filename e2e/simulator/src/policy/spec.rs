//! Policies by name, and with settings of their own.

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};
use serde::{Deserialize, Serialize};
use wva_engine::settings::{
    Analyzer, PerModel, Proactive, Profile, ScaleUpPolicy, Settings, Slo, Thresholds, TokenThresholds,
};

use super::fixed::{Informed, Static};
use super::follower::Follower;
use super::rivals::{self, Apa, DynamoLoad, DynamoRate, DynamoTarget, HpaOnMetrics, Kpa, Metric, Predictor};
use super::wva::{Wva, four_minutes};
use super::{Autoscaler, View, observe};
use crate::capacity::AtKnee;
use crate::scenario::Slo as Promise;

/// Who scales, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Policy {
    /// WVA's engine.
    Wva {
        /// How a model's need is found.
        #[serde(default)]
        analyzer: Analyzer,
        /// How many replicas a model that is short gets.
        #[serde(default)]
        scale_up: ScaleUpPolicy,
        /// When a replica is saturated.
        #[serde(default)]
        thresholds: Thresholds,
        /// Whether it also scales ahead of saturation, with the profiles and promises of the scenario.
        #[serde(default)]
        hybrid: bool,
        /// Whether it decides at once when a replica comes near its limits.
        #[serde(default = "yes")]
        early_trigger: bool,
        /// Who carries out what it publishes.
        #[serde(default)]
        follower: Follower,
    },
    /// An HPA for each variant on requests that wait.
    HpaQueue {
        /// Requests that may wait for each replica.
        target: f64,
        /// Its `behavior`; that of Kubernetes if not given.
        #[serde(default)]
        behavior: Option<Box<HorizontalPodAutoscalerBehavior>>,
    },
    /// An HPA for each variant on the used share of the KV cache.
    HpaKv {
        /// The share that replicas are to use; if not given, 80 % of what they use at the rate they take.
        #[serde(default)]
        target: Option<f64>,
        /// Its `behavior`; that of Kubernetes if not given.
        #[serde(default)]
        behavior: Option<Box<HorizontalPodAutoscalerBehavior>>,
    },
    /// A `ScaledObject` of KEDA for each variant, with llm-d's two triggers: saturation of the pool, and running requests.
    Keda {
        /// Saturation that replicas are to have.
        #[serde(default = "keda_saturation")]
        saturation: f64,
        /// Requests that each replica is to work on; if not given, 80 % of those it has at the rate it takes.
        #[serde(default)]
        running: Option<f64>,
        /// The HPA's `behavior`; that of Kubernetes if not given.
        #[serde(default)]
        behavior: Option<Box<HorizontalPodAutoscalerBehavior>>,
    },
    /// Knative's KPA for each variant, on requests in flight.
    Kpa {
        /// Requests that each replica is to have; if not given, 80 % of those it has at the rate it takes.
        #[serde(default)]
        target: Option<f64>,
    },
    /// The APA of `AIBrix` for each variant, on the used share of the KV cache.
    Apa {
        /// The share that replicas are to use; if not given, 80 % of what they use at the rate they take.
        #[serde(default)]
        target: Option<f64>,
    },
    /// Dynamo's planner in load mode, on all variants as one pool.
    DynamoLoad {
        /// What it aims at.
        target: DynamoTarget,
    },
    /// Dynamo's planner in throughput mode, on all variants as one pool.
    DynamoThroughput {
        /// Pause between two decisions, in seconds.
        every_seconds: f64,
        /// How the next rate is predicted.
        predictor: Predictor,
        /// Promises for which a worker's rate was measured; the scenario's if not given.
        #[serde(default)]
        slo: Option<Promise>,
    },
    /// The same replicas all the time.
    Static {
        /// How many in all; what the highest rate needs if not given.
        #[serde(default)]
        replicas: Option<u32>,
    },
    /// Knows the rate of now, and sizes for it at once.
    Oracle,
    /// Knows the rates to come, and has replicas ready when they are needed.
    Clairvoyant,
}

fn keda_saturation() -> f64 {
    0.7
}

fn yes() -> bool {
    true
}

/// There is no such policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy named {name}; there are {}", Policy::NAMES.join(", "))]
pub struct UnknownPolicy {
    name: String,
}

impl Policy {
    /// Names of policies with settings that suit them, or are their authors'. `-tuned` is for the replicas of the scenario.
    pub const NAMES: [&str; 25] = [
        "threshold",
        "saturation",
        "demand",
        "hybrid",
        "saturation-hybrid",
        "demand-hybrid",
        "wva-v1",
        "wva-v2",
        "hpa-queue",
        "hpa-queue-tuned",
        "hpa-kv",
        "hpa-kv-tuned",
        "keda",
        "keda-tuned",
        "kpa",
        "kpa-tuned",
        "apa",
        "apa-tuned",
        "dynamo-load",
        "dynamo-load-throughput",
        "dynamo-throughput",
        "dynamo-throughput-tuned",
        "static",
        "oracle",
        "clairvoyant",
    ];

    /// The policy of this name.
    pub fn named(name: &str) -> Result<Self, UnknownPolicy> {
        let wva = |analyzer, scale_up, hybrid| Self::Wva {
            analyzer,
            scale_up,
            thresholds: Thresholds::DEFAULT,
            hybrid,
            early_trigger: true,
            follower: Follower::AtOnce,
        };
        // The Go version as its chart installs it: no early trigger, and an HPA with windows of four minutes.
        let go = |analyzer| Self::Wva {
            analyzer,
            scale_up: ScaleUpPolicy::Step,
            thresholds: Thresholds::DEFAULT,
            hybrid: false,
            early_trigger: false,
            follower: Follower::Hpa { behavior: Some(Box::new(four_minutes())), sync_seconds: 15.0 },
        };
        let tokens = || Analyzer::Saturation(TokenThresholds::default());
        Ok(match name {
            "threshold" => wva(Analyzer::Threshold, ScaleUpPolicy::Step, false),
            "saturation" => wva(tokens(), ScaleUpPolicy::Step, false),
            "demand" => wva(Analyzer::Threshold, ScaleUpPolicy::Demand, false),
            "hybrid" => wva(Analyzer::Threshold, ScaleUpPolicy::Step, true),
            "saturation-hybrid" => wva(tokens(), ScaleUpPolicy::Step, true),
            "demand-hybrid" => wva(Analyzer::Threshold, ScaleUpPolicy::Demand, true),
            "wva-v1" => go(Analyzer::Threshold),
            "wva-v2" => go(tokens()),
            "hpa-queue" => Self::HpaQueue { target: 5.0, behavior: None },
            "hpa-queue-tuned" => Self::HpaQueue { target: 1.0, behavior: Some(Box::new(calm())) },
            "hpa-kv" => Self::HpaKv { target: Some(0.5), behavior: None },
            "hpa-kv-tuned" => Self::HpaKv { target: None, behavior: Some(Box::new(calm())) },
            "keda" => Self::Keda { saturation: 0.7, running: Some(16.0), behavior: None },
            "keda-tuned" => Self::Keda { saturation: 0.7, running: None, behavior: Some(Box::new(calm())) },
            "kpa" => Self::Kpa { target: Some(70.0) },
            "kpa-tuned" => Self::Kpa { target: None },
            "apa" => Self::Apa { target: Some(0.5) },
            "apa-tuned" => Self::Apa { target: None },
            "dynamo-load" => Self::DynamoLoad { target: DynamoTarget::Sla },
            "dynamo-load-throughput" => Self::DynamoLoad { target: DynamoTarget::Throughput },
            "dynamo-throughput" => Self::DynamoThroughput {
                every_seconds: 180.0,
                predictor: Predictor::Constant,
                slo: Some(Promise { ttft_seconds: 0.5, itl_seconds: 0.05 }),
            },
            "dynamo-throughput-tuned" => {
                Self::DynamoThroughput { every_seconds: 60.0, predictor: Predictor::Kalman, slo: None }
            }
            "static" => Self::Static { replicas: None },
            "oracle" => Self::Oracle,
            "clairvoyant" => Self::Clairvoyant,
            _ => return Err(UnknownPolicy { name: name.to_owned() }),
        })
    }

    /// Whether what it decides at the very beginning is there at once: nobody who compares with it wants to see its start.
    pub(crate) fn begins_ready(&self) -> bool {
        matches!(self, Self::Static { .. } | Self::Clairvoyant)
    }

    /// The autoscaler, ready to begin.
    pub fn autoscaler(&self, view: &View<'_>) -> Box<dyn Autoscaler> {
        let variants = view.scenario.variants.len();
        let all = |target: f64| vec![target; variants];
        let each = |target: Option<f64>, of: fn(&AtKnee) -> f64| match target {
            Some(target) => all(target),
            None => rivals::at_knee(view).iter().map(|knee| rivals::TUNED * of(knee)).collect(),
        };
        let hpa =
            |metrics, behavior| -> Box<dyn Autoscaler> { Box::new(HpaOnMetrics::new(metrics, behavior, variants)) };
        match self {
            Self::Wva { analyzer, scale_up, thresholds, hybrid, early_trigger, follower } => {
                let settings = Settings {
                    thresholds: PerModel::all(*thresholds),
                    analyzer: PerModel::all(*analyzer),
                    scale_up: PerModel::all(*scale_up),
                    proactive: hybrid.then(|| proactive(view)),
                    ..Settings::default()
                };
                Box::new(Wva::new(settings, *early_trigger, follower, view))
            }
            Self::HpaQueue { target, behavior } => hpa(vec![Metric::Queue(all(*target))], behavior.as_deref()),
            Self::HpaKv { target, behavior } => {
                hpa(vec![Metric::KvUsage(each(*target, |knee| knee.kv_usage))], behavior.as_deref())
            }
            Self::Keda { saturation, running, behavior } => {
                let running = each(*running, |knee| knee.in_flight);
                hpa(vec![Metric::Saturation(all(*saturation)), Metric::Running(running)], behavior.as_deref())
            }
            Self::Kpa { target } => Box::new(Kpa::new(each(*target, |knee| knee.in_flight))),
            Self::Apa { target } => Box::new(Apa::new(each(*target, |knee| knee.kv_usage))),
            Self::DynamoLoad { target } => Box::new(DynamoLoad::new(*target, view)),
            Self::DynamoThroughput { every_seconds, predictor, slo } => {
                let of = |slo: &Promise| {
                    let servers = view.scenario.variants.iter().map(|variant| &variant.server);
                    servers.map(|server| crate::capacity::knee(server, view.workload, *slo)).collect()
                };
                let capacity = slo.as_ref().map_or_else(|| view.capacity.to_vec(), of);
                Box::new(DynamoRate::new(*every_seconds, *predictor, capacity))
            }
            Self::Static { replicas } => Box::new(Static::new(*replicas)),
            Self::Oracle => Box::new(Informed::of_now()),
            Self::Clairvoyant => Box::new(Informed::of_the_future()),
        }
    }
}

/// What a user would write down of the scenario's servers and promises.
fn proactive(view: &View<'_>) -> Proactive {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds with few digits")]
    let single = |value: f64| value as f32;
    let profile = |variant: &crate::scenario::Variant| Profile {
        model_id: observe::MODEL.to_owned(),
        accelerator: variant.accelerator.clone(),
        alpha: single(variant.server.alpha_ms),
        beta: single(variant.server.beta_ms),
        gamma: single(variant.server.gamma_ms),
    };
    let slo = Slo {
        model_id: observe::MODEL.to_owned(),
        ttft_ms: Some(single(view.scenario.slo.ttft_seconds * 1000.0)),
        itl_ms: Some(single(view.scenario.slo.itl_seconds * 1000.0)),
        ..Slo::default()
    };
    Proactive {
        profiles: view.scenario.variants.iter().map(profile).collect(),
        slos: vec![slo],
        ..Proactive::default()
    }
}

/// A scale-down window of two minutes instead of five.
fn calm() -> HorizontalPodAutoscalerBehavior {
    let down = HPAScalingRules { stabilization_window_seconds: Some(120), ..HPAScalingRules::default() };
    HorizontalPodAutoscalerBehavior { scale_down: Some(down), scale_up: None }
}
