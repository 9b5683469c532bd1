//! A user's values: files and settings, merged in the order they are given, and then over the chart's defaults.

mod coalesce;
mod set;

use serde_json::{Map, Value as Json};

pub use coalesce::NotATable;
pub(crate) use coalesce::{Nulls, layer, over_defaults, tables};

use crate::{numbers, yaml};

/// Why a value cannot be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A values file is not YAML, or not a map.
    #[error("values file {file}: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// A setting does not follow the grammar.
    #[error("failed parsing {flag} data {input:?}: {message}")]
    Set {
        /// The flag: `--set`, `--set-string`, `--set-file`, `--set-json` or `--set-literal`.
        flag: &'static str,
        /// What was given.
        input: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Values as given by the user; `null` stands for "drop the chart's default".
///
/// Helm applies all files first, then `--set-json`, `--set`, `--set-string`, `--set-file` and `--set-literal`; who builds
/// `Values` by hand calls the methods in that order to get the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    tree: Map<String, Json>,
}

impl Values {
    /// No values: the chart's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values built in code.
    pub fn from_json(tree: Map<String, Json>) -> Self {
        Self { tree }
    }

    /// What was given so far.
    pub fn tree(&self) -> &Map<String, Json> {
        &self.tree
    }

    pub(crate) fn into_tree(self) -> Map<String, Json> {
        self.tree
    }

    /// A values file (`-f`); `file` is its name in errors. Every number becomes a float, as in Helm.
    pub fn merge_yaml(&mut self, file: &str, text: &str) -> Result<&mut Self, Error> {
        let failed = |message: &str| Error::File { file: file.to_owned(), message: message.to_owned() };
        let map = documents(text).map_err(|message| failed(&message))?;
        coalesce::layer(&mut self.tree, map);
        Ok(self)
    }

    /// `--set a.b=1,c={x,y}`: integers, booleans and null are recognised.
    pub fn set(&mut self, input: &str) -> Result<&mut Self, Error> {
        self.apply("--set", input, &|text| Ok(typed(text)))
    }

    /// `--set-string a=1`: every value is a string.
    pub fn set_string(&mut self, input: &str) -> Result<&mut Self, Error> {
        self.apply("--set-string", input, &|text| Ok(Json::from(text)))
    }

    /// `--set-file a=path`: the value is what `read` gives for the path.
    pub fn set_file(
        &mut self,
        input: &str,
        read: &dyn Fn(&str) -> std::io::Result<String>,
    ) -> Result<&mut Self, Error> {
        self.apply("--set-file", input, &|path| {
            read(path).map(Json::from).map_err(|error| format!("open {path}: {error}"))
        })
    }

    /// `--set-json a={"b":1}`, or a whole JSON object of values.
    pub fn set_json(&mut self, input: &str) -> Result<&mut Self, Error> {
        let failed = |message: String| Error::Set { flag: "--set-json", input: input.to_owned(), message };
        if input.trim_start().starts_with('{') {
            let mut map: Map<String, Json> = serde_json::from_str(input).map_err(|error| failed(error.to_string()))?;
            map.values_mut().for_each(numbers::widen);
            coalesce::layer(&mut self.tree, map);
        } else {
            set::apply_json(&mut self.tree, input).map_err(failed)?;
        }
        Ok(self)
    }

    /// `--set-literal a=text`: everything behind the first `=` is the value, as it stands.
    pub fn set_literal(&mut self, input: &str) -> Result<&mut Self, Error> {
        set::apply_literal(&mut self.tree, input).map_err(|message| Error::Set {
            flag: "--set-literal",
            input: input.to_owned(),
            message,
        })?;
        Ok(self)
    }

    fn apply(&mut self, flag: &'static str, input: &str, read: set::Read<'_>) -> Result<&mut Self, Error> {
        set::apply(&mut self.tree, input, read).map_err(|message| Error::Set {
            flag,
            input: input.to_owned(),
            message,
        })?;
        Ok(self)
    }
}

/// The values of a YAML text, every number a float; of several documents a later one goes over those before.
pub(crate) fn documents(text: &str) -> Result<Map<String, Json>, String> {
    let mut values = Map::new();
    for document in yaml::documents(text) {
        match yaml::parse(document)? {
            Json::Object(mut map) => {
                map.values_mut().for_each(numbers::widen);
                coalesce::layer(&mut values, map);
            }
            Json::Null => {}
            _ => return Err("must be a map of values".to_owned()),
        }
    }
    Ok(values)
}

/// Values that look like integers, booleans or null become those.
fn typed(text: &str) -> Json {
    if text.eq_ignore_ascii_case("true") {
        return Json::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Json::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Json::Null;
    }
    if text == "0" {
        return Json::from(0);
    }
    match text.parse::<i64>() {
        Ok(integer) if !text.starts_with('0') => Json::from(integer),
        _ => Json::from(text),
    }
}
