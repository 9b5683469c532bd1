//! The project's chart, rendered for one release: the only place that knows the renderer.

use std::fs;
use std::io;
use std::path::PathBuf;

use chart_render::{Chart, Options, Release, Rendered, Selection, Values};
use serde_json::{Map, Value};

/// The chart could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of `--values` cannot be read.
    #[error("could not read the values file {}: {source}", path.display())]
    ValuesFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `--values` or `--set` are malformed.
    #[error("could not take the values: {0}")]
    Values(#[from] chart_render::values::Error),
    /// The values of a usual install could not be written.
    #[error("could not write the values of the profile: {0}")]
    Profile(#[from] chart_render::profile::Error),
    /// The flags of a profile do not make values that the chart takes.
    #[error("{refused}: {}", source_of(refused))]
    Refused {
        /// What was refused; the chart's own words are its source.
        refused: chart_render::cli::Refused,
    },
    /// There is no such template.
    #[error("could not find what to show: {0}")]
    NoTemplate(#[from] chart_render::output::NotFound),
    /// The chart does not render with these values.
    #[error("could not render the chart: {0}")]
    Render(#[from] Box<chart_render::Error>),
}

impl Error {
    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ValuesFile { .. } | Self::Profile(_) | Self::Refused { .. } => None,
            Self::NoTemplate(_) => {
                Some("templates are named as helm names them, e.g. templates/model/hpa.yaml".to_owned())
            }
            Self::Values(_) => Some("values are given as to helm: --set key.sub=value, --values FILE".to_owned()),
            Self::Render(_) => Some("the chart's README.md lists its values".to_owned()),
        }
    }
}

fn source_of(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

/// The values of a profile, of `--values` files and of `--set` strings, merged as helm does: each over the one before.
///
/// # Errors
/// When a file or a string cannot be read.
pub fn values(profile: Option<&str>, files: &[PathBuf], sets: &[String]) -> Result<Values, Error> {
    let mut values = Values::new();
    if let Some(text) = profile {
        values.merge_yaml("the profile", text)?;
    }
    for path in files {
        let text = fs::read_to_string(path).map_err(|source| Error::ValuesFile { path: path.clone(), source })?;
        values.merge_yaml(&path.display().to_string(), &text)?;
    }
    for set in sets {
        values.set(set)?;
    }
    Ok(values)
}

/// Renders the chart that is part of this program, as `helm template NAME <chart> -n NAMESPACE` would.
///
/// # Errors
/// When it does not render with these values.
pub fn render(release: &str, namespace: &str, values: Map<String, Value>) -> Result<Rendered, Error> {
    let chart = chart()?;
    let release = Release::new(release, namespace);
    let rendered = chart_render::render(&chart, Values::from_json(values), &release, &Options::default());
    Ok(rendered.map_err(Box::new)?)
}

/// The objects as text, as `helm template` prints them.
pub fn text(rendered: &Rendered) -> String {
    // Only a selection of single templates can fail.
    rendered.to_text(&Selection::default()).unwrap_or_default()
}

/// The chart that is part of this program.
///
/// # Errors
/// When it is broken, which a test of the renderer rules out.
pub fn chart() -> Result<Chart, Error> {
    Ok(Chart::embedded().map_err(|error| Box::new(chart_render::Error::from(error)))?)
}

/// Lays `layer` over `values`: maps merge, anything else replaces.
pub fn overlay(values: &mut Map<String, Value>, layer: Value) {
    let Value::Object(layer) = layer else { return };
    for (key, value) in layer {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(below)), value @ Value::Object(_)) => overlay(below, value),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}
