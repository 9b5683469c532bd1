//! YAML as Helm reads and writes it: YAML 1.1 on the way in (`yes` is true, `0644` is 420), go-yaml's layout on the
//! way out.

mod document;
mod emit;
mod resolve;
mod shape;

pub(crate) use document::{documents, parse};
pub(crate) use emit::{to_yaml, to_yaml_pretty};
