//! The managers of an object: reading and writing `metadata.managedFields`.

use serde_json::{Map, Value, json};

use super::fieldset::FieldSet;
use super::walk::Difference;
use crate::apiserver::failure::Failure;

/// Who writes, through which door.
#[derive(Debug, Clone, Copy)]
pub(in crate::apiserver) struct Writer<'a> {
    pub(in crate::apiserver) manager: &'a str,
    pub(in crate::apiserver) api_version: &'a str,
    /// `status`, `scale` or empty.
    pub(in crate::apiserver) subresource: &'a str,
    /// RFC 3339 in whole seconds.
    pub(in crate::apiserver) now: &'a str,
    /// Whether the resource has a status of its own, which writers of the main object do not touch.
    pub(in crate::apiserver) status_is_separate: bool,
}

impl Writer<'_> {
    /// The fields that can be owned: server-set metadata never is, and status only through its own door.
    pub(super) fn owned_part(&self, object: &Value) -> Value {
        const OWNED_METADATA: [&str; 5] = ["labels", "annotations", "finalizers", "generateName", "ownerReferences"];
        let Some(fields) = object.as_object() else { return json!({}) };
        let mut part = Map::new();
        for (name, value) in fields {
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "status" if self.subresource != "status" && self.status_is_separate => {}
                "status" => drop(part.insert(name.clone(), value.clone())),
                _ if self.subresource == "status" => {}
                "metadata" => {
                    let owned: Map<String, Value> = OWNED_METADATA
                        .iter()
                        .filter_map(|&key| Some((key.to_owned(), value.get(key)?.clone())))
                        .collect();
                    if owned.is_empty() {
                        continue;
                    }
                    part.insert(name.clone(), Value::Object(owned));
                }
                _ => drop(part.insert(name.clone(), value.clone())),
            }
        }
        Value::Object(part)
    }
}

#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

impl Entry {
    fn is(&self, writer: &Writer<'_>, apply: bool) -> bool {
        self.manager == writer.manager
            && self.apply == apply
            && self.subresource == writer.subresource
            && (apply || self.api_version == writer.api_version)
    }

    /// As conflict messages name a manager.
    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        if !self.apply {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

/// All owners of one object.
#[derive(Debug, Clone)]
pub(super) struct Managers(Vec<Entry>);

impl Managers {
    pub(super) fn of(object: &Value) -> Self {
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        Self(
            entries
                .map(|entry| Entry {
                    manager: text(entry, "manager"),
                    apply: entry["operation"] == "Apply",
                    api_version: text(entry, "apiVersion"),
                    subresource: text(entry, "subresource"),
                    time: text(entry, "time"),
                    fields: FieldSet::decode(&entry["fieldsV1"]),
                })
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn store(&self, object: &mut Value) {
        let entries: Vec<Value> = self
            .0
            .iter()
            .filter(|entry| !entry.fields.is_empty())
            .map(|entry| {
                let mut encoded = json!({
                    "manager": entry.manager,
                    "operation": if entry.apply { "Apply" } else { "Update" },
                    "apiVersion": entry.api_version,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": entry.fields.encode(),
                });
                if !entry.time.is_empty() {
                    encoded["time"] = json!(entry.time);
                }
                if !entry.subresource.is_empty() {
                    encoded["subresource"] = json!(entry.subresource);
                }
                encoded
            })
            .collect();
        if entries.is_empty() {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
        } else {
            object["metadata"]["managedFields"] = Value::Array(entries);
        }
    }

    /// Everything that anyone owns.
    pub(super) fn union(&self) -> FieldSet {
        let mut all = FieldSet::default();
        for entry in &self.0 {
            all.union(&entry.fields);
        }
        all
    }

    /// Sets what `writer` owns by applying and returns what it owned before.
    pub(super) fn replace_applied(&mut self, writer: &Writer<'_>, fields: FieldSet) -> Option<FieldSet> {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.is(writer, true)) {
            if entry.fields != fields || entry.api_version != writer.api_version {
                writer.now.clone_into(&mut entry.time);
                writer.api_version.clone_into(&mut entry.api_version);
            }
            return Some(std::mem::replace(&mut entry.fields, fields));
        }
        self.0.push(Entry::new(writer, true, fields));
        None
    }

    /// Whether every field that an apply would take from others is in `allowed`, and there is one.
    pub(super) fn all_conflicts_are_in(
        &self,
        writer: &Writer<'_>,
        difference: &Difference,
        allowed: &FieldSet,
    ) -> bool {
        let mut changed = difference.added.clone();
        changed.union(&difference.modified);
        let mut conflicts = FieldSet::default();
        for entry in self.0.iter().filter(|entry| !entry.is(writer, true)) {
            conflicts.union(&entry.fields.intersection(&changed));
        }
        if conflicts.is_empty() {
            return false;
        }
        conflicts.subtract(allowed);
        conflicts.is_empty()
    }

    /// Takes what an apply changed from its other owners, or refuses when that is not forced.
    pub(super) fn take_over(
        &mut self,
        writer: &Writer<'_>,
        difference: &Difference,
        force: bool,
    ) -> Result<(), Failure> {
        let mut changed = difference.added.clone();
        changed.union(&difference.modified);
        let others = || self.0.iter().filter(|entry| !entry.is(writer, true));
        if !force {
            let mut conflicts: Vec<(String, String)> = others()
                .flat_map(|entry| {
                    let paths = entry.fields.intersection(&changed).paths();
                    paths.into_iter().map(|path| (entry.describe(), path))
                })
                .collect();
            conflicts.sort();
            if !conflicts.is_empty() {
                return Err(Failure::apply_conflict(&conflicts));
            }
        }
        self.subtract_from_others(writer, true, &changed, &difference.removed);
        Ok(())
    }

    /// Gives what an ordinary write added or modified to `writer` alone.
    pub(super) fn record_update(&mut self, writer: &Writer<'_>, difference: &Difference) {
        let mut changed = difference.added.clone();
        changed.union(&difference.modified);
        if changed.is_empty() && difference.removed.is_empty() {
            return;
        }
        self.subtract_from_others(writer, false, &changed, &difference.removed);
        let index = self.0.iter().position(|entry| entry.is(writer, false)).unwrap_or_else(|| {
            self.0.push(Entry::new(writer, false, FieldSet::default()));
            self.0.len() - 1
        });
        let entry = &mut self.0[index];
        entry.fields.subtract(&difference.removed);
        entry.fields.union(&changed);
        // A scale says who scaled, not when.
        let now = if writer.subresource == "scale" { "" } else { writer.now };
        now.clone_into(&mut entry.time);
    }

    fn subtract_from_others(&mut self, writer: &Writer<'_>, apply: bool, changed: &FieldSet, removed: &FieldSet) {
        for entry in self.0.iter_mut().filter(|entry| !entry.is(writer, apply)) {
            entry.fields.subtract(changed);
            entry.fields.subtract(removed);
        }
    }
}

impl Entry {
    fn new(writer: &Writer<'_>, apply: bool, fields: FieldSet) -> Self {
        Self {
            manager: writer.manager.to_owned(),
            apply,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.now.to_owned(),
            fields,
        }
    }
}
