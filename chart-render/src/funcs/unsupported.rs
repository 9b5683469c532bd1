//! Functions that Helm has and we refuse: `call`, for which charts have no functions.
//!
//! A chart that needs one is told so by name.

use crate::fault::Fault;

pub(super) const NAMES: &[&str] = &["call"];

pub(super) fn refuse(name: &str) -> Fault {
    Fault::new(format!("chart-render does not support the template function {name:?}; render this chart with helm"))
}
