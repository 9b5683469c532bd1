//! Values for the usual installs, written with handlebars: a controller, a model, both.
//!
//! The manifests have one source, the chart; what differs between installs is a handful of values, and these templates
//! are their one source.

use handlebars::{Handlebars, no_escape};
use serde::Serialize;

const VALUES: &str = include_str!("templates/values.yaml.hbs");

/// A template that does not render; a test of each rules it out.
#[derive(Debug, thiserror::Error)]
#[error("render {name} with handlebars")]
pub struct Error {
    /// What was rendered.
    pub name: &'static str,
    /// Why not.
    pub source: Box<handlebars::RenderError>,
}

/// What an install is to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Profile {
    /// First line of the values file.
    pub title: String,
    /// Whether the release holds a controller.
    pub controller: bool,
    /// Id of the controller instance; empty for the controller without an id.
    pub instance: String,
    /// Address of Prometheus, else the chart's default.
    pub prometheus: Option<String>,
    /// Namespaces to watch; empty for all.
    pub watch: Vec<String>,
    /// Short intervals, much log, certificates unchecked.
    pub development: bool,
    /// Bindings for OpenShift's monitoring.
    pub openshift: bool,
    /// The model of the release, if it holds one.
    pub model: Option<Model>,
}

/// A variant of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Name of the variant, which its pods carry as `llm-d.ai/model`.
    pub name: String,
    /// Namespace of its Deployment.
    pub namespace: String,
    /// Id that its servers report.
    pub id: String,
    /// Its Deployment; empty for `<name>-decode`.
    pub deployment: String,
    /// What its replicas run on.
    pub accelerator: String,
    /// Cost of one replica.
    pub cost: String,
    /// Fewest replicas; none for the chart's rule.
    pub min: Option<u32>,
    /// Most replicas.
    pub max: u32,
}

impl Profile {
    /// The values file.
    ///
    /// # Errors
    /// When the template is broken.
    pub fn values(&self) -> Result<String, Error> {
        render("values.yaml", VALUES, self)
    }
}

/// Renders one of the crate's own templates; `{{json x}}` writes a value so that YAML reads it back as it is.
pub(crate) fn render(name: &'static str, template: &str, data: &impl Serialize) -> Result<String, Error> {
    handlebars::handlebars_helper!(json: |value: Json| value.to_string());
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(no_escape);
    handlebars.register_helper("json", Box::new(json));
    handlebars.render_template(template, data).map_err(|source| Error { name, source: Box::new(source) })
}
