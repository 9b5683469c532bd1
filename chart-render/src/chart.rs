//! A chart: from a directory, from an archive, or the project's own, which is part of the binary.

mod archive;
mod directory;
mod ignore;
pub(crate) mod metadata;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use metadata::Metadata;

/// The files of `charts/workload-variant-autoscaler`.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded_chart.rs"));

/// Why a chart cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the chart cannot be read.
    #[error("read chart {}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The directory holds no `Chart.yaml`.
    #[error("{0} is no chart: it holds no Chart.yaml")]
    NoChart(String),
    /// A file of the chart is not YAML, or not what it has to be.
    #[error("chart {chart}: {file}: {message}")]
    Invalid {
        /// The chart.
        chart: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// A dependency under `charts/` cannot be read.
    #[error("chart {chart}: unpack subchart {subchart}")]
    Subchart {
        /// The chart.
        chart: String,
        /// The entry of `charts/`.
        subchart: String,
        /// Why not.
        source: Box<Self>,
    },
    /// A library chart was asked for by itself.
    #[error("chart {0} is a library, which other charts use; it cannot be installed by itself")]
    Library(String),
    /// `Chart.yaml` names dependencies that `charts/` does not hold.
    #[error(
        "chart {chart} needs {}, which its charts/ directory does not hold: run `helm dependency build` first",
        missing.join(", ")
    )]
    Missing {
        /// The chart.
        chart: String,
        /// Names of the dependencies.
        missing: Vec<String>,
    },
    /// The chart needs something that this renderer lacks.
    #[error("chart {chart}: chart-render does not support {feature}; render this chart with helm")]
    Unsupported {
        /// The chart.
        chart: String,
        /// What it needs.
        feature: String,
    },
}

/// A text file of a chart.
#[derive(Clone, Debug)]
pub struct ChartFile {
    /// Path inside the chart, with `/`.
    pub path: String,
    /// Content.
    pub text: String,
}

/// A chart ready to render, with its dependencies.
#[derive(Clone, Debug)]
pub struct Chart {
    pub(crate) metadata: Metadata,
    values: Map<String, Json>,
    schema: Option<String>,
    templates: Vec<ChartFile>,
    crds: Vec<ChartFile>,
    files: Arc<BTreeMap<String, Vec<u8>>>,
    subcharts: Vec<Self>,
}

impl Chart {
    /// The chart of this project, as it was when the binary was built.
    pub fn embedded() -> Result<Self, Error> {
        Self::from_files("embedded chart", Self::embedded_files().map(|(path, data)| (path.to_owned(), data.to_vec())))
    }

    /// The files of [`Chart::embedded`] by their path inside the chart.
    pub fn embedded_files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
        EMBEDDED.iter().copied()
    }

    /// A chart directory, or a `.tgz` archive of one. Symbolic links are followed; `.helmignore` is obeyed in a
    /// directory; files named in no way special end up in `.Files`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let files = if path.is_file() { archive::open(path)? } else { directory::collect(path)? };
        let chart = Self::from_files(&origin, files)?;
        // Of the charts below it, helm does not ask: it reads whatever they say as one of its own.
        match chart.metadata.text("apiVersion") {
            "v1" | "v2" => Ok(chart),
            other => {
                let feature = format!("charts of apiVersion {other}");
                Err(Error::Unsupported { chart: chart.name().to_owned(), feature })
            }
        }
    }

    /// Name of the chart.
    pub fn name(&self) -> &str {
        self.metadata.text("name")
    }

    /// Version of the chart.
    pub fn version(&self) -> &str {
        self.metadata.text("version")
    }

    /// `appVersion`, empty when the chart names none.
    pub fn app_version(&self) -> &str {
        self.metadata.text("appVersion")
    }

    /// The defaults of `values.yaml`.
    pub fn values(&self) -> &Map<String, Json> {
        &self.values
    }

    /// `values.schema.json`, if the chart has one.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The files of `crds/`, in order of their path, without those of dependencies.
    pub fn crds(&self) -> &[ChartFile] {
        &self.crds
    }

    /// The charts under `charts/`.
    pub fn subcharts(&self) -> &[Self] {
        &self.subcharts
    }

    /// Whether the chart only lends its definitions to others.
    pub fn is_library(&self) -> bool {
        self.metadata.text("type") == "library"
    }

    pub(crate) fn templates(&self) -> &[ChartFile] {
        &self.templates
    }

    pub(crate) fn files(&self) -> &Arc<BTreeMap<String, Vec<u8>>> {
        &self.files
    }

    pub(crate) fn kube_version(&self) -> Option<&str> {
        Some(self.metadata.text("kubeVersion")).filter(|constraint| !constraint.is_empty())
    }

    /// What helm checks before it installs: no library, and every named dependency is there.
    pub(crate) fn check_installable(&self) -> Result<(), Error> {
        if self.is_library() {
            return Err(Error::Library(self.name().to_owned()));
        }
        let there = |name: &str| self.subcharts.iter().any(|subchart| subchart.name() == name);
        let missing: Vec<String> = self
            .metadata
            .dependencies
            .iter()
            .filter(|dependency| !there(&dependency.name))
            .map(|dependency| dependency.name.clone())
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::Missing { chart: self.name().to_owned(), missing }) }
    }
}
