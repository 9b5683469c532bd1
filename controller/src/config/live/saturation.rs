//! An entry of a saturation ConfigMap.

use wva_engine::Thresholds;
use wva_engine::settings::{Analyzer, ScaleUpPolicy, TokenThresholds};

use super::behavior::{Behavior, DOWN, UP};
use super::config_map_entries::Entry;
use super::fields::Fields;

/// What an entry says of a model's saturation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saturation {
    /// See [`Thresholds::kv_cache_threshold`].
    pub kv_cache_threshold: Option<f64>,
    /// See [`Thresholds::queue_length_threshold`].
    pub queue_length_threshold: Option<f64>,
    /// See [`Thresholds::kv_spare_trigger`].
    pub kv_spare_trigger: Option<f64>,
    /// See [`Thresholds::queue_spare_trigger`].
    pub queue_spare_trigger: Option<f64>,
    /// See [`ScaleUpPolicy`].
    pub scale_up_policy: Option<ScaleUpPolicy>,
    /// See [`Stabilization::up`](wva_engine::settings::Stabilization::up).
    pub up: Behavior,
    /// See [`Stabilization::down`](wva_engine::settings::Stabilization::down).
    pub down: Behavior,
    /// What the entry `default` of the global ConfigMap says for all models.
    pub for_all: ForAll,
}

/// What only the entry `default` of the global ConfigMap can say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ForAll {
    /// How a model's need is found.
    pub analyzer: Analyzer,
    /// Whether targets are kept within the GPUs there are.
    pub limiter: bool,
}

const FOR_ALL: [&str; 4] = ["analyzerName", "scaleUpThreshold", "scaleDownBoundary", "enableLimiter"];

impl Entry for Saturation {
    const KIND: &'static str = "saturation";
    const NEEDS_NAMESPACE: bool = true;

    fn read(fields: &mut Fields, counts_for_all: bool) -> Result<Self, String> {
        let entry = Self {
            kv_cache_threshold: fields.share("kvCacheThreshold")?,
            queue_length_threshold: fields.amount("queueLengthThreshold")?,
            kv_spare_trigger: fields.share("kvSpareTrigger")?,
            queue_spare_trigger: fields.amount("queueSpareTrigger")?,
            scale_up_policy: scale_up_policy(fields)?,
            up: Behavior::read(fields, UP)?,
            down: Behavior::read(fields, DOWN)?,
            for_all: if counts_for_all { for_all(fields)? } else { ForAll::default() },
        };
        if !counts_for_all {
            for name in FOR_ALL {
                fields.elsewhere(name, "in the entry `default` of the global ConfigMap only");
            }
        }
        if let (Some(threshold), Some(spare)) = (entry.kv_cache_threshold, entry.kv_spare_trigger) {
            fitting(threshold, spare)?;
        }
        Ok(entry)
    }
}

impl Saturation {
    /// What the entry says, and of the rest what it inherits.
    ///
    /// # Errors
    /// When the two contradict each other.
    pub fn over(&self, inherited: Thresholds) -> Result<Thresholds, String> {
        let merged = Thresholds {
            kv_cache_threshold: self.kv_cache_threshold.unwrap_or(inherited.kv_cache_threshold),
            queue_length_threshold: self.queue_length_threshold.unwrap_or(inherited.queue_length_threshold),
            kv_spare_trigger: self.kv_spare_trigger.unwrap_or(inherited.kv_spare_trigger),
            queue_spare_trigger: self.queue_spare_trigger.unwrap_or(inherited.queue_spare_trigger),
        };
        fitting(merged.kv_cache_threshold, merged.kv_spare_trigger)?;
        Ok(merged)
    }
}

/// A model would grow for want of spare capacity before any of its replicas could have that much.
fn fitting(threshold: f64, spare: f64) -> Result<(), String> {
    if threshold < spare {
        return Err(format!("`kvCacheThreshold` ({threshold}) is less than `kvSpareTrigger` ({spare})"));
    }
    Ok(())
}

fn scale_up_policy(fields: &mut Fields) -> Result<Option<ScaleUpPolicy>, String> {
    match fields.text(&["scaleUpPolicy"]).as_deref() {
        None => Ok(None),
        Some("step") => Ok(Some(ScaleUpPolicy::Step)),
        Some("demand") => Ok(Some(ScaleUpPolicy::Demand)),
        Some(other) => Err(format!("`scaleUpPolicy: {other}` is not known; use `step` or `demand`")),
    }
}

fn for_all(fields: &mut Fields) -> Result<ForAll, String> {
    let name = fields.text(&["analyzerName"]);
    let up = fields.share("scaleUpThreshold");
    let down = fields.share("scaleDownBoundary");
    let limiter = fields.bool("enableLimiter")?.unwrap_or(false);
    let analyzer = match name.as_deref() {
        // The two shares are of no account to it, whatever they are.
        None | Some("threshold") => Analyzer::Threshold,
        Some("saturation") => {
            // 0 stands for "not set", as in the controllers before this one.
            let given = |share: Option<f64>, default| share.filter(|share| *share > 0.0).unwrap_or(default);
            let TokenThresholds { scale_up_threshold, scale_down_boundary } = TokenThresholds::default();
            let (up, down) = (given(up?, scale_up_threshold), given(down?, scale_down_boundary));
            if up <= down {
                return Err(format!("`scaleUpThreshold` ({up}) is not greater than `scaleDownBoundary` ({down})"));
            }
            Analyzer::Saturation(TokenThresholds { scale_up_threshold: up, scale_down_boundary: down })
        }
        Some(other) => {
            return Err(format!("`analyzerName: {other}` is not known; use `threshold` or `saturation`"));
        }
    };
    Ok(ForAll { analyzer, limiter })
}
