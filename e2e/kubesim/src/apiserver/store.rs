//! The objects, in memory, with one revision counter for all of them and a bounded history per resource.
//!
//! A restart forgets everything: the server is for tests, whose clusters live as long as their process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

/// Changes remembered per resource. A watcher that falls further behind gets `410 Gone` and lists again.
const HISTORY: usize = 2048;

/// Group and plural: what a collection of objects is filed under, whatever versions it is served in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupResource {
    pub(super) group: String,
    pub(super) plural: String,
}

impl GroupResource {
    pub(super) fn new(group: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned() }
    }
}

/// Namespace (empty for cluster-scoped objects) and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One write. `after` is absent for a removal; `before` is absent for a creation.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

#[derive(Debug)]
struct Collection {
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// Revision of the newest change that was dropped from `history`; 0 while it is complete.
    forgotten: u64,
    changed: watch::Sender<u64>,
}

impl Default for Collection {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), history: VecDeque::new(), forgotten: 0, changed: watch::Sender::new(0) }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    revision: u64,
    /// Revisions before this one are no place to continue from.
    compacted: u64,
    collections: HashMap<GroupResource, Collection>,
}

impl Store {
    pub(super) fn new() -> Self {
        // Clients read resource version 0 as "any version", so the first state of the store is 1.
        Self { revision: 1, compacted: 0, collections: HashMap::new() }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn get(&self, resource: &GroupResource, key: &Key) -> Option<&Arc<Value>> {
        self.collections.get(resource)?.objects.get(key)
    }

    /// All resources of which there is or was an object.
    pub(super) fn resources(&self) -> impl Iterator<Item = &GroupResource> {
        self.collections.keys()
    }

    /// How many objects there are of each resource.
    pub(super) fn counts(&self) -> Vec<(&GroupResource, usize)> {
        let mut counts: Vec<_> =
            self.collections.iter().map(|(resource, collection)| (resource, collection.objects.len())).collect();
        counts.sort();
        counts
    }

    /// The objects as they were at a revision, or the oldest revision that is still known.
    pub(super) fn at(&self, resource: &GroupResource, revision: u64) -> Result<BTreeMap<Key, Arc<Value>>, u64> {
        if revision < self.compacted {
            return Err(self.compacted);
        }
        let changes = self.since(resource, revision)?;
        let mut objects = self.collections.get(resource).map(|all| all.objects.clone()).unwrap_or_default();
        for change in changes.iter().rev() {
            let Some(metadata) = change.before.as_ref().or(change.after.as_ref()).map(|object| &object["metadata"])
            else {
                continue;
            };
            let text = |field: &str| metadata[field].as_str().unwrap_or_default();
            let key = Key::new(text("namespace"), text("name"));
            match &change.before {
                Some(before) => drop(objects.insert(key, Arc::clone(before))),
                None => drop(objects.remove(&key)),
            }
        }
        Ok(objects)
    }

    /// Objects in key order; `namespace` narrows, `None` means all.
    pub(super) fn list<'a>(
        &'a self,
        resource: &GroupResource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        self.collections
            .get(resource)
            .into_iter()
            .flat_map(|collection| collection.objects.iter())
            .filter(move |(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
    }

    /// Writes `object` under a new revision, which it also puts into `metadata.resourceVersion`.
    pub(super) fn put(&mut self, resource: &GroupResource, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        let collection = self.collections.entry(resource.clone()).or_default();
        let before = collection.objects.insert(key, Arc::clone(&object));
        collection.record(Change { revision: self.revision, before, after: Some(Arc::clone(&object)) });
        object
    }

    /// Removes the object; the returned last state carries the revision of the removal, as watchers see it.
    pub(super) fn remove(&mut self, resource: &GroupResource, key: &Key) -> Option<Arc<Value>> {
        let collection = self.collections.get_mut(resource)?;
        let removed = collection.objects.remove(key)?;
        self.revision += 1;
        let mut last = (*removed).clone();
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        collection.record(Change { revision: self.revision, before: Some(removed), after: None });
        Some(Arc::new(last))
    }

    /// Forgets all history, and that there was any: whoever continues from an earlier revision must list again. Returns
    /// the revision up to which it is forgotten.
    pub(super) fn compact(&mut self) -> u64 {
        // A revision nobody has seen yet, so that even the newest one seen is too old.
        self.revision += 1;
        self.compacted = self.revision;
        self.compacted
    }

    /// The revision before which nothing can be continued.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// A receiver that wakes on every change of the resource.
    pub(super) fn subscribe(&mut self, resource: &GroupResource) -> watch::Receiver<u64> {
        self.collections.entry(resource.clone()).or_default().changed.subscribe()
    }

    /// Changes after `revision`, oldest first, or the oldest revision still available when some are forgotten.
    pub(super) fn since(&self, resource: &GroupResource, revision: u64) -> Result<Vec<Change>, u64> {
        let Some(collection) = self.collections.get(resource) else {
            return Ok(Vec::new());
        };
        if revision < collection.forgotten {
            return Err(collection.forgotten);
        }
        let start = collection.history.partition_point(|change| change.revision <= revision);
        Ok(collection.history.range(start..).cloned().collect())
    }
}

impl Collection {
    fn record(&mut self, change: Change) {
        let revision = change.revision;
        self.history.push_back(change);
        if self.history.len() > HISTORY
            && let Some(dropped) = self.history.pop_front()
        {
            self.forgotten = dropped.revision;
        }
        self.changed.send_replace(revision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_maps() -> GroupResource {
        GroupResource::new("", "configmaps")
    }

    fn named(name: &str) -> Value {
        json!({"metadata": {"name": name}})
    }

    #[test]
    fn a_revision_older_than_the_history_is_refused() {
        let mut store = Store::new();
        for _ in 0..=HISTORY {
            store.put(&config_maps(), Key::new("a", "x"), named("x"));
        }
        assert_eq!(store.since(&config_maps(), 1).err(), Some(2));
        assert_eq!(store.since(&config_maps(), 2).map(|changes| changes.len()), Ok(HISTORY));
    }

    #[test]
    fn a_removal_carries_a_revision_of_its_own() {
        let mut store = Store::new();
        let put = store.put(&config_maps(), Key::new("a", "x"), named("x"));
        let removed = store.remove(&config_maps(), &Key::new("a", "x")).expect("was there");
        assert_eq!(put["metadata"]["resourceVersion"], "2");
        assert_eq!(removed["metadata"]["resourceVersion"], "3");
        assert_eq!(store.since(&config_maps(), 2).map(|changes| changes.len()), Ok(1));
    }

    #[test]
    fn other_resources_do_not_push_out_history() {
        let mut store = Store::new();
        store.put(&config_maps(), Key::new("a", "x"), named("x"));
        for _ in 0..=HISTORY {
            store.put(&GroupResource::new("", "events"), Key::new("a", "e"), named("e"));
        }
        assert_eq!(store.since(&config_maps(), 1).map(|changes| changes.len()), Ok(1));
    }
}
