//! Renders a Helm chart to manifests in Rust, equal to `helm template`, byte for byte.
//!
//! A chart is loaded from a directory or taken from the binary ([`Chart`]). The user's files and settings are merged
//! ([`Values`]) over the chart's defaults and checked against its schema. Each template is parsed by gotmpl and
//! executed here with Helm's functions; the texts are split into documents, sorted as helm installs them and handed
//! back both as text and as objects ([`render`]).
//!
//! ```
//! use chart_render::{Chart, Options, Release, Values, render};
//!
//! let chart = Chart::embedded()?;
//! let mut values = Values::new();
//! values.set("wva.controllerInstance=team-a,controller.enabled=false")?;
//! let rendered = render(&chart, values, &Release::new("llama", "team-a"), &Options::default())?;
//! let kinds: Vec<&str> = rendered.manifests.iter().map(|manifest| manifest.kind()).collect();
//! assert!(kinds.contains(&"VariantAutoscaling"));
//! # Ok::<(), chart_render::Error>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`chart`] | files of a chart, from disk or from the binary |
//! | [`values`] | `-f`, `--set…`, merging, nulls |
//! | `numbers`, `gofmt` | how Go prints numbers and formats text |
//! | `yaml` | YAML 1.1 in, go-yaml's layout out |
//! | `toml` | TOML as Go writes it |
//! | `value`, `engine`, `eval` | template values, the set of templates, their execution |
//! | `funcs` | the functions templates call |
//! | `quirks` | Helm's oddities, each by name |
//! | [`schema`] | `values.schema.json` |
//! | [`manifest`] | documents, hooks, order of installation |
//! | [`output`] | the text of `helm template` |
//! | [`Cluster`] | what `lookup` and `.Capabilities` say where there is a cluster |
//! | `tree`, `scope` | dependencies that are switched on, and what their templates see |
//! | [`check`] | whether releases get into each other's way |
//! | [`profile`], [`fleet`] | values of the usual installs, and whole fleets of them |

mod bytes;
mod capabilities;
pub mod chart;
pub mod check;
pub mod cli;
mod cluster;
mod decimal;
mod engine;
mod eval;
pub mod fault;
pub mod fleet;
mod funcs;
mod glob;
mod gofmt;
mod golit;
mod gotime;
pub mod manifest;
mod numbers;
pub mod output;
pub mod profile;
mod quirks;
mod render;
pub mod schema;
mod scope;
mod semver;
mod toml;
mod tree;
mod value;
pub mod values;
mod yaml;

pub use capabilities::{InvalidKubeVersion, KubeVersion};
pub use chart::{Chart, ChartFile};
pub use cluster::{Cluster, Lookup, Wanted};
pub use manifest::Manifest;
pub use output::Selection;
pub use render::{Error, Options, Release, Rendered, release_name, render};
pub use values::Values;
