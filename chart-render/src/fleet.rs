//! A fleet in one short file: which controllers there are, what each watches, which models each scales.
//!
//! [`Fleet::read`] takes the file apart, strictly; [`Fleet::plan`] makes one release of every controller and of every
//! variant of a model, checks that they get on with one another, and [`Plan::write`] writes values files, manifests, a
//! helmfile and a script.

mod plan;
mod problems;
mod write;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

pub use plan::{Error, Install, Plan};
pub use write::Charts;

/// A fleet file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("read fleet {origin}: {message}")]
pub struct Unreadable {
    /// The file.
    pub origin: String,
    /// What is wrong, and where.
    pub message: String,
}

/// The description of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// Address of Prometheus, for controllers that name none.
    #[serde(default)]
    pub prometheus: Option<String>,
    /// The controllers.
    pub controllers: Vec<Controller>,
    /// The models.
    #[serde(default)]
    pub models: Vec<Model>,
}

/// One controller.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// Name of the release.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Id of the instance; a fleet may have one controller without.
    #[serde(default)]
    pub instance: Option<String>,
    /// Namespaces to watch; all when left out.
    #[serde(default)]
    pub watch: Vec<String>,
    /// Address of Prometheus.
    #[serde(default)]
    pub prometheus: Option<String>,
    /// Whether it runs on OpenShift.
    #[serde(default)]
    pub openshift: bool,
    /// Further values of the chart.
    #[serde(default)]
    pub values: BTreeMap<String, Json>,
}

/// One model, which runs as one or more variants.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Id that its servers report.
    pub id: String,
    /// Namespace of its Deployments.
    pub namespace: String,
    /// Release name of the controller that scales it, or `namespace/name`; may be left out when there is only one.
    #[serde(default)]
    pub controller: Option<String>,
    /// The variants.
    pub variants: Vec<Variant>,
}

/// A model on one kind of accelerator.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name of the variant and of its release.
    pub name: String,
    /// The Deployment; `<name>-decode` when left out.
    #[serde(default)]
    pub deployment: Option<String>,
    /// What a replica runs on, such as `H100`.
    pub accelerator: String,
    /// Cost of one replica; 10 when left out.
    #[serde(default)]
    pub cost: Option<f64>,
    /// Fewest replicas.
    #[serde(default)]
    pub min: Option<u32>,
    /// Most replicas.
    pub max: u32,
    /// Further values of the chart.
    #[serde(default)]
    pub values: BTreeMap<String, Json>,
}

impl Fleet {
    /// Reads a fleet file. An unknown field, a missing one or one of another type is an error with its place.
    ///
    /// # Errors
    /// When the file does not follow the format.
    pub fn read(origin: &str, text: &str) -> Result<Self, Unreadable> {
        if crate::yaml::parse(text).is_ok_and(|document| document.is_null()) {
            let message = "the file is empty; it needs `controllers` and `models`, see docs/fleet.md".to_owned();
            return Err(Unreadable { origin: origin.to_owned(), message });
        }
        serde_saphyr::from_str(text)
            .map_err(|error| Unreadable { origin: origin.to_owned(), message: error.to_string() })
    }
}

impl Variant {
    /// The Deployment to scale.
    pub fn target(&self) -> String {
        self.deployment.clone().unwrap_or_else(|| format!("{}-decode", self.name))
    }
}
