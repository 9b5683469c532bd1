//! What is to be said about ConfigMaps with settings of models: the difference between what counted before and what
//! counts now. Pure.

use std::collections::BTreeMap;

use wva_engine::Thresholds;

use super::config_map_entries::{Entries, Entry, Subject};
use super::resolve::{ConfigScope, thresholds_of_namespaces};
use super::saturation::Saturation;
use super::slo;
use super::store::{Held, Store};
use crate::cluster::index::ObjectKey;

/// Kind of the entries in the ConfigMap with service classes.
const SERVICE_CLASS: &str = "service class";

/// What counts, by kind and namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InForce {
    sources: BTreeMap<(&'static str, String), Source>,
    /// What is wrong with annotations of variants, by variant.
    problems: BTreeMap<ObjectKey, String>,
}

/// The ConfigMap that counts for one kind in one namespace.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    key: ObjectKey,
    uid: String,
    global: bool,
    /// The name it should have.
    usual_name: Option<String>,
    /// ConfigMaps beside it that do not count.
    beside: Vec<String>,
    entries: usize,
    /// What its entries say; differs when any of them does.
    content: String,
    problems: BTreeMap<String, String>,
}

/// Something to be said.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingsChange {
    /// Another content counts than before.
    Updated {
        /// Kind of entries.
        kind: &'static str,
        /// Which ConfigMap counts.
        config_map: ObjectKey,
        /// For all namespaces, or for its own.
        global: bool,
        /// How many entries counted before.
        old_entries: usize,
        /// How many count now.
        new_entries: usize,
    },
    /// None counts any more; what is inherited does.
    Removed {
        /// Kind of entries.
        kind: &'static str,
        /// Which one counted.
        config_map: ObjectKey,
        /// For all namespaces, or for its own.
        global: bool,
    },
    /// An entry cannot be used, or not all of it.
    Problem {
        /// Kind of entries.
        kind: &'static str,
        /// The ConfigMap.
        config_map: ObjectKey,
        /// Key of the entry.
        entry: String,
        /// What is wrong, and what counts instead.
        why: String,
        /// `metadata.uid` of the ConfigMap.
        uid: String,
    },
    /// Annotations of a variant cannot be used, or not all of them.
    Annotation {
        /// The variant.
        variant: ObjectKey,
        /// What is wrong, and what counts instead.
        why: String,
    },
    /// It has an old name.
    OldName {
        /// The ConfigMap.
        config_map: ObjectKey,
        /// The name to use.
        name: String,
    },
    /// There is another one beside it, which does not count.
    Beside {
        /// The one that counts.
        config_map: ObjectKey,
        /// Name of the other.
        name: String,
    },
}

impl InForce {
    /// What counts in the controller's namespace and in `namespaces`.
    pub fn of(store: &Store, config_scope: &ConfigScope) -> Self {
        let ConfigScope { namespaces, models: _, slos } = config_scope;
        let mut in_force = Self::default();
        if store.service_class.is_some() {
            in_force.problems = slo::problems(store, slos);
            in_force.add_classes(store);
        }
        let thresholds = thresholds_of_namespaces(store, namespaces);
        let global = thresholds.default;
        let of_namespace = |namespace: &str| thresholds.namespaces.get(namespace).copied().unwrap_or(global);
        for namespace in namespaces.iter().chain([&store.pod_namespace]) {
            let above = if *namespace == store.pod_namespace { Thresholds::DEFAULT } else { global };
            let inherited = |subject: &Subject| match subject {
                Subject::Default => above,
                Subject::Model { namespace, .. } => namespace.as_deref().map_or(global, of_namespace),
            };
            in_force.add(&store.saturation, namespace, store, |entries| contradictions(entries, inherited));
            in_force.add(&store.scale_to_zero, namespace, store, |_| BTreeMap::new());
        }
        in_force
    }

    fn add<E: Entry>(
        &mut self,
        held: &Held<E>,
        namespace: &str,
        store: &Store,
        contradictions: impl Fn(&Entries<E>) -> BTreeMap<String, String>,
    ) {
        let mut present = held.present(namespace);
        let Some((key, map)) = present.next() else { return };
        let problems = map.entries.problems().iter().map(|(key, problem)| (key.clone(), problem.to_string()));
        let is_old = !held.names.iter().take(held.current_names).any(|name| *name == key.name);
        let source = Source {
            uid: map.uid.clone(),
            global: namespace == store.pod_namespace,
            usual_name: is_old.then(|| held.names[0].clone()),
            beside: present.map(|(key, _)| key.name).collect(),
            entries: map.entries.len(),
            content: format!("{:?}", map.entries),
            problems: contradictions(&map.entries).into_iter().chain(problems).collect(),
            key,
        };
        self.sources.insert((E::KIND, namespace.to_owned()), source);
    }

    fn add_classes(&mut self, store: &Store) {
        let Some((key, uid, classes)) = store.service_classes() else { return };
        let source = Source {
            uid: uid.to_owned(),
            global: true,
            usual_name: None,
            beside: Vec::new(),
            entries: classes.len(),
            content: format!("{classes:?}"),
            problems: classes.problems().iter().map(|(key, problem)| (key.clone(), problem.to_string())).collect(),
            key,
        };
        self.sources.insert((SERVICE_CLASS, store.pod_namespace.clone()), source);
    }

    /// What is to be said when `self` counts after `before` did.
    pub fn since(&self, before: &Self) -> Vec<SettingsChange> {
        let mut changes = Vec::new();
        for (id @ (kind, _), source) in &self.sources {
            source.changes(kind, before.sources.get(id), &mut changes);
        }
        for ((kind, _), source) in before.sources.iter().filter(|(id, _)| !self.sources.contains_key(id)) {
            changes.push(SettingsChange::Removed { kind, config_map: source.key.clone(), global: source.global });
        }
        for (variant, why) in self.problems.iter().filter(|(variant, why)| before.problems.get(variant) != Some(why)) {
            changes.push(SettingsChange::Annotation { variant: variant.clone(), why: why.clone() });
        }
        changes
    }
}

impl Source {
    fn changes(&self, kind: &'static str, before: Option<&Self>, changes: &mut Vec<SettingsChange>) {
        let same_object = before.filter(|before| before.key == self.key);
        if same_object.is_none_or(|before| before.content != self.content) {
            changes.push(SettingsChange::Updated {
                kind,
                config_map: self.key.clone(),
                global: self.global,
                old_entries: before.map_or(0, |before| before.entries),
                new_entries: self.entries,
            });
        }
        if let (Some(name), None) = (&self.usual_name, same_object) {
            changes.push(SettingsChange::OldName { config_map: self.key.clone(), name: name.clone() });
        }
        for name in self.beside.iter().filter(|name| same_object.is_none_or(|before| !before.beside.contains(name))) {
            changes.push(SettingsChange::Beside { config_map: self.key.clone(), name: name.clone() });
        }
        for (entry, why) in &self.problems {
            if same_object.is_some_and(|before| before.problems.get(entry) == Some(why)) {
                continue;
            }
            changes.push(SettingsChange::Problem {
                kind,
                config_map: self.key.clone(),
                entry: entry.clone(),
                why: why.clone(),
                uid: self.uid.clone(),
            });
        }
    }
}

/// Entries that are right by themselves but contradict what they inherit.
fn contradictions(
    entries: &Entries<Saturation>,
    inherited: impl Fn(&Subject) -> Thresholds,
) -> BTreeMap<String, String> {
    let found = entries.iter().filter_map(|(key, subject, entry)| {
        let why = entry.over(inherited(subject)).err()?;
        Some((key.to_owned(), format!("contradicts what it inherits: {why}; it is left out")))
    });
    found.collect()
}
