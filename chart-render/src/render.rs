//! From chart and values to manifests.

use std::collections::BTreeMap;
use std::thread;

use serde_json::Value as Json;

use crate::capabilities::KubeVersion;
use crate::chart::{self, Chart, ChartFile};
use crate::cluster::Cluster;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::manifest::{self, Manifest};
use crate::scope::Templates;
use crate::tree::Node;
use crate::value::Value;
use crate::values::{self, NotATable, Nulls, Values};
use crate::{quirks, schema, scope, semver};

/// Helm allows a thousand nested includes; each takes some ten kilobytes of stack in a debug build.
const STACK_BYTES: usize = 256 << 20;

/// Helm's limit, so that names derived from the release still fit a label.
const MAX_RELEASE_NAME: usize = 53;

/// What an installation is called and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Name of the release.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Whether templates see an upgrade rather than an installation.
    pub is_upgrade: bool,
    /// Number of the revision that is made.
    pub revision: u32,
}

impl Release {
    /// An installation.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), is_upgrade: false, revision: 1 }
    }
}

/// What templates are told about the cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `.Capabilities.KubeVersion`.
    pub kube_version: KubeVersion,
    /// Group versions (`monitoring.coreos.com/v1`, also with a kind behind) beyond the built-in ones.
    pub api_versions: Vec<String>,
    /// Whether values are taken that `values.schema.json` forbids.
    pub skip_schema_validation: bool,
    /// The cluster that templates may ask, as with `helm install`; with none they find nothing, as with `helm template`.
    pub cluster: Option<Cluster>,
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
    /// Values for a dependency are no map.
    #[error(transparent)]
    Dependency(#[from] NotATable),
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
    if !release.name.split('.').all(is_label) || release.name.len() > MAX_RELEASE_NAME {
        return Err(Error::ReleaseName(release.name.clone()));
    }
    chart.check_installable()?;
    let values = values.into_tree();
    let tree = Node::resolve(chart, &values)?;
    let values = Json::Object(values::over_defaults(&tree, values, Nulls::Remove)?);
    let mut files = thread::scope(|scope| {
        // Neither needs the other, and each takes as long: values are checked while templates are parsed.
        let checking =
            scope.spawn(|| if options.skip_schema_validation { Ok(()) } else { schema::check(&tree, &values) });
        on_a_large_stack(|| {
            let templates = scope::templates(&tree, Value::from_json(&values), release, options);
            let engine = parse(&templates, options);
            checking.join().map_err(|_| Error::Thread("the check of the values panicked".to_owned()))??;
            check_kube_version(chart, options)?;
            engine.and_then(|engine| execute(&engine, &templates)).map_err(Error::Template)
        })
    })?;
    let notes = files.get(&format!("{}/templates/NOTES.txt", chart.name())).cloned().unwrap_or_default();
    files.retain(|path, _| !quirks::is_notes(path));
    let sorted = manifest::sort(&files.into_iter().collect::<Vec<_>>())?;
    let mut crds = Vec::new();
    tree.walk(None, &mut |node, path| {
        let named = |file: &ChartFile| ChartFile { path: format!("{path}/{}", file.path), ..file.clone() };
        crds.extend(node.chart.crds().iter().map(named));
    });
    Ok(Rendered { manifests: sorted.manifests, hooks: sorted.hooks, notes, crds })
}

/// A part of a DNS name.
fn is_label(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(allowed) && !part.starts_with('-') && !part.ends_with('-')
}

fn check_kube_version(chart: &Chart, options: &Options) -> Result<(), Error> {
    let Some(constraint) = chart.kube_version() else { return Ok(()) };
    let kube_version = options.kube_version.to_string();
    if semver::satisfies(constraint, &kube_version) == Some(true) {
        return Ok(());
    }
    Err(Error::KubeVersion { chart: chart.name().to_owned(), constraint: constraint.to_owned(), kube_version })
}

/// The name of a release from a template such as `{{ now | unixEpoch }}-x`, as `--name-template` gives it.
pub fn release_name(template: &str) -> Result<String, Error> {
    on_a_large_stack(|| {
        let mut engine = Engine::default();
        let added = engine.add("name-template", template);
        added.and_then(|()| engine.execute("name-template", &Value::Nil)).map_err(Error::Template)
    })
}

fn on_a_large_stack<T: Send>(run: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("render".to_owned()).stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, run).map_err(|error| Error::Thread(error.to_string()))?;
        running.join().map_err(|_| Error::Thread("a template function panicked".to_owned()))?
    })
}

/// All templates, in the order in which definitions replace one another.
fn parse(templates: &Templates<'_>, options: &Options) -> Result<Engine, Fault> {
    let mut engine = Engine::new(options.cluster.clone());
    for name in sorted(templates) {
        engine.add(name, templates[name].text)?;
    }
    Ok(engine)
}

/// Runs all templates; the result is sorted by path.
fn execute(engine: &Engine, templates: &Templates<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut rendered = BTreeMap::new();
    for name in sorted(templates).into_iter().filter(|name| !quirks::is_partial(name)) {
        let text = engine.execute(name, &templates[name].dot(name))?;
        rendered.insert(name.clone(), quirks::drop_no_value(&text));
    }
    Ok(rendered)
}

fn sorted<'t>(templates: &'t Templates<'_>) -> Vec<&'t String> {
    let mut names: Vec<&String> = templates.keys().collect();
    quirks::sort_templates(&mut names);
    names
}
