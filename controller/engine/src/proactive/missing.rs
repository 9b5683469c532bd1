//! Why a rate asks for nothing: what is not known, or cannot be kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why there is no forecast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "what")]
pub enum Missing {
    /// It is not known at which rate requests arrive.
    Rate,
    /// It is not known how long prompts and answers are.
    Lengths,
    /// Nothing was promised to the users of the model.
    Promise,
    /// It is not known how fast the model is on an accelerator.
    Profile {
        /// The accelerator.
        accelerator: String,
    },
    /// The promise is tighter than what a replica gives without load.
    Feasible {
        /// The accelerator.
        accelerator: String,
    },
    /// The profile gives no rate: it is out of range.
    Sense {
        /// The accelerator.
        accelerator: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("the rate at which requests arrive is not known"),
            Self::Lengths => f.write_str("the lengths of prompts and answers are not known"),
            Self::Promise => f.write_str("no service class promises anything for the model"),
            Self::Profile { accelerator } => {
                write!(f, "no profile says how fast the model is on {accelerator}, and it is not learnt yet")
            }
            Self::Feasible { accelerator } => {
                write!(f, "what was promised is tighter than what an idle replica on {accelerator} gives")
            }
            Self::Sense { accelerator } => write!(f, "the profile of the model on {accelerator} gives no rate"),
        }
    }
}
