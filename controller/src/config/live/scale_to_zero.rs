//! An entry of a scale-to-zero ConfigMap.

use std::time::Duration;

use super::config_map_entries::Entry;
use super::fields::Fields;

/// What an entry says of a model's way to zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaleToZero {
    /// Whether the idle model goes to zero.
    pub enabled: Option<bool>,
    /// For how long it must have been idle.
    pub retention: Option<Duration>,
}

impl Entry for ScaleToZero {
    const KIND: &'static str = "scale-to-zero";
    const NEEDS_NAMESPACE: bool = false;

    fn read(fields: &mut Fields, _counts_for_all: bool) -> Result<Self, String> {
        Ok(Self { enabled: fields.bool("enable_scale_to_zero")?, retention: fields.duration("retention_period")? })
    }
}
