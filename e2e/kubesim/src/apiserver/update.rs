//! Changing objects: update, the patches, server-side apply, and their status variants.

use std::sync::Arc;

use serde_json::{Value, json};

use super::action::Action;
use super::admission;
use super::apply::{self, Writer};
use super::convert;
use super::create::{found, has_generation};
use super::definitions::schema_of;
use super::failure::Failure;
use super::patch::{json_patch, merge_patch, strategic_merge_patch};
use super::state::{Call, State};

/// What a request wants to make of an object.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Replace(Value),
    JsonPatch(Value),
    MergePatch(Value),
    StrategicMergePatch(Value),
    Apply { config: Value, force: bool },
}

impl Write {
    /// The kind of patch its content type announces.
    pub(super) fn patch(call: &Call, content_type: &str, body: Value) -> Result<Self, Failure> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match media_type {
            "application/json-patch+json" => Ok(Self::JsonPatch(body)),
            "application/merge-patch+json" => Ok(Self::MergePatch(body)),
            "application/strategic-merge-patch+json" if call.resource.custom().is_none() => {
                Ok(Self::StrategicMergePatch(body))
            }
            "application/apply-patch+yaml" => {
                if call.query.get("fieldManager").is_none() {
                    return Err(Failure::new(
                        422,
                        "Invalid",
                        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                    ));
                }
                Ok(Self::Apply { config: body, force: call.query.flag("force") })
            }
            _ => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
        }
    }
}

/// What became of the object.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) object: Arc<Value>,
    pub(super) created: bool,
}

impl State {
    /// Carries out `write` on the object (or status) the call names; apply creates what does not exist.
    pub(super) fn write(&mut self, call: &Call, write: Write) -> Result<Written, Failure> {
        let resource = &call.resource;
        let Some(stored) = self.store.get(call.stored_as(), &call.key()).cloned() else {
            return match write {
                Write::Apply { config, .. } if call.target.subresource.is_empty() => self.apply_new(call, config),
                _ => Err(Failure::not_found(&resource.group, &resource.plural, &call.target.name)),
            };
        };
        let old = convert::to_served(resource, &stored);
        let api_version = resource.api_version();
        let writer = writer(call, &api_version);
        let applied = matches!(write, Write::Apply { .. });
        let mut new = carry_out(call, &old, write, &writer)?;
        let wanted = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !wanted.is_empty() && old["metadata"]["resourceVersion"] != wanted {
            return Err(Failure::modified(&resource.group, &resource.plural, &call.target.name));
        }
        let uid = new["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && old["metadata"]["uid"] != uid {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old["metadata"]["uid"].as_str().unwrap_or_default()
            );
            return Err(Failure::conflict(&resource.group, &resource.plural, &call.target.name, &why));
        }
        keep_server_fields(call, &old, &mut new);
        self.admit(call, Some(&old), &mut new)?;
        if !applied {
            apply::track_update(&old, &mut new, schema_of(resource), &writer);
        }
        if without_bookkeeping(&old) == without_bookkeeping(&new) && same_owners(&old, &new) {
            return Ok(Written { object: stored, created: false });
        }
        if has_generation(call) && desired_state_changed(&old, &new) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            new["metadata"]["generation"] = json!(generation);
        }
        if call.query.dry_run() {
            return Ok(Written { object: Arc::new(new), created: false });
        }
        let object = self.store.put(call.stored_as(), call.key(), convert::to_stored(resource, new));
        self.updated(call, &object);
        self.remove_if_finalized(call.stored_as(), &call.key());
        Ok(Written { object, created: false })
    }

    fn apply_new(&mut self, call: &Call, config: Value) -> Result<Written, Failure> {
        let resource = &call.resource;
        // A patch that turns out to create needs both rights.
        let action = Action { verb: "create".to_owned(), ..call.action.clone() };
        self.require(&call.user, &action)?;
        self.require_namespace(call, &call.target.name)?;
        let config = admission::accept(call, config)?;
        refuse_managed_fields(&config)?;
        if config["metadata"]["uid"].is_string() || config["metadata"]["resourceVersion"].is_string() {
            return Err(Failure::not_found(&resource.group, &resource.plural, &call.target.name));
        }
        let mut object = json!({
            "apiVersion": resource.api_version(),
            "kind": resource.kind,
            "metadata": {"name": call.target.name},
        });
        found(call, &mut object);
        let api_version = resource.api_version();
        let writer = writer(call, &api_version);
        let mut object = apply::apply(&object, &config, schema_of(resource), &writer, true)?;
        self.admit(call, None, &mut object)?;
        let object = self.commit_new(call, &call.key(), object);
        Ok(Written { object, created: true })
    }
}

fn writer<'a>(call: &'a Call, api_version: &'a str) -> Writer<'a> {
    Writer {
        manager: &call.manager,
        api_version,
        subresource: &call.target.subresource,
        now: &call.now,
        status_is_separate: call.resource.has("status"),
    }
}

fn carry_out(call: &Call, old: &Value, write: Write, writer: &Writer<'_>) -> Result<Value, Failure> {
    let node = schema_of(&call.resource);
    let mut new = old.clone();
    match write {
        Write::Replace(body) => return admission::accept(call, body),
        Write::JsonPatch(patch) => json_patch(&mut new, &patch)?,
        Write::MergePatch(patch) => merge_patch(&mut new, &patch),
        Write::StrategicMergePatch(patch) => strategic_merge_patch(&mut new, &patch, node)?,
        Write::Apply { config, force } => {
            let config = admission::accept(call, config)?;
            refuse_managed_fields(&config)?;
            let mut applied = apply::apply(old, &config, node, writer, force)?;
            if let Some(version) = config["metadata"].get("resourceVersion") {
                applied["metadata"]["resourceVersion"] = version.clone();
            }
            return Ok(applied);
        }
    }
    admission::accept(call, new)
}

fn refuse_managed_fields(config: &Value) -> Result<(), Failure> {
    match config["metadata"].get("managedFields") {
        Some(Value::Array(entries)) if !entries.is_empty() => {
            Err(Failure::bad_request("metadata.managedFields must be nil"))
        }
        _ => Ok(()),
    }
}

/// Restores what a client cannot change, and keeps status and the rest apart from each other.
fn keep_server_fields(call: &Call, old: &Value, new: &mut Value) {
    const KEPT: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ];
    let status_call = call.target.subresource == "status";
    if status_call {
        let status = new.get("status").cloned();
        let managed = new["metadata"].get("managedFields").cloned();
        new.clone_from(old);
        set(new, "status", status);
        set(&mut new["metadata"], "managedFields", managed);
    } else if call.resource.has("status") {
        set(new, "status", old.get("status").cloned());
    }
    for key in KEPT {
        set(&mut new["metadata"], key, old["metadata"].get(key).cloned());
    }
}

fn set(object: &mut Value, key: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match value {
        Some(value) => drop(fields.insert(key.to_owned(), value)),
        None => drop(fields.remove(key)),
    }
}

fn without_bookkeeping(object: &Value) -> Value {
    let mut object = object.clone();
    set(&mut object["metadata"], "managedFields", None);
    set(&mut object["metadata"], "resourceVersion", None);
    object
}

/// A request that changes nothing does not write; the times in the entries do not count.
fn same_owners(old: &Value, new: &Value) -> bool {
    let owners = |object: &Value| -> Vec<Value> {
        let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|mut entry| {
                set(&mut entry, "time", None);
                entry
            })
            .collect()
    };
    owners(old) == owners(new)
}

fn desired_state_changed(old: &Value, new: &Value) -> bool {
    let desired = |object: &Value| {
        let mut object = object.clone();
        set(&mut object, "metadata", None);
        set(&mut object, "status", None);
        object
    };
    desired(old) != desired(new)
}
