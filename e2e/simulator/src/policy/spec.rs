//! Policies by name, and with settings of their own.

use serde::{Deserialize, Serialize};
use wva_engine::settings::{
    Analyzer, PerModel, Proactive, Profile, ScaleUpPolicy, Settings, Slo, Thresholds, TokenThresholds,
};

use super::fixed::{Informed, Static};
use super::follower::Follower;
use super::wva::{Wva, four_minutes};
use super::{Autoscaler, View, observe};

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
    /// Names of policies with settings that suit them.
    pub const NAMES: [&str; 11] = [
        "threshold",
        "saturation",
        "demand",
        "hybrid",
        "saturation-hybrid",
        "demand-hybrid",
        "wva-v1",
        "wva-v2",
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
