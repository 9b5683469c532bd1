//! That a person holds a variant at a number of replicas.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the annotations of a variant say of a pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "value")]
pub enum PauseRequest {
    /// It is to be paused.
    Asked(Pause),
    /// They cannot be understood, and are not obeyed.
    Malformed(String),
}

/// A pause: until it ends, the published number is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pause {
    /// Replicas to hold; `None` holds what is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// When it ends by itself; `None` when only a person ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who asked for it, as they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, as they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl PauseRequest {
    /// The pause that holds at `now`, if one does.
    pub fn in_force(&self, now: Timestamp) -> Option<&Pause> {
        match self {
            Self::Asked(pause) => Some(pause).filter(|pause| pause.until.is_none_or(|until| now < until)),
            Self::Malformed(_) => None,
        }
    }
}

/// Who, until when and why, as a sentence goes on after "paused".
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replicas: _, until, by, why } = self;
        if let Some(by) = by {
            write!(f, " by {by}")?;
        }
        if let Some(until) = until {
            write!(f, " until {until:.0}")?;
        }
        if let Some(why) = why {
            write!(f, " ({why})")?;
        }
        Ok(())
    }
}
