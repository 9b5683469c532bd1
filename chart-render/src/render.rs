//! From chart and values to manifests.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;
use std::thread;

use regex::Regex;
use serde_json::{Map, Value as Json, json};

use crate::capabilities::{API_VERSIONS, HELM_VERSION, KubeVersion};
use crate::chart::{self, Chart, ChartFile};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::manifest::{self, Manifest};
use crate::value::{Object, Value};
use crate::values::{self, Values};
use crate::{funcs, quirks, schema};

/// Helm allows a thousand nested includes; each takes some ten kilobytes of stack in a debug build.
const STACK_BYTES: usize = 256 << 20;

/// Helm's limit, so that names derived from the release still fit a label.
const MAX_RELEASE_NAME: usize = 53;

static RELEASE_NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

/// What an installation is called and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Name of the release.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Whether templates see an upgrade rather than an installation.
    pub is_upgrade: bool,
}

impl Release {
    /// An installation.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), is_upgrade: false }
    }
}

/// What templates are told about the cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `.Capabilities.KubeVersion`.
    pub kube_version: KubeVersion,
    /// Group versions (`monitoring.coreos.com/v1`, also with a kind behind) beyond the built-in ones.
    pub api_versions: Vec<String>,
}

/// What a chart rendered to.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The objects, in the order of installation.
    pub manifests: Vec<Manifest>,
    /// Objects that run around an installation, such as tests.
    pub hooks: Vec<Manifest>,
    /// The text of the chart's `NOTES.txt`, empty without one.
    pub notes: String,
    /// The files of `crds/`, unrendered; their path begins with the chart's name.
    pub crds: Vec<ChartFile>,
}

/// Why a chart does not render.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart cannot be read.
    #[error(transparent)]
    Chart(#[from] chart::Error),
    /// The user's values cannot be read.
    #[error(transparent)]
    Values(#[from] values::Error),
    /// The values do not fit the chart.
    #[error(transparent)]
    Schema(#[from] schema::Error),
    /// The name of the release is no DNS name, or too long.
    #[error(
        "release name {0:?} is invalid: it must be lower-case letters, digits, '-' and '.', at most {MAX_RELEASE_NAME} characters"
    )]
    ReleaseName(String),
    /// The chart does not run on this Kubernetes.
    #[error("chart {chart} requires kubeVersion {constraint}, which {kube_version} does not meet")]
    KubeVersion {
        /// The chart.
        chart: String,
        /// What it requires.
        constraint: String,
        /// What there is.
        kube_version: String,
    },
    /// A template failed.
    #[error("{0}")]
    Template(Fault),
    /// A template rendered to something that is not YAML.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The thread that renders did not start or did not end well.
    #[error("render templates: {0}")]
    Thread(String),
}

/// Renders a chart, as `helm template` does without a cluster.
pub fn render(chart: &Chart, values: Values, release: &Release, options: &Options) -> Result<Rendered, Error> {
    let named = RELEASE_NAME.as_ref().is_some_and(|pattern| pattern.is_match(&release.name));
    if !named || release.name.len() > MAX_RELEASE_NAME {
        return Err(Error::ReleaseName(release.name.clone()));
    }
    if let Some(constraint) = chart.kube_version() {
        let kube_version = options.kube_version.to_string();
        if funcs::satisfies(constraint, &kube_version) != Some(true) {
            return Err(Error::KubeVersion {
                chart: chart.name().to_owned(),
                constraint: constraint.to_owned(),
                kube_version,
            });
        }
    }
    let values = values::over_defaults(values.into_tree(), chart.values());
    if let Some(schema) = chart.schema() {
        schema::check(chart.name(), schema, &values)?;
    }

    let mut files = thread::scope(|scope| {
        let run = || execute(chart, values, release, options).map_err(Error::Template);
        let thread = thread::Builder::new().name("render".to_owned()).stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, run).map_err(|error| Error::Thread(error.to_string()))?;
        running.join().map_err(|_| Error::Thread("a template function panicked".to_owned()))?
    })?;

    let notes = files.get(&format!("{}/templates/NOTES.txt", chart.name())).cloned().unwrap_or_default();
    files.retain(|path, _| !quirks::is_notes(path));
    let sorted = manifest::sort(&files.into_iter().collect::<Vec<_>>())?;
    let crds =
        chart.crds().iter().map(|file| ChartFile { path: format!("{}/{}", chart.name(), file.path), ..file.clone() });
    Ok(Rendered { manifests: sorted.manifests, hooks: sorted.hooks, notes, crds: crds.collect() })
}

/// Runs all templates; the result is sorted by path.
fn execute(
    chart: &Chart,
    values: Map<String, Json>,
    release: &Release,
    options: &Options,
) -> Result<BTreeMap<String, String>, Fault> {
    let texts: BTreeMap<String, &str> =
        chart.templates().iter().map(|file| (format!("{}/{}", chart.name(), file.path), file.text.as_str())).collect();
    let mut names: Vec<String> = texts.keys().cloned().collect();
    quirks::sort_templates(&mut names);
    let mut engine = Engine::default();
    for name in &names {
        engine.add(name, texts[name])?;
    }
    let root = root(chart, values, release, options);
    let mut rendered = BTreeMap::new();
    for name in names.into_iter().filter(|name| !quirks::is_partial(name)) {
        root.insert("Template", &json!({"Name": name, "BasePath": format!("{}/templates", chart.name())}));
        let text = quirks::drop_no_value(&engine.execute(&name, &root.value())?);
        rendered.insert(name, text);
    }
    Ok(rendered)
}

/// The dot that every file starts with. Files share it: what one changes with `set`, the next one sees.
struct Root(crate::value::Dict);

impl Root {
    fn insert(&self, key: &str, json: &Json) {
        self.0.borrow_mut().insert(key.to_owned(), Value::from_json(json));
    }

    fn value(&self) -> Value {
        Value::Map(Rc::clone(&self.0))
    }
}

fn root(chart: &Chart, values: Map<String, Json>, release: &Release, options: &Options) -> Root {
    let root = Root(Rc::default());
    root.insert("Values", &Json::Object(values));
    root.insert("Chart", &chart.dot_chart());
    root.insert("Subcharts", &json!({}));
    root.insert(
        "Release",
        &json!({
            "Name": release.name, "Namespace": release.namespace, "IsUpgrade": release.is_upgrade,
            "IsInstall": !release.is_upgrade, "Revision": 1, "Service": "Helm",
        }),
    );
    let versions = API_VERSIONS.iter().map(ToString::to_string).chain(options.api_versions.iter().cloned()).collect();
    let capabilities = Value::map([
        ("KubeVersion".to_owned(), Value::Object(Object::KubeVersion(Rc::new(options.kube_version.clone())))),
        ("APIVersions".to_owned(), Value::Object(Object::ApiVersions(Rc::new(versions)))),
        ("HelmVersion".to_owned(), Value::from_json(&json!({"Version": HELM_VERSION}))),
    ]);
    let files = Value::Object(Object::Files(Rc::new(chart.files().clone())));
    root.0.borrow_mut().extend([("Capabilities".to_owned(), capabilities), ("Files".to_owned(), files)]);
    root
}
