//! The main ConfigMap while the controller runs: what of a new content applies, and what is to be said. Pure.
//!
//! A new content is compared with the one seen before, so that a value that a flag or the environment overrides is no
//! news at each start. Deleting the ConfigMap changes nothing; what is created after that is compared with what was
//! there last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use wva_api::config_maps::MAIN_FILE;

use crate::config::keys::{self, Change, KEYS, Key};
use crate::config::sources::{Origin, Sources, given, uppercase};
use crate::config::{Live, flat};

/// What the main ConfigMap said last, and what of it is in force.
#[derive(Clone)]
pub struct MainMap {
    /// All sources; the values of live keys are those in force, all others are those of the start.
    sources: Sources,
    /// The content seen last.
    store: BTreeMap<String, String>,
    /// The last value of each key that could be used, for the next start.
    good: BTreeMap<String, String>,
    /// The last content of [`MAIN_FILE`] that could be read.
    file: BTreeMap<String, String>,
    /// Keys that do not exist and have been told of.
    unknown: BTreeSet<String>,
}

impl fmt::Debug for MainMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Raw values may be secrets.
        f.debug_struct("MainMap")
            .field("sources", &self.sources)
            .field("seen", &self.store.keys())
            .finish_non_exhaustive()
    }
}

/// Something to be said about a new content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// A live key changed.
    Applied {
        /// The key.
        key: &'static str,
        /// Value in force before.
        old: String,
        /// Value in force now.
        new: String,
    },
    /// A key changed that only a restart could change.
    Refused {
        /// The key.
        key: &'static str,
        /// Value in force, before and after.
        old: String,
        /// Value of the ConfigMap.
        new: String,
    },
    /// A key changed that is read at the start only.
    NextStart {
        /// The key.
        key: &'static str,
        /// Value in force.
        old: String,
        /// Value from the next start on.
        new: String,
    },
    /// A key changed that a stronger source gives as well.
    Overridden {
        /// The key.
        key: &'static str,
        /// Which source counts.
        by: Origin,
    },
    /// A value cannot be used.
    Invalid {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
        /// Value in force, before and after.
        kept: String,
    },
    /// There is no such key.
    Unknown {
        /// The key.
        key: String,
    },
    /// The key does not count in the ConfigMap.
    NotRead {
        /// The key.
        key: &'static str,
    },
}

/// The keys and values of a ConfigMap: its own, and those in the YAML of [`MAIN_FILE`], which are weaker.
///
/// # Errors
/// When that YAML cannot be read; in words for a person.
pub fn flatten(data: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    Ok(join(data, &file(data)?))
}

/// The last good values after a new content: of each key the new value, or the old one where that cannot be used.
fn good(before: &BTreeMap<String, String>, store: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut good = store.clone();
    for key in KEYS {
        let Some(value) = given(store, key).filter(|value| key.kind.check(value).is_err()) else { continue };
        good.retain(|name, old| old != value || !key.names().any(|other| other == name));
        if let Some(kept) = given(before, key) {
            good.insert(key.name.to_owned(), kept.to_owned());
        }
    }
    good
}

fn file(data: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    data.get(MAIN_FILE).map_or_else(|| Ok(BTreeMap::new()), |text| flat::parse(text).map(uppercase))
}

fn join(data: &BTreeMap<String, String>, file: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = data.iter().filter(|(key, _)| *key != MAIN_FILE);
    file.iter().chain(own).map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl MainMap {
    /// The state after the start; `sources` hold the ConfigMap as it was read then. Says what is odd about it.
    pub fn new(sources: Sources) -> (Self, Vec<SettingsChange>) {
        let mut map = Self {
            store: BTreeMap::new(),
            good: sources.config_map.clone(),
            // Whatever the YAML said is part of this.
            file: sources.config_map.clone(),
            unknown: BTreeSet::new(),
            sources: Sources { config_map: sources.config_map.clone(), ..sources },
        };
        map.store.clone_from(&map.sources.config_map);
        let changes = map.odd_keys();
        (map, changes)
    }

    /// Takes a new content. Returns what holds from now on and what is to be said.
    pub fn apply(&mut self, data: &BTreeMap<String, String>) -> (Option<Live>, Vec<SettingsChange>) {
        let mut changes = Vec::new();
        match file(data) {
            Ok(file) => self.file = file,
            Err(why) => changes.push(SettingsChange::Invalid {
                key: MAIN_FILE.to_owned(),
                value: String::new(),
                why,
                kept: "its last good version".to_owned(),
            }),
        }
        let before = std::mem::replace(&mut self.store, join(data, &self.file));
        self.good = good(&self.good, &self.store);
        for key in KEYS {
            let (old, new) = (given(&before, key), given(&self.store, key));
            if old != new {
                let new = new.map(str::to_owned);
                changes.extend(self.change(key, new));
            }
        }
        changes.extend(self.odd_keys());
        // Every value that got this far has been checked.
        (Live::resolve(&self.sources).ok(), changes)
    }

    /// The values of the content seen last that cannot be used.
    pub fn invalid(&self) -> Vec<SettingsChange> {
        let read = KEYS.iter().filter(|key| key.change != Change::NotRead);
        let invalid = read.filter_map(|key| {
            let value = given(&self.store, key)?;
            let why = key.kind.check(value).err()?;
            let (value, kept) = (key.shown(value).into_owned(), key.shown(self.sources.value(key).0).into_owned());
            Some(SettingsChange::Invalid { key: key.name.to_owned(), value, why, kept })
        });
        invalid.collect()
    }

    /// The last values that could be used, as JSON, without what must not be shown.
    pub fn last_good(&self) -> String {
        let shown = |name: &str, value: &str| {
            let key = keys::find_any(name).filter(|key| key.change != Change::NotRead)?;
            (key.shown(value) == value).then_some(())
        };
        let good = self.good.iter().filter(|(name, value)| shown(name, value).is_some());
        serde_json::to_string(&good.collect::<BTreeMap<_, _>>()).unwrap_or_default()
    }

    /// What comes of a key that has a new value in the ConfigMap, or none any more.
    fn change(&mut self, key: &'static Key, new: Option<String>) -> Option<SettingsChange> {
        let (running, origin) = self.sources.value(key);
        let running = running.to_owned();
        let overridden = origin > Origin::ConfigMap;
        if let Some(value) = &new
            && key.change != Change::Refused
            && let Err(why) = key.kind.check(value)
        {
            let (value, kept) = (key.shown(value).into_owned(), key.shown(&running).into_owned());
            return Some(SettingsChange::Invalid { key: key.name.to_owned(), value, why, kept });
        }
        let wanted = new.clone().unwrap_or_else(|| key.default.to_owned());
        let shown = |value: &str| key.shown(value).into_owned();
        let (old, wanted_shown) = (shown(&running), shown(&wanted));
        match key.change {
            Change::Live => {
                for name in key.names() {
                    self.sources.config_map.remove(name);
                }
                if let Some(value) = new {
                    self.sources.config_map.insert(key.name.to_owned(), value);
                }
                if overridden {
                    return Some(SettingsChange::Overridden { key: key.name, by: origin });
                }
                (running != wanted).then_some(SettingsChange::Applied { key: key.name, old, new: wanted_shown })
            }
            // What is taken out of the ConfigMap is missed only where it came from there.
            Change::Refused | Change::NextStart if running == wanted || (overridden && new.is_none()) => None,
            Change::Refused => Some(SettingsChange::Refused { key: key.name, old, new: wanted_shown }),
            Change::NextStart if overridden => Some(SettingsChange::Overridden { key: key.name, by: origin }),
            Change::NextStart => Some(SettingsChange::NextStart { key: key.name, old, new: wanted_shown }),
            Change::NotRead => None,
        }
    }

    /// Keys of the content that do not count in a ConfigMap; each is told once.
    fn odd_keys(&mut self) -> Vec<SettingsChange> {
        let mut changes = Vec::new();
        for name in self.store.keys().filter(|name| *name != MAIN_FILE) {
            let odd = match keys::find_any(name) {
                None => SettingsChange::Unknown { key: name.clone() },
                Some(key) if key.change == Change::NotRead => SettingsChange::NotRead { key: key.name },
                Some(_) => continue,
            };
            if self.unknown.insert(name.clone()) {
                changes.push(odd);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests;
