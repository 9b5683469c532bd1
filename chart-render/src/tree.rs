//! A chart with those of its dependencies that are switched on, each under the name its parent knows it by.
//!
//! `Chart.yaml` decides: `condition` and `tags` switch a dependency off, `alias` renames it or uses it twice,
//! `import-values` takes defaults of the child into the parent.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use crate::chart::Chart;
use crate::chart::metadata::Dependency;
use crate::semver::satisfies;
use crate::values::{NotATable, Nulls, over_defaults, tables};

/// One chart of the tree.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) chart: &'a Chart,
    /// The alias, or the chart's own name.
    pub(crate) name: String,
    /// The defaults, with what is imported from children.
    pub(crate) values: Cow<'a, Map<String, Json>>,
    /// Entries of `Chart.yaml` that are switched on.
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) children: Vec<Self>,
}

impl<'a> Node<'a> {
    /// Resolves the dependencies for the values of a user.
    pub(crate) fn resolve(chart: &'a Chart, values: &Map<String, Json>) -> Result<Self, NotATable> {
        let mut root = Self::whole(chart, chart.name());
        root.enable(values, "")?;
        root.import()?;
        Ok(root)
    }

    /// Everything that lies under `charts/`, wanted or not.
    fn whole(chart: &'a Chart, name: &str) -> Self {
        Self {
            chart,
            name: name.to_owned(),
            values: Cow::Borrowed(chart.values()),
            dependencies: chart.metadata.dependencies.clone(),
            children: chart.subcharts().iter().map(|subchart| Self::whole(subchart, subchart.name())).collect(),
        }
    }

    /// Drops what is switched off. `path` is where conditions of this chart begin: `""` or `"child."`.
    fn enable(&mut self, values: &Map<String, Json>, path: &str) -> Result<(), NotATable> {
        if self.dependencies.is_empty() {
            return Ok(());
        }
        let fits = |child: &Self, dependency: &Dependency| {
            child.chart.name() == dependency.name && satisfies(&dependency.version, child.chart.version()) == Some(true)
        };
        // A chart that Chart.yaml does not mention is always part of the release.
        let unnamed = |child: &&Self| !self.dependencies.iter().any(|dependency| fits(child, dependency));
        let mut children: Vec<Self> = self.children.iter().filter(unnamed).cloned().collect();
        for dependency in &mut self.dependencies {
            if let Some(child) = self.children.iter().find(|child| fits(child, dependency)) {
                children.push(Self { name: dependency.key().to_owned(), ..child.clone() });
            }
            dependency.name = dependency.key().to_owned();
        }
        self.children = children;

        let values = over_defaults(self, values.clone(), Nulls::Remove)?;
        let off: Vec<String> = self
            .dependencies
            .iter()
            .filter(|dependency| !is_enabled(dependency, &values, path))
            .map(|dependency| dependency.name.clone())
            .collect();
        self.children.retain(|child| !off.contains(&child.name));
        self.dependencies.retain(|dependency| !off.contains(&dependency.name));
        // Helm hands the values of this chart down as they are, so a child's conditions are looked up from the root.
        self.children.iter_mut().try_for_each(|child| child.enable(&values, &format!("{path}{}.", child.name)))
    }

    /// `import-values`, from the leaves up.
    fn import(&mut self) -> Result<(), NotATable> {
        self.children.iter_mut().try_for_each(Self::import)?;
        if self.dependencies.is_empty() {
            return Ok(());
        }
        let mut own = over_defaults(self, Map::new(), Nulls::Keep)?;
        let mut imported = Map::new();
        for dependency in &mut self.dependencies {
            let mut done = Vec::new();
            for entry in std::mem::take(&mut dependency.import_values) {
                let (child, parent) = match &entry {
                    Json::String(name) => (format!("exports.{name}"), ".".to_owned()),
                    Json::Object(entry) => (word(entry.get("child")), word(entry.get("parent"))),
                    _ => continue,
                };
                if let Some(table) = table(&own, &format!("{}.{child}", dependency.name)) {
                    tables(&mut imported, nested(&parent, table.clone()), Nulls::Keep);
                }
                done.push(json!({"child": child, "parent": parent}));
            }
            dependency.import_values = done;
        }
        tables(&mut own, imported, Nulls::Keep);
        self.values = Cow::Owned(own);
        Ok(())
    }

    /// Calls `visit` for this chart and all below it, with the path of each: `parent/charts/child`.
    pub(crate) fn walk<'n>(&'n self, parent: Option<&str>, visit: &mut dyn FnMut(&'n Self, &str)) {
        let path = parent.map_or_else(|| self.name.clone(), |parent| format!("{parent}/charts/{}", self.name));
        visit(self, &path);
        self.children.iter().for_each(|child| child.walk(Some(&path), visit));
    }
}

/// A condition that names a boolean decides; else tags do: on when any is true, off when all that are set are false.
fn is_enabled(dependency: &Dependency, values: &Map<String, Json>, path: &str) -> bool {
    for condition in dependency.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
        if let Some(Json::Bool(flag)) = lookup(values, &format!("{path}{condition}")) {
            return *flag;
        }
    }
    let Some(Json::Object(tags)) = values.get("tags") else { return true };
    let set: Vec<bool> = dependency.tags.iter().filter_map(|tag| tags.get(tag)?.as_bool()).collect();
    set.is_empty() || set.contains(&true)
}

fn table<'v>(values: &'v Map<String, Json>, path: &str) -> Option<&'v Map<String, Json>> {
    path.split('.').try_fold(values, |map, key| map.get(key)?.as_object())
}

fn lookup<'v>(values: &'v Map<String, Json>, path: &str) -> Option<&'v Json> {
    match path.rsplit_once('.') {
        Some((parent, key)) => table(values, parent)?.get(key),
        None => values.get(path),
    }
}

/// `a.b` around a table; `.` is the table itself.
fn nested(path: &str, table: Map<String, Json>) -> Map<String, Json> {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, key| Map::from_iter([(key.to_owned(), Json::Object(inner))]))
}

/// Go prints a missing word as `<nil>`, and looks for that.
fn word(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => "<nil>".to_owned(),
    }
}
