//! State of the metrics behind a decision.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::snapshot::Source;

/// State of the metrics behind a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Evidence {
    /// Every ready pod has fresh readings.
    Complete,
    /// There are no readings at all.
    Missing,
    /// There are none that say which pod they are of.
    Unlabelled {
        /// Labels of those that do not.
        labels: Vec<String>,
    },
    /// Some ready pods have no readings.
    Partial {
        /// Those pods, sorted.
        pods: Vec<String>,
    },
    /// Readings are there but too old.
    Stale {
        /// Age of the oldest.
        age: SignedDuration,
    },
    /// The metric source did not answer.
    SourceFailed {
        /// Why, in words for a person.
        message: String,
    },
    /// The pods report other models than the variant names.
    ModelNotServed {
        /// What they report, sorted.
        reported: Vec<String>,
    },
}

impl Evidence {
    /// What is known in the end of a model of which the source said so much.
    pub(crate) fn with(self, source: &Source) -> Self {
        match (self, source) {
            (_, Source::Failed { message }) => Self::SourceFailed { message: message.clone() },
            (Self::Missing, Source::Unlabelled { labels }) => Self::Unlabelled { labels: labels.clone() },
            (evidence, Source::Answered | Source::Unlabelled { .. }) => evidence,
        }
    }

    /// Whether there are no readings at all.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing | Self::Unlabelled { .. })
    }

    /// Class of the evidence, from a closed set: safe as a metric label.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Missing => "missing",
            Self::Unlabelled { .. } => "unlabelled",
            Self::Partial { .. } => "partial",
            Self::Stale { .. } => "stale",
            Self::SourceFailed { .. } => "source_failed",
            Self::ModelNotServed { .. } => "model_not_served",
        }
    }
}

/// Pods named in a sentence before the rest is only counted: a model may have hundreds.
const NAMED: usize = 3;

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("every ready pod has fresh metrics"),
            Self::Missing => f.write_str("no pod has metrics"),
            Self::Unlabelled { labels } => write!(
                f,
                "the model has metrics, but no labels name their pods: of namespace and pod at least one is missing, and the \
                 labels are {}; set both by relabelling where the pods are scraped",
                labels.join(", ")
            ),
            Self::Partial { pods } => {
                let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "ready pods without fresh metrics: {named}")?;
                match pods.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Stale { age } => write!(f, "the metrics are too old: {age:#}"),
            Self::SourceFailed { message } => write!(f, "the metric source did not answer: {message}"),
            Self::ModelNotServed { reported } => {
                write!(f, "the pods report another model: {}", reported.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::missing(Evidence::Missing, "no pod has metrics")]
    #[case::few_pods(Evidence::Partial { pods: names(&["a", "b"]) }, "ready pods without fresh metrics: a, b")]
    #[case::many_pods(
        Evidence::Partial { pods: names(&["a", "b", "c", "d", "e"]) },
        "ready pods without fresh metrics: a, b, c and 2 more"
    )]
    #[case::stale(Evidence::Stale { age: SignedDuration::from_secs(150) }, "the metrics are too old: 2m 30s")]
    #[case::source(
        Evidence::SourceFailed { message: "connection refused".into() },
        "the metric source did not answer: connection refused"
    )]
    #[case::other_model(Evidence::ModelNotServed { reported: names(&["gpt-x"]) }, "the pods report another model: gpt-x")]
    fn evidence_reads_as_one_sentence(#[case] evidence: Evidence, #[case] sentence: &str) {
        assert_eq!(evidence.to_string(), sentence);
    }
}
