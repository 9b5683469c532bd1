//! What is told of a request beside its answer: warnings to the caller, annotations to the audit log.

use std::collections::BTreeMap;

/// Gathered while a request is carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remarks {
    /// What the caller should know about a request, whatever becomes of it.
    pub(super) warnings: Vec<String>,
    /// What admission leaves in the audit event.
    pub(super) annotations: BTreeMap<String, String>,
}
