//! `Chart.yaml`: what a chart says about itself and needs.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value as Json, json};

use crate::numbers;
use crate::semver::Version;

/// The characters Helm allows in an alias, because it becomes a key of the values and a part of paths.
static ALIAS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-zA-Z0-9_-]+$").ok());

const TEXTS: &[(&str, &str)] = &[
    ("apiVersion", "APIVersion"),
    ("appVersion", "AppVersion"),
    ("condition", "Condition"),
    ("description", "Description"),
    ("home", "Home"),
    ("icon", "Icon"),
    ("kubeVersion", "KubeVersion"),
    ("name", "Name"),
    ("tags", "Tags"),
    ("type", "Type"),
    ("version", "Version"),
];

/// The fields of `Chart.yaml`, read as Helm reads them: a number where text is meant becomes text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata {
    texts: Map<String, Json>,
    lists: Map<String, Json>,
    pub(crate) annotations: Json,
    maintainers: Vec<Json>,
    deprecated: bool,
    pub(crate) dependencies: Vec<Dependency>,
}

/// An entry of `dependencies`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependency {
    /// Name of the chart; from the moment dependencies are resolved the alias, if there is one.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) condition: String,
    pub(crate) tags: Vec<String>,
    pub(crate) alias: String,
    pub(crate) import_values: Vec<Json>,
    repository: String,
}

impl Metadata {
    /// Reads `Chart.yaml`; an error says which field is wrong.
    pub(crate) fn read(mut fields: Map<String, Json>) -> Result<Self, String> {
        let mut metadata = Self { annotations: Json::Null, ..Self::default() };
        for (key, _) in TEXTS {
            let text = text(fields.remove(*key), key)?;
            // Charts of Helm 2 had no version of their format.
            let text = if text.is_empty() && *key == "apiVersion" { "v1".to_owned() } else { text };
            metadata.texts.insert((*key).to_owned(), Json::from(text));
        }
        for key in ["sources", "keywords"] {
            let items = texts(fields.remove(key), key)?;
            metadata.lists.insert(key.to_owned(), json!(items));
        }
        if let Some(annotations) = fields.remove("annotations").filter(|value| !value.is_null()) {
            let Json::Object(map) = annotations else { return Err("annotations must be a map".to_owned()) };
            let entries = map.into_iter().map(|(key, value)| Ok((key.clone(), Json::from(text(Some(value), &key)?))));
            metadata.annotations = Json::Object(entries.collect::<Result<_, String>>()?);
        }
        metadata.maintainers = list(fields.remove("maintainers"), "maintainers")?
            .into_iter()
            .map(|entry| {
                let Json::Object(mut entry) = entry else {
                    return Err("maintainers must not contain empty or null nodes".to_owned());
                };
                let mut field = |key: &str| text(entry.remove(key), key);
                Ok(json!({"Name": field("name")?, "Email": field("email")?, "URL": field("url")?}))
            })
            .collect::<Result<_, _>>()?;
        metadata.deprecated = match fields.remove("deprecated") {
            None | Some(Json::Null) => false,
            Some(Json::Bool(flag)) => flag,
            Some(_) => return Err("deprecated must be true or false".to_owned()),
        };
        metadata.read_dependencies(&mut fields)?;
        metadata.check()?;
        Ok(metadata)
    }

    /// `dependencies`, of `Chart.yaml` or of the `requirements.yaml` of older charts.
    pub(crate) fn read_dependencies(&mut self, fields: &mut Map<String, Json>) -> Result<(), String> {
        let entries = list(fields.remove("dependencies"), "dependencies")?;
        if !entries.is_empty() {
            self.dependencies = entries.into_iter().map(Dependency::read).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let name = self.text("name");
        if name.is_empty() {
            return Err("chart.metadata.name is required".to_owned());
        }
        if name.contains('/') || name == "." {
            return Err(format!("chart.metadata.name {name:?} is invalid"));
        }
        let version = self.text("version");
        if version.is_empty() {
            return Err("chart.metadata.version is required".to_owned());
        }
        if Version::parse(version).is_none() {
            return Err(format!("chart.metadata.version {version:?} is invalid"));
        }
        if !matches!(self.text("type"), "" | "application" | "library") {
            return Err("chart.metadata.type must be application or library".to_owned());
        }
        let mut keys: Vec<&str> = Vec::new();
        for dependency in &self.dependencies {
            let key = dependency.key();
            if keys.contains(&key) {
                return Err(format!(
                    "more than one dependency with name or alias {key:?}: give dependencies on one chart distinct aliases"
                ));
            }
            keys.push(key);
        }
        Ok(())
    }

    /// One of the fields that hold text; empty when it is missing.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.texts.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    /// `.Chart`, under the names Go gives the fields.
    pub(crate) fn dot_chart(&self, name: &str, dependencies: &[Dependency], is_root: bool) -> Json {
        let mut chart: Map<String, Json> =
            TEXTS.iter().map(|(key, field)| ((*field).to_owned(), Json::from(self.text(key)))).collect();
        let list = |key: &str| self.lists.get(key).cloned().unwrap_or_else(|| json!([]));
        chart.extend([
            ("Name".to_owned(), Json::from(name)),
            ("Dependencies".to_owned(), dependencies.iter().map(Dependency::dot).collect()),
            ("Keywords".to_owned(), list("keywords")),
            ("Sources".to_owned(), list("sources")),
            ("Maintainers".to_owned(), Json::Array(self.maintainers.clone())),
            ("Annotations".to_owned(), self.annotations.clone()),
            ("Deprecated".to_owned(), Json::Bool(self.deprecated)),
            ("IsRoot".to_owned(), Json::Bool(is_root)),
        ]);
        Json::Object(chart)
    }
}

impl Dependency {
    fn read(entry: Json) -> Result<Self, String> {
        let Json::Object(mut entry) = entry else {
            return Err("dependencies must not contain empty or null nodes".to_owned());
        };
        let mut field = |key: &str| text(entry.remove(key), key);
        let dependency = Self {
            name: field("name")?,
            version: field("version")?,
            condition: field("condition")?,
            alias: field("alias")?,
            repository: field("repository")?,
            tags: texts(entry.remove("tags"), "tags")?,
            import_values: list(entry.remove("import-values"), "import-values")?,
        };
        if !dependency.alias.is_empty() && !ALIAS.as_ref().is_some_and(|rule| rule.is_match(&dependency.alias)) {
            return Err(format!("dependency {:?} has disallowed characters in the alias", dependency.name));
        }
        Ok(dependency)
    }

    /// Under which key the parent holds values for this dependency.
    pub(crate) fn key(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }

    fn dot(&self) -> Json {
        json!({
            "Name": self.name, "Version": self.version, "Repository": self.repository, "Condition": self.condition,
            "Tags": self.tags, "Enabled": true, "ImportValues": self.import_values, "Alias": self.alias,
        })
    }
}

fn text(value: Option<Json>, key: &str) -> Result<String, String> {
    match value {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text),
        Some(Json::Bool(flag)) => Ok(flag.to_string()),
        Some(Json::Number(number)) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() => numbers::format_g(float),
            _ => number.to_string(),
        }),
        Some(_) => Err(format!("{key} must be text")),
    }
}

fn list(value: Option<Json>, key: &str) -> Result<Vec<Json>, String> {
    match value {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(format!("{key} must be a list")),
    }
}

fn texts(value: Option<Json>, key: &str) -> Result<Vec<String>, String> {
    list(value, key)?.into_iter().map(|item| text(Some(item), key)).collect()
}
