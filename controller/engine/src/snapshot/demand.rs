//! What is asked of a model as a whole.

use serde::{Deserialize, Serialize};

use super::Reading;

/// What is asked of a model as a whole: what tells an idle model from one nobody has readings of. `None` is unknown,
/// never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Demand {
    /// Requests completed within the retention of the model's [`ZeroPolicy`](crate::settings::ZeroPolicy), by the
    /// servers' counters. The engine takes care of a counter that appears: from the moment one is there for the first
    /// time, a whole retention must pass.
    pub completed: Option<Reading>,
    /// Requests the servers work on now, over all pods of the model.
    pub running: Option<Reading>,
    /// Requests that wait in the servers, over all pods of the model.
    pub waiting: Option<Reading>,
    /// Requests that wait before the servers.
    pub gateway: Gateway,
    /// Requests that arrive for the model per second, for the proactive mode.
    pub arrival_rate: Option<Reading>,
}

/// Requests that wait at the inference gateway (the endpoint picker's flow control).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gateway {
    /// It is not known whether requests wait: its metrics could not be read.
    #[default]
    Unknown,
    /// No gateway queues requests for this model (no `InferencePool` selects its pods), so none can wait there.
    None,
    /// This many wait.
    Queued(Reading),
}
