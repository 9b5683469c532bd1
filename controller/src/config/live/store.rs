//! What was seen of the ConfigMaps with settings of models.
//!
//! Everything is kept, whether it counts or not: whether it counts depends on namespaces and variants, which come and
//! go in any order.

use std::collections::{BTreeMap, BTreeSet};

use wva_api::config_maps;

use super::config_map_entries::{Entries, Entry, Place};
use super::saturation::Saturation;
use super::scale_to_zero::ScaleToZero;
use super::service_class::ServiceClasses;
use crate::cluster::index::ObjectKey;
use crate::config::ConfigMapNames;

/// All ConfigMaps with settings of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// The namespace of global ConfigMaps.
    pub pod_namespace: String,
    /// Saturation settings.
    pub saturation: Held<Saturation>,
    /// Scale-to-zero settings.
    pub scale_to_zero: Held<ScaleToZero>,
    /// Service classes and profiles; `None` unless the hybrid mode is on.
    pub service_class: Option<ServiceClass>,
}

/// The ConfigMap with service classes and profiles: there is one, in the controller's namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceClass {
    /// `metadata.uid`, and what it says; `None` when it is not there.
    pub map: Option<(String, ServiceClasses)>,
}

/// The ConfigMaps of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Held<E> {
    /// Names such a ConfigMap may have, the one that counts first.
    pub names: Vec<String>,
    /// How many of these, from the first, are not outdated.
    pub current_names: usize,
    maps: BTreeMap<ObjectKey, Map<E>>,
}

/// One ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<E> {
    /// `metadata.uid`.
    pub uid: String,
    /// What it says.
    pub entries: Entries<E>,
}

impl Store {
    /// Nothing seen.
    pub fn new(pod_namespace: &str, names: &ConfigMapNames, proactive: bool) -> Self {
        let ConfigMapNames { saturation, scale_to_zero } = names;
        Self {
            pod_namespace: pod_namespace.to_owned(),
            saturation: Held::new(saturation, config_maps::SATURATION, config_maps::SATURATION_OLD),
            scale_to_zero: Held::new(scale_to_zero, config_maps::SCALE_TO_ZERO, config_maps::SCALE_TO_ZERO_OLD),
            service_class: proactive.then(ServiceClass::default),
        }
    }

    /// All names that matter.
    pub fn names(&self) -> BTreeSet<&str> {
        let names = self.saturation.names.iter().chain(&self.scale_to_zero.names).map(String::as_str);
        names.chain(self.service_class.is_some().then_some(config_maps::SERVICE_CLASS)).collect()
    }

    /// Takes over the new content of a ConfigMap. Returns whether that changes anything.
    pub fn apply(&mut self, key: &ObjectKey, uid: &str, data: &BTreeMap<String, String>) -> bool {
        let place =
            if key.namespace == self.pod_namespace { Place::Global } else { Place::Local(key.namespace.clone()) };
        self.saturation.apply(key, uid, data, &place)
            | self.scale_to_zero.apply(key, uid, data, &place)
            | self.change_service_class(key, Some((uid, data)))
    }

    /// Forgets a ConfigMap. Returns whether that changes anything.
    pub fn delete(&mut self, key: &ObjectKey) -> bool {
        self.saturation.maps.remove(key).is_some()
            | self.scale_to_zero.maps.remove(key).is_some()
            | self.change_service_class(key, None)
    }

    /// Takes over the new state of an object, if it is the one with service classes.
    fn change_service_class(&mut self, key: &ObjectKey, now: Option<(&str, &BTreeMap<String, String>)>) -> bool {
        let Some(held) = &mut self.service_class else { return false };
        if key.namespace != self.pod_namespace || key.name != config_maps::SERVICE_CLASS {
            return false;
        }
        let map = now.map(|(uid, data)| {
            let before = held.map.as_ref().filter(|(before, _)| before == uid).map(|(_, read)| read);
            (uid.to_owned(), ServiceClasses::read(data, before))
        });
        let changed = held.map != map;
        held.map = map;
        changed
    }

    /// Key of the ConfigMap with service classes, its uid and what it says, if it is there and the hybrid mode is on.
    pub fn service_classes(&self) -> Option<(ObjectKey, &str, &ServiceClasses)> {
        let (uid, read) = self.service_class.as_ref()?.map.as_ref()?;
        Some((ObjectKey::new(&*self.pod_namespace, config_maps::SERVICE_CLASS), uid, read))
    }

    /// After a complete list of the ConfigMaps of one name in `namespace` (`None`: in all): forgets those that the list
    /// did not hold. Returns whether that changes anything.
    pub fn keep_only(&mut self, namespace: Option<&str>, name: &str, listed: &BTreeSet<ObjectKey>) -> bool {
        let listable = |key: &ObjectKey| key.name == name && namespace.is_none_or(|own| own == key.namespace);
        let classes = self.service_classes().map(|(key, _, _)| key);
        let keys = self.saturation.maps.keys().chain(self.scale_to_zero.maps.keys()).chain(&classes);
        let gone: Vec<_> = keys.filter(|key| listable(key) && !listed.contains(key)).cloned().collect();
        gone.iter().fold(false, |changed, key| self.delete(key) | changed)
    }
}

impl<E: Entry> Held<E> {
    fn new(configured: &str, usual: &str, old: &[&str]) -> Self {
        let mut names = vec![configured.to_owned()];
        if configured != usual {
            names.push(usual.to_owned());
        }
        let current_names = names.len();
        names.extend(old.iter().filter(|name| **name != configured).map(|name| (*name).to_owned()));
        Self { names, current_names, maps: BTreeMap::new() }
    }

    fn apply(&mut self, key: &ObjectKey, uid: &str, data: &BTreeMap<String, String>, place: &Place) -> bool {
        if !self.names.contains(&key.name) {
            return false;
        }
        // What an object of the same name said before it was deleted no longer counts, even if the deletion was missed.
        let before = self.maps.get(key).filter(|map| map.uid == uid);
        let map = Map { uid: uid.to_owned(), entries: Entries::read(data, place, before.map(|map| &map.entries)) };
        self.maps.insert(key.clone(), map.clone()) != Some(map)
    }

    /// The ConfigMap that counts in a namespace: of those there are, the one whose name comes first.
    pub fn in_force(&self, namespace: &str) -> Option<(ObjectKey, &Map<E>)> {
        self.present(namespace).next()
    }

    /// The ConfigMaps of a namespace, the one that counts first.
    pub fn present(&self, namespace: &str) -> impl Iterator<Item = (ObjectKey, &Map<E>)> {
        // Asked for every model of a fleet, and few namespaces have any.
        let first = self.maps.range(ObjectKey::new(namespace, "")..).next();
        let holds_any = first.is_some_and(|(key, _)| key.namespace == namespace);
        let keys = self.names.iter().filter(move |_| holds_any).map(move |name| ObjectKey::new(namespace, name));
        keys.filter_map(|key| self.maps.get(&key).map(|map| (key, map)))
    }
}
