//! What templates see as their dot: `.Values`, `.Chart`, `.Release`, `.Capabilities`, `.Files`, `.Subcharts`.
//!
//! A chart's values are the part of its parent's under its name, the same map and not a copy: what one template
//! changes with `set`, later ones see, across charts too.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use crate::capabilities::{API_VERSIONS, HELM_VERSION};
use crate::render::{Options, Release};
use crate::tree::Node;
use crate::value::{Dict, Object, Struct, Value};

/// One template file, with the dot of its chart.
pub(crate) struct Template<'a> {
    pub(crate) text: &'a str,
    /// The folder of the chart's templates: `umbrella/charts/child/templates`.
    base_path: String,
    dot: Dict,
}

impl Template<'_> {
    /// The dot, knowing which file runs.
    pub(crate) fn dot(&self, name: &str) -> Value {
        let template = Value::from_json(&json!({"Name": name, "BasePath": self.base_path}));
        self.dot.borrow_mut().insert("Template".to_owned(), template);
        Value::Map(Rc::clone(&self.dot))
    }
}

/// All template files by their path.
pub(crate) type Templates<'a> = BTreeMap<String, Template<'a>>;

/// Finds all template files. A library chart only lends its partials.
pub(crate) fn templates<'a>(root: &Node<'a>, values: Value, release: &Release, options: &Options) -> Templates<'a> {
    let shared = [("Release", dot_release(release)), ("Capabilities", dot_capabilities(options))];
    let mut templates = BTreeMap::new();
    add(root, None, values, &shared, &mut templates);
    templates
}

fn add<'a>(
    node: &Node<'a>,
    parent: Option<&str>,
    values: Value,
    shared: &[(&str, Value)],
    templates: &mut Templates<'a>,
) -> Value {
    let path = parent.map_or_else(|| node.name.clone(), |parent| format!("{parent}/charts/{}", node.name));
    let child_values = |name: &str| match &values {
        Value::Map(map) => map.borrow().get(name).filter(|value| matches!(value, Value::Map(_))).cloned(),
        _ => None,
    };
    let subcharts = node.children.iter().map(|child| {
        let values = child_values(&child.name).unwrap_or_else(|| Value::map([]));
        (child.name.clone(), add(child, Some(&path), values, shared, templates))
    });
    let subcharts = Value::map(subcharts.collect::<Vec<_>>());
    let own = [
        ("Chart", dot_chart(node, parent.is_none())),
        ("Files", Value::Object(Object::Files(Arc::clone(node.chart.files())))),
        ("Subcharts", subcharts),
        ("Values", values),
    ];
    let dot = own.into_iter().chain(shared.iter().cloned()).map(|(key, value)| (key.to_owned(), value)).collect();
    let dot: Dict = Rc::new(std::cell::RefCell::new(dot));
    for file in node.chart.templates() {
        if node.chart.is_library() && !crate::quirks::is_partial(&file.path) {
            continue;
        }
        let template = Template { text: &file.text, base_path: format!("{path}/templates"), dot: Rc::clone(&dot) };
        templates.insert(format!("{path}/{}", file.path), template);
    }
    Value::Map(dot)
}

fn dot_chart(node: &Node<'_>, is_root: bool) -> Value {
    let metadata = &node.chart.metadata;
    let chart = Value::from_json(&metadata.dot_chart(&node.name, &node.dependencies, is_root));
    if let Value::Map(chart) = &chart {
        let annotations = metadata.annotations.as_object().into_iter().flatten();
        let texts = annotations.map(|(key, text)| (key.clone(), text.as_str().unwrap_or_default().to_owned()));
        let texts = Value::Object(Object::Texts(Rc::new(texts.collect())));
        chart.borrow_mut().insert("Annotations".to_owned(), texts);
    }
    chart
}

fn dot_release(release: &Release) -> Value {
    let Release { name, namespace, is_upgrade, revision } = release;
    let dot = Value::from_json(&json!({
        "Name": name, "Namespace": namespace, "IsUpgrade": is_upgrade, "IsInstall": !is_upgrade, "Service": "Helm",
    }));
    if let Value::Map(dot) = &dot {
        dot.borrow_mut().insert("Revision".to_owned(), Value::Int(i64::from(*revision)));
    }
    dot
}

fn dot_capabilities(options: &Options) -> Value {
    let versions = match &options.cluster {
        Some(cluster) => cluster.api_versions().to_vec(),
        None => API_VERSIONS.iter().map(ToString::to_string).chain(options.api_versions.iter().cloned()).collect(),
    };
    let helm = HELM_VERSION.iter().map(|(name, key, value)| (*name, *key, Value::str(value))).collect();
    let object = |go_type, fields| Value::Object(Object::Struct(Rc::new(Struct { go_type, fields })));
    let fields = vec![
        ("KubeVersion", Value::Object(Object::KubeVersion(Rc::new(options.kube_version.clone())))),
        ("APIVersions", Value::Object(Object::ApiVersions(Rc::new(versions)))),
        ("HelmVersion", object("version.BuildInfo", helm)),
    ];
    object("*common.Capabilities", fields.into_iter().map(|(name, value)| (name, name, value)).collect())
}
