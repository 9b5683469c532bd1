//! YAML as Helm reads and writes it: YAML 1.1 on the way in (`yes` is true, `0644` is 420), go-yaml's layout on the
//! way out.

mod compose;
mod document;
mod emit;
mod quick;
mod resolve;
mod shape;
mod word;

pub(crate) use document::{documents, parse};
pub(crate) use emit::{to_yaml, to_yaml_pretty};
