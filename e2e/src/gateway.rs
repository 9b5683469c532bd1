//! A gateway in front of model servers: an `InferencePool` with an emulated endpoint picker, and variants behind it.

use serde_json::json;

use crate::manifest;

/// The `InferencePool` kind of both API groups.
pub const KINDS: &str = include_str!("../manifests/inferencepools.yaml");

/// A pool for all servers of a namespace, and its picker.
///
/// # Errors
/// When the template is wrong, which would be a bug.
pub fn pool(namespace: &str, name: &str) -> Result<String, manifest::Error> {
    let data = json!({ "namespace": namespace, "name": name });
    manifest::render("gateway.yaml", include_str!("../manifests/gateway.yaml.hbs"), &data)
}

/// A variant whose Deployment has its name, followed by an HPA.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Variant<'a> {
    /// Name.
    pub name: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Model.
    pub model_id: &'a str,
    /// Accelerator.
    pub accelerator: &'a str,
    /// Cost of a replica.
    pub cost: &'a str,
    /// Fewest replicas of the HPA.
    pub min: u32,
    /// Most replicas of the HPA.
    pub max: u32,
    /// Instance that is to manage it; empty for the controller without an id.
    pub instance: &'a str,
}

impl Variant<'_> {
    /// The manifests.
    ///
    /// # Errors
    /// When the template is wrong, which would be a bug.
    pub fn manifest(&self) -> Result<String, manifest::Error> {
        manifest::render("variant.yaml", include_str!("../manifests/variant.yaml.hbs"), self)
    }
}

/// What has all model servers of a namespace scraped.
///
/// # Errors
/// When the template is wrong, which would be a bug.
pub fn monitored(namespace: &str) -> Result<String, manifest::Error> {
    let data = json!({ "namespace": namespace });
    manifest::render("monitored.yaml", include_str!("../manifests/monitored.yaml.hbs"), &data)
}
