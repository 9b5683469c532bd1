//! Which idle models are put to sleep.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::PerModel;

/// Policies of all models.
pub type ZeroPolicies = PerModel<ZeroPolicy>;

/// Whether and when an idle model is scaled to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZeroPolicy {
    /// Whether an idle model is scaled to zero at all. Waking one does not depend on it.
    pub enabled: bool,
    /// How long nothing must have been asked of the model, and how long it must have been there and watched.
    pub retention: SignedDuration,
}

impl Default for ZeroPolicy {
    fn default() -> Self {
        Self { enabled: false, retention: SignedDuration::from_mins(10) }
    }
}
