//! What keeps a pod from running.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What keeps a pod from running, as far as the cluster says: waiting longer does not help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum Obstacle {
    /// The scheduler finds no node for it (condition `PodScheduled` is False).
    Unschedulable {
        /// Since when.
        since: Timestamp,
        /// What the scheduler says.
        message: String,
    },
    /// A container cannot be started, or ends again and again.
    Failing {
        /// As the kubelet names it, e.g. `ImagePullBackOff`.
        reason: String,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unschedulable { since: _, message } if message.is_empty() => f.write_str("cannot be scheduled"),
            Self::Unschedulable { since: _, message } => write!(f, "cannot be scheduled: {message}"),
            Self::Failing { reason } => write!(f, "cannot run: {reason}"),
        }
    }
}
