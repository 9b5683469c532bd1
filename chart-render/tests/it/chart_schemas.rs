//! Every object of the chart, held to the schemas that Kubernetes publishes, of each minor version there is, and to the
//! definitions of the kinds that Kubernetes does not have. An object of a kind without a schema is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use chart_render::check::Installed;
use chart_render::{Chart, KubeVersion, Options, Release, Values, render};
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use crate::helm;

/// The folder with a folder for each version: `v1.35.0-local-strict` and its like.
fn schemas() -> PathBuf {
    let folder = env::var_os("KUBERNETES_SCHEMAS").expect("set KUBERNETES_SCHEMAS: eval \"$(hack/tools.sh env)\"");
    PathBuf::from(folder)
}

/// `1.35.0` and its folder, oldest first.
fn versions() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(schemas()).expect("the schemas of Kubernetes");
    let strict = folders.filter_map(|entry| {
        let path = entry.expect("an entry").path();
        let version = path.file_name()?.to_str()?.strip_prefix('v')?.strip_suffix("-local-strict")?.to_owned();
        Some((version, path))
    });
    strict.collect()
}

fn read(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("a schema in JSON"))
}

/// The CRDs of the chart, and of the operators it has objects for.
fn definitions() -> Vec<Value> {
    let folders = [helm::chart().join("crds"), helm::chart().join("../../e2e/manifests/definitions")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("definitions"));
    let texts = files.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a definition"));
    texts
        .flat_map(|text| Installed::read("definitions", &text).expect("objects"))
        .flat_map(|read| read.objects)
        .collect()
}

/// What a definition says of one of its versions; a field it does not name is refused.
fn of_definition(definitions: &[Value], api_version: &str, kind: &str) -> Option<Value> {
    let (group, version) = api_version.split_once('/')?;
    let spec = definitions
        .iter()
        .map(|definition| &definition["spec"])
        .find(|spec| spec["group"] == group && spec["names"]["kind"] == kind)?;
    let served = spec["versions"].as_array()?.iter().find(|served| served["name"] == version)?;
    let mut schema = served["schema"]["openAPIV3Schema"].clone();
    for own in ["apiVersion", "kind"] {
        schema["properties"][own] = json!({"type": "string"});
    }
    schema["properties"]["metadata"] = json!({"type": "object", "additionalProperties": true});
    close(&mut schema);
    Some(schema)
}

fn close(schema: &mut Value) {
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true || !schema["additionalProperties"].is_null();
    if schema["properties"].is_object() && !open {
        schema["additionalProperties"] = json!(false);
    }
    match schema {
        Value::Object(map) => map.values_mut().for_each(close),
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// The schemas of one version of Kubernetes, compiled as they are needed.
struct Judge<'a> {
    folder: PathBuf,
    registry: &'a Registry<'a>,
    definitions: &'a [Value],
    compiled: BTreeMap<(String, String), Validator>,
}

impl Judge<'_> {
    /// The schema of a kind: of its definition, else as Kubernetes publishes it; `rbac.authorization.k8s.io/v1` is `rbac-v1`.
    fn schema(&self, api_version: &str, kind: &str) -> Option<Value> {
        let place = match api_version.split_once('/') {
            Some((group, version)) => format!("{}-{version}", group.split('.').next().unwrap_or_default()),
            None => api_version.to_owned(),
        };
        let file = self.folder.join(format!("{}-{place}.json", kind.to_lowercase()));
        of_definition(self.definitions, api_version, kind).or_else(|| read(&file))
    }

    /// What is wrong with an object.
    fn judge(&mut self, object: &Value) -> Vec<String> {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let id = (api_version, kind);
        if !self.compiled.contains_key(&id) {
            let Some(schema) = self.schema(&id.0, &id.1) else {
                return vec![format!("no schema of {} {} in {}", id.0, id.1, self.folder.display())];
            };
            let validator = jsonschema::options().with_registry(self.registry).build(&schema).expect("a usable schema");
            self.compiled.insert(id.clone(), validator);
        }
        let (kind, validator) = (&id.1, &self.compiled[&id]);
        let place = object["metadata"]["name"].as_str().unwrap_or_default();
        validator
            .iter_errors(object)
            .map(|error| format!("{kind} {place} {}: {error}", error.instance_path()))
            .collect()
    }
}

fn objects(values: &Path, version: &str) -> Vec<Value> {
    let mut given = Values::new();
    given.merge_yaml("values", &fs::read_to_string(values).expect("values")).expect("values");
    let kube_version: KubeVersion = version.parse().expect("a version");
    let options = Options { kube_version, ..Options::default() };
    let chart = Chart::embedded().expect("the chart");
    let rendered = render(&chart, given, &Release::new("wva", "wva-system"), &options).expect("it renders");
    let made = rendered.manifests.into_iter().chain(rendered.hooks).map(|manifest| manifest.object);
    made.filter(Value::is_object).collect()
}

#[test]
fn every_object_of_every_value_set_meets_the_schema_of_its_kind_in_every_version_of_kubernetes() {
    let ci = fs::read_dir(helm::chart().join("ci")).expect("value sets");
    let mut sets: Vec<PathBuf> = ci.map(|entry| entry.expect("an entry").path()).collect();
    sets.push(helm::chart().join("values-dev.yaml"));
    let definitions = definitions();
    let versions = versions();
    assert!(versions.len() >= 13, "{versions:?}");
    let mut kinds = BTreeSet::new();
    for (version, folder) in versions {
        let shared = read(&folder.join("_definitions.json")).expect("definitions of the version");
        let registry = Registry::new().add("https://kubernetes.io/api/_definitions.json", shared).expect("a schema");
        let registry = registry.prepare().expect("a registry");
        let mut judge = Judge { folder, registry: &registry, definitions: &definitions, compiled: BTreeMap::new() };
        for set in &sets {
            for object in objects(set, &version).iter().chain(&definitions) {
                let problems = judge.judge(object);
                assert!(problems.is_empty(), "Kubernetes {version}, {}: {problems:#?}", set.display());
                kinds.insert(object["kind"].as_str().unwrap_or_default().to_owned());
            }
        }
        // A schema that lets everything pass would say the same of the objects above.
        let misspelt = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {
            "selector": {"matchLabels": {"a": "b"}}, "replica": 1, "template": {"spec": {"containers": []}}}});
        assert!(!judge.judge(&misspelt).is_empty(), "Kubernetes {version}");
    }
    for kind in
        ["VariantAutoscaling", "ServiceMonitor", "PrometheusRule", "ScaledObject", "NetworkPolicy", "Deployment"]
    {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
}
