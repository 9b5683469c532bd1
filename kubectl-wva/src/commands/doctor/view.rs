//! The answer as data. Text and JSON are both made from it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Cause, Finding};
use crate::Verdict;

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorView {
    /// When the cluster was asked.
    pub as_of: Timestamp,
    /// Namespace looked at; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Variants looked at.
    pub variants: usize,
    /// Controllers looked at; absent when they could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controllers: Option<usize>,
    /// What was looked for, in order.
    pub checks: Vec<CheckView>,
    /// What was found, in the order of the checks.
    pub findings: Vec<Finding>,
    /// What is not right yet, and need not be so early.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starting: Vec<String>,
    /// Variants that a person holds at a number: nothing wrong, and the first thing to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<String>,
}

/// One cause that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// The cause.
    pub cause: Cause,
    /// What holds when it is not there.
    pub checked: &'static str,
    /// What came out.
    pub outcome: Outcome,
    /// Why it could not be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What came out of looking for a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is not there, or something found earlier hides it.
    Fine,
    /// It is there.
    Found,
    /// What tells it could not be read.
    Unknown,
}

impl DoctorView {
    /// What the exit code says: a problem weighs more than something that could not be read; advice weighs nothing.
    pub fn verdict(&self) -> Verdict {
        if self.findings.iter().any(|finding| finding.cause.is_problem()) {
            Verdict::Found
        } else if self.checks.iter().any(|check| check.outcome == Outcome::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Fine
        }
    }
}
