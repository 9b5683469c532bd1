//! Sorts the files of a chart into what each of them is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::metadata::Metadata;
use super::{Chart, ChartFile, Error, archive};
use crate::{values, yaml};

impl Chart {
    /// A chart of files given by their path inside the chart.
    pub fn from_files(origin: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, Error> {
        let mut files: BTreeMap<String, Vec<u8>> =
            files.into_iter().map(|(path, data)| (path, without_bom(data))).collect();
        let chart_yaml = files.remove("Chart.yaml").ok_or_else(|| Error::NoChart(origin.to_owned()))?;
        let fields = read_map(origin, "Chart.yaml", &chart_yaml)?;
        let mut metadata = Metadata::read(fields).map_err(|message| invalid(origin, "Chart.yaml", message))?;
        let name = metadata.text("name").to_owned();
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
