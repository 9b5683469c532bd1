//! What the proactive mode knows of servers and promises.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::accelerator::pool_of;
use crate::snapshot::ModelKey;

/// Scaling ahead of saturation: how fast the servers are and what was promised to their users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Proactive {
    /// Grow when requests arrive at more than this share of the rate that the replicas can take within their promises,
    /// those on their way included; above 0 and up to 1.
    pub headroom: f64,
    /// Shrink when requests would still arrive at less than this share of the rate that the rest can take; not above
    /// the headroom.
    pub scale_down_boundary: f64,
    /// How fast a model is on an accelerator; of several entries for the same pair, the first counts.
    pub profiles: Vec<Profile>,
    /// What was promised, by model; of several entries for the same model, the first counts.
    pub slos: Vec<Slo>,
}

impl Default for Proactive {
    fn default() -> Self {
        Self { headroom: 0.85, scale_down_boundary: 0.70, profiles: Vec::new(), slos: Vec::new() }
    }
}

/// Service times of a model on an accelerator: an iteration with `n` requests of I input and O output tokens takes
/// α + n·(β·(I + O)/(O + 1) + γ·(I + O/2)) milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Model name, as in [`ModelKey`].
    pub model_id: String,
    /// Accelerator, in any spelling of its [type](crate::accelerator::type_of).
    pub accelerator: String,
    /// Milliseconds of every iteration.
    pub alpha: f32,
    /// Milliseconds per token computed in an iteration.
    pub beta: f32,
    /// Milliseconds per token held in memory during an iteration.
    pub gamma: f32,
}

/// What was promised to the users of a model; `None` promises nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slo {
    /// Model name, as in [`ModelKey`].
    pub model_id: String,
    /// Namespace of the model; `None` for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Time to the first token, in milliseconds.
    pub ttft_ms: Option<f32>,
    /// Time between two tokens, in milliseconds.
    pub itl_ms: Option<f32>,
    /// Tokens per second that the model is to be ready for, however few are asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tps: Option<f32>,
}

/// What is known of servers and promises, ready to be looked up: searching the lists for each of a thousand models would
/// take longer than deciding on them.
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    /// The settings.
    pub settings: &'a Proactive,
    profiles: HashMap<&'a str, Vec<(String, &'a Profile)>>,
    slos: HashMap<&'a str, Vec<&'a Slo>>,
}

impl<'a> Lookup<'a> {
    /// Makes it ready.
    pub fn new(settings: &'a Proactive) -> Self {
        let (mut profiles, mut slos): (HashMap<_, Vec<_>>, HashMap<_, Vec<_>>) = Default::default();
        for profile in &settings.profiles {
            profiles.entry(&*profile.model_id).or_default().push((pool_of(&profile.accelerator), profile));
        }
        for slo in &settings.slos {
            slos.entry(&*slo.model_id).or_default().push(slo);
        }
        Self { settings, profiles, slos }
    }

    /// How fast a model is on an accelerator, if that is known.
    pub fn profile_of(&self, model_id: &str, accelerator: &str) -> Option<&'a Profile> {
        let of_model = self.profiles.get(model_id)?;
        let pool = pool_of(accelerator);
        of_model.iter().find(|(of, _)| *of == pool).map(|(_, profile)| *profile)
    }

    /// What was promised to the users of a model, if anything was.
    pub fn slo_of(&self, model: &ModelKey) -> Option<&'a Slo> {
        let holds = |slo: &&&Slo| slo.namespace.as_ref().is_none_or(|own| *own == model.namespace);
        self.slos.get(&*model.model_id)?.iter().find(holds).copied().filter(|slo| slo.promises())
    }
}

impl Proactive {
    /// How fast a model is on an accelerator, if that is known.
    pub fn profile_of(&self, model_id: &str, accelerator: &str) -> Option<&Profile> {
        Lookup::new(self).profile_of(model_id, accelerator)
    }

    /// What was promised to the users of a model, if anything was.
    pub fn slo_of(&self, model: &ModelKey) -> Option<&Slo> {
        Lookup::new(self).slo_of(model)
    }
}

impl Slo {
    /// Whether it promises anything.
    pub fn promises(&self) -> bool {
        let Self { model_id: _, namespace: _, ttft_ms, itl_ms, tps } = self;
        [ttft_ms, itl_ms, tps].into_iter().flatten().any(|promise| *promise > 0.0)
    }
}
