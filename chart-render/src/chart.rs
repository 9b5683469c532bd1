//! A chart: from a directory, from an archive, or the project's own, which is part of the binary.

mod archive;
mod directory;
mod ignore;
pub(crate) mod metadata;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::{values, yaml};
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
        Self::from_files("embedded chart", EMBEDDED.iter().map(|(path, data)| ((*path).to_owned(), data.to_vec())))
    }

    /// A chart directory, or a `.tgz` archive of one. Symbolic links are followed; `.helmignore` is obeyed in a
    /// directory; files named in no way special end up in `.Files`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let origin = path.display().to_string();
        let files = if path.is_file() { archive::open(path)? } else { directory::collect(path)? };
        Self::from_files(&origin, files)
    }

    /// A chart of files given by their path inside the chart.
    pub fn from_files(origin: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, Error> {
        let mut files: BTreeMap<String, Vec<u8>> =
            files.into_iter().map(|(path, data)| (path, without_bom(data))).collect();
        let chart_yaml = files.remove("Chart.yaml").ok_or_else(|| Error::NoChart(origin.to_owned()))?;
        let fields = read_map(origin, "Chart.yaml", &chart_yaml)?;
        let mut metadata = Metadata::read(fields).map_err(|message| invalid(origin, "Chart.yaml", message))?;
        let name = metadata.text("name").to_owned();
        if !matches!(metadata.text("apiVersion"), "v1" | "v2") {
            let feature = format!("charts of apiVersion {}", metadata.text("apiVersion"));
            return Err(Error::Unsupported { chart: name, feature });
        }
        if let Some(data) = files.get("requirements.yaml") {
            let mut fields = read_map(&name, "requirements.yaml", data)?;
            metadata
                .read_dependencies(&mut fields)
                .and_then(|()| metadata.check())
                .map_err(|message| invalid(&name, "requirements.yaml", message))?;
        }
        if metadata.text("apiVersion") != "v1" {
            files.retain(|path, _| !matches!(path.as_str(), "requirements.yaml" | "requirements.lock"));
        }

        let values = match files.remove("values.yaml") {
            Some(data) => values::documents(&text_of(&name, "values.yaml", data)?)
                .map_err(|message| invalid(&name, "values.yaml", message))?,
            None => Map::new(),
        };
        let schema =
            files.remove("values.schema.json").map(|data| text_of(&name, "values.schema.json", data)).transpose()?;
        files.remove("Chart.lock");

        let mut chart = Self {
            metadata,
            values,
            schema,
            templates: Vec::new(),
            crds: Vec::new(),
            files: Arc::default(),
            subcharts: Vec::new(),
        };
        let mut others = BTreeMap::new();
        let mut subcharts: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
        for (path, data) in files {
            if path.starts_with("templates/") {
                chart.templates.push(ChartFile { text: text_of(&name, &path, data)?, path });
            } else if let Some(inner) = path.strip_prefix("charts/").filter(|_| !has_extension(&path, &["prov"])) {
                let entry = inner.split('/').next().unwrap_or(inner).to_owned();
                subcharts.entry(entry).or_default().push((inner.to_owned(), data));
            } else {
                if path.starts_with("crds/") && has_extension(&path, &["yaml", "yml", "json"]) {
                    chart.crds.push(ChartFile { text: text_of(&name, &path, data.clone())?, path: path.clone() });
                }
                others.insert(path, data);
            }
        }
        chart.files = Arc::new(others);
        for (entry, files) in subcharts {
            if entry.starts_with(['_', '.']) {
                continue;
            }
            let subchart = Self::from_entry(&entry, files);
            chart.subcharts.push(subchart.map_err(|source| Error::Subchart {
                chart: name.clone(),
                subchart: entry,
                source: Box::new(source),
            })?);
        }
        Ok(chart)
    }

    /// One entry of `charts/`: an archive or a directory.
    fn from_entry(entry: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self, Error> {
        if has_extension(entry, &["tgz"]) {
            let data = files.into_iter().find(|(path, _)| path == entry).map(|(_, data)| data).unwrap_or_default();
            return Self::from_files(entry, archive::unpack(entry, &data[..])?);
        }
        let inside = |(path, data): (String, Vec<u8>)| path.split_once('/').map(|(_, rest)| (rest.to_owned(), data));
        Self::from_files(entry, files.into_iter().filter_map(inside))
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

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    let found = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    found.is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

/// Windows editors begin a file with a mark that YAML does not expect.
fn without_bom(mut data: Vec<u8>) -> Vec<u8> {
    if data.starts_with(b"\xef\xbb\xbf") {
        data.drain(..3);
    }
    data
}

fn invalid(chart: &str, file: &str, message: impl Into<String>) -> Error {
    Error::Invalid { chart: chart.to_owned(), file: file.to_owned(), message: message.into() }
}

fn text_of(chart: &str, file: &str, data: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(data).map_err(|_| invalid(chart, file, "is not UTF-8"))
}

fn read_map(chart: &str, file: &str, data: &[u8]) -> Result<Map<String, Json>, Error> {
    let text = text_of(chart, file, data.to_vec())?;
    match yaml::parse(&text).map_err(|message| invalid(chart, file, message))? {
        Json::Object(map) => Ok(map),
        Json::Null => Ok(Map::new()),
        _ => Err(invalid(chart, file, "must be a map")),
    }
}
