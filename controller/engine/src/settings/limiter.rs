//! Whether growth is limited by the GPUs there are.

use serde::{Deserialize, Serialize};

/// Whether growth is limited by the GPUs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Limiter {
    /// It is not.
    #[default]
    Off,
    /// It is, where GPUs are known.
    On {
        /// What holds for a variant whose GPUs are not known: there is no inventory, or its accelerator is not in it.
        on_unknown: FailMode,
    },
}

/// What a limit that is not known means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailMode {
    /// Nothing grows beyond what it has, or was promised before.
    #[default]
    Hold,
    /// There is no limit.
    Unlimited,
}
