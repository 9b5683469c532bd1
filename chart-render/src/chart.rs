//! A chart: from a directory, or the project's own, which is part of the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use crate::{numbers, yaml};

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

/// A chart ready to render.
#[derive(Clone, Debug)]
pub struct Chart {
    name: String,
    metadata: Map<String, Json>,
    values: Map<String, Json>,
    schema: Option<String>,
    templates: Vec<ChartFile>,
    crds: Vec<ChartFile>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Chart {
    /// The chart of this project, as it was when the binary was built.
    pub fn embedded() -> Result<Self, Error> {
        Self::from_files("embedded chart", EMBEDDED.iter().map(|(path, data)| ((*path).to_owned(), data.to_vec())))
    }

    /// A chart directory. Symbolic links are followed; files named in no way special end up in `.Files`.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, Error> {
        let root = directory.as_ref();
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        Self::from_files(&root.display().to_string(), files)
    }

    fn from_files(origin: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, Error> {
        let mut files: BTreeMap<String, Vec<u8>> = files.into_iter().collect();
        let chart_yaml = files.remove("Chart.yaml").ok_or_else(|| Error::NoChart(origin.to_owned()))?;
        let metadata = read_map(origin, "Chart.yaml", &chart_yaml)?;
        let required = |key: &str| match metadata.get(key).and_then(Json::as_str) {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(invalid(origin, "Chart.yaml", format!("chart.metadata.{key} is required"))),
        };
        let name = required("name")?;
        required("version")?;
        required("apiVersion")?;
        let unsupported = |feature: &str| Error::Unsupported { chart: name.clone(), feature: feature.to_owned() };
        if metadata.get("dependencies").is_some_and(|list| !list.is_null())
            || files.keys().any(|path| path.starts_with("charts/"))
        {
            return Err(unsupported("dependencies (subcharts)"));
        }
        if metadata.get("type").and_then(Json::as_str) == Some("library") {
            return Err(unsupported("library charts, which cannot be installed"));
        }

        let mut values = match files.remove("values.yaml") {
            Some(data) => read_map(&name, "values.yaml", &data)?,
            None => Map::new(),
        };
        values.values_mut().for_each(numbers::widen);
        let schema =
            files.remove("values.schema.json").map(|data| text_of(&name, "values.schema.json", data)).transpose()?;
        files.retain(|path, _| !matches!(path.as_str(), "Chart.lock" | ".helmignore"));

        let mut chart =
            Self { name, metadata, values, schema, templates: Vec::new(), crds: Vec::new(), files: BTreeMap::new() };
        for (path, data) in files {
            // Helm's built-in ignore rule: hidden files among the templates.
            let hidden = path.rsplit('/').next().is_some_and(|file| file.starts_with('.'));
            if path.starts_with("templates/") {
                if !hidden {
                    chart.templates.push(ChartFile { text: text_of(&chart.name, &path, data)?, path });
                }
            } else if path.starts_with("crds/") {
                if [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end)) {
                    chart.crds.push(ChartFile { text: text_of(&chart.name, &path, data)?, path });
                }
            } else {
                chart.files.insert(path, data);
            }
        }
        Ok(chart)
    }

    /// Name of the chart.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the chart.
    pub fn version(&self) -> &str {
        self.metadata.get("version").and_then(Json::as_str).unwrap_or_default()
    }

    /// `appVersion`, empty when the chart names none.
    pub fn app_version(&self) -> &str {
        self.metadata.get("appVersion").and_then(Json::as_str).unwrap_or_default()
    }

    /// The defaults of `values.yaml`.
    pub fn values(&self) -> &Map<String, Json> {
        &self.values
    }

    /// `values.schema.json`, if the chart has one.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The files of `crds/`, in order of their path.
    pub fn crds(&self) -> &[ChartFile] {
        &self.crds
    }

    pub(crate) fn templates(&self) -> &[ChartFile] {
        &self.templates
    }

    pub(crate) fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    pub(crate) fn kube_version(&self) -> Option<&str> {
        self.metadata.get("kubeVersion").and_then(Json::as_str)
    }

    /// `.Chart`: every field of Helm's metadata, with Go's zero values for what the chart leaves out.
    pub(crate) fn dot_chart(&self) -> Json {
        let text = |key: &str| self.metadata.get(key).cloned().unwrap_or_else(|| json!(""));
        let list = |key: &str| self.metadata.get(key).cloned().unwrap_or_else(|| json!([]));
        json!({
            "APIVersion": text("apiVersion"), "AppVersion": text("appVersion"), "Condition": text("condition"),
            "Description": text("description"), "Home": text("home"), "Icon": text("icon"), "Name": text("name"),
            "KubeVersion": text("kubeVersion"), "Tags": text("tags"), "Type": text("type"), "Version": text("version"),
            "Dependencies": list("dependencies"), "Keywords": list("keywords"),
            "Maintainers": list("maintainers"), "Sources": list("sources"),
            "Annotations": self.metadata.get("annotations").cloned().unwrap_or(Json::Null),
            "Deprecated": self.metadata.get("deprecated").cloned().unwrap_or(Json::Bool(false)),
            "IsRoot": true,
        })
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push((name, fs::read(&path).map_err(failed(&path))?));
        }
    }
    Ok(())
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
