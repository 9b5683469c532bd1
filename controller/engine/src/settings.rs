//! How to decide. Values are validated where they enter the process; the engine trusts them.

mod analyzer;
mod limiter;
mod per_model;
mod proactive;
mod stabilization;
mod zero;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use self::analyzer::{Analyzer, ScaleUpPolicy, TokenThresholds};
pub use self::limiter::{FailMode, Limiter};
pub use self::per_model::PerModel;
pub use self::proactive::{Lookup, Proactive, Profile, Slo};
pub use self::stabilization::{Direction, Policy, Stabilization};
pub use self::zero::{ZeroPolicies, ZeroPolicy};
use crate::snapshot::ModelKey;

/// Everything a decision depends on besides the world and its own memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// `false` pauses decisions: the last ones are held (`GLOBAL_OPT_ENABLE`).
    pub enabled: bool,
    /// Pause between two cycles (`GLOBAL_OPT_INTERVAL`).
    pub interval: SignedDuration,
    /// What a saturated replica is and how much is to stay free.
    pub thresholds: PerModel<Thresholds>,
    /// How a model's need is found.
    pub analyzer: PerModel<Analyzer>,
    /// How many replicas a model that is short gets.
    pub scale_up: PerModel<ScaleUpPolicy>,
    /// For how long, and how fast, published numbers may change; by default whoever follows takes care of that.
    pub stabilization: PerModel<Stabilization>,
    /// Which idle models are put to sleep.
    pub zero: ZeroPolicies,
    /// Whether growth is limited by the GPUs there are.
    pub limiter: Limiter,
    /// Scaling ahead of saturation (`EXPERIMENTAL_PROACTIVE_MODEL`); `None` is off.
    pub proactive: Option<Proactive>,
    /// Readings older than this count as stale.
    pub stale_after: SignedDuration,
    /// How long a pod may be ready before its readings must be there: the metric source needs time to find it.
    pub metrics_grace: SignedDuration,
    /// How long a published number may stay unreached before the decision starts again from the current replicas.
    pub transition_timeout: SignedDuration,
    /// How long a pod may be not ready before it no longer holds up its model.
    pub pending_timeout: SignedDuration,
}

/// Thresholds of a saturated replica, and the triggers of the [`threshold`](crate::threshold) analyzer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Thresholds {
    /// A replica whose KV-cache use is at or above this share (0 to 1) is saturated.
    pub kv_cache_threshold: f64,
    /// A replica with this many waiting requests or more is saturated.
    pub queue_length_threshold: f64,
    /// Scale up when the average spare KV-cache share falls below this.
    pub kv_spare_trigger: f64,
    /// Scale up when the average spare queue length falls below this.
    pub queue_spare_trigger: f64,
}

impl Thresholds {
    /// The built-in values: 0.80, 5, 0.10, 3.
    pub const DEFAULT: Self = Self {
        kv_cache_threshold: 0.80,
        queue_length_threshold: 5.0,
        kv_spare_trigger: 0.10,
        queue_spare_trigger: 3.0,
    };
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: SignedDuration::from_secs(60),
            thresholds: PerModel::default(),
            analyzer: PerModel::default(),
            scale_up: PerModel::default(),
            stabilization: PerModel::default(),
            zero: ZeroPolicies::default(),
            limiter: Limiter::Off,
            proactive: None,
            stale_after: SignedDuration::from_mins(2),
            metrics_grace: SignedDuration::from_mins(1),
            transition_timeout: SignedDuration::from_mins(10),
            pending_timeout: SignedDuration::from_mins(15),
        }
    }
}

impl Settings {
    /// How long a pod that the cluster says cannot run is waited for: one cycle, so that nothing is given up that was about
    /// to be put right, and no longer than a minute.
    pub fn obstacle_grace(&self) -> SignedDuration {
        self.interval.min(SignedDuration::from_mins(1))
    }

    /// How long a published growth may stay unfollowed before the other variants of a model that is short may grow instead:
    /// three cycles, but not less than an autoscaler takes that does follow: Prometheus scrapes the number every 15 to 30 s as a
    /// rule, and an HPA looks at it every 15 s.
    pub fn growth_patience(&self) -> SignedDuration {
        const FOLLOWER: SignedDuration = SignedDuration::from_secs(45);
        self.interval.saturating_mul(3).max(FOLLOWER).min(self.transition_timeout)
    }

    /// Whether any model is analysed by its tokens, which then have to be counted; a forecast and demand sizing need the lengths
    /// of requests.
    pub fn counts_tokens(&self) -> bool {
        let PerModel { default, namespaces, models } = &self.analyzer;
        self.times_requests()
            || std::iter::once(default)
                .chain(namespaces.values())
                .chain(models.values())
                .any(|analyzer| matches!(analyzer, Analyzer::Saturation(_)))
    }

    /// Whether any model is sized by what arrives for it, which then has to be counted.
    pub fn counts_arrivals(&self) -> bool {
        self.counts_tokens()
    }

    /// Whether it is learnt of any model how fast it is, from how long its requests wait for tokens: for a forecast, and to know
    /// what a replica takes before one has been full.
    pub fn times_requests(&self) -> bool {
        let PerModel { default, namespaces, models } = &self.scale_up;
        let mut policies = std::iter::once(default).chain(namespaces.values()).chain(models.values());
        self.proactive.is_some() || policies.any(|policy| *policy == ScaleUpPolicy::Demand)
    }

    /// Whether a model is sized by what arrives for it: with `scaleUpPolicy: demand`; and with the `saturation` analyzer, because
    /// tokens say little of how many requests fewer replicas would take.
    pub fn sizes_by_load(&self, model: &ModelKey) -> bool {
        *self.scale_up.of(model) == ScaleUpPolicy::Demand || matches!(self.analyzer.of(model), Analyzer::Saturation(_))
    }

    /// The thresholds that hold for a model.
    pub fn thresholds_of(&self, model: &ModelKey) -> &Thresholds {
        self.thresholds.of(model)
    }
}
