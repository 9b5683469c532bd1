//! Changing objects: update, the patches, server-side apply, and their status variants.

use std::sync::Arc;

use serde_json::{Value, json};

use super::action::Action;
use super::admission::{self, Origin};
use super::apply::{self, Writer};
use super::convert;
use super::create::{found, has_generation};
use super::definitions::schema_of;
use super::delete::is_finalized;
use super::failure::{Cause, Failure};
use super::patch::{json_patch, merge_patch, strategic_merge_patch};
use super::schema::Node;
use super::state::{Call, State};
use super::{fields, options};

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
                    let cause = Cause::required("fieldManager", "is required for apply patch");
                    return Err(Failure::invalid_options("PatchOptions", &[cause]));
                }
                Ok(Self::Apply { config: body, force: call.query.flag("force") })
            }
            "application/strategic-merge-patch+json" => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_details()),
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
        let replaced = matches!(write, Write::Replace(_));
        let mut new = carry_out(call, &old, write, &writer)?;
        let wanted = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if replaced && (wanted.is_empty() || wanted == "0") && !takes_unconditional_updates(call) {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Failure::invalid(&resource.group, &resource.plural, &call.target.name, &[cause]));
        }
        if !wanted.is_empty() && wanted.parse::<u64>().is_err() {
            return Err(Failure::unclassified(options::parse_error("ParseUint", wanted)));
        }
        if !wanted.is_empty() && wanted != "0" && old["metadata"]["resourceVersion"] != wanted {
            return Err(Failure::modified(&resource.group, &resource.plural, &call.target.name));
        }
        let uid = new["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && old["metadata"]["uid"] != uid {
            if !replaced && !applied {
                let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
                let causes = [cause.clone(), cause];
                return Err(Failure::invalid(&resource.group, &resource.kind, &call.target.name, &causes));
            }
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
                 failed: UID in precondition: {uid}, UID in object meta: {}",
                storage_key(call),
                old["metadata"]["uid"].as_str().unwrap_or_default()
            );
            return Err(Failure::conflict(&resource.group, &resource.plural, &call.target.name, &why));
        }
        keep_server_fields(call, &old, &mut new);
        admission::complete(call, &mut new);
        if !applied {
            apply::track_update(&old, &mut new, schema_of(resource), &writer);
        }
        self.admit(call, Some(&old), &mut new)?;
        if without_bookkeeping(&old) == without_bookkeeping(&new) && same_owners(&old, &new) {
            return Ok(Written { object: stored, created: false });
        }
        if has_generation(call) && desired_state_changed(call, &old, &new) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            new["metadata"]["generation"] = json!(generation);
        }
        if call.query.dry_run() {
            return Ok(Written { object: Arc::new(new), created: false });
        }
        if is_finalized(call.stored_as(), &new) {
            // What only waited for this is removed, not written.
            self.remove(call.stored_as(), &call.key());
            return Ok(Written { object: Arc::new(new), created: false });
        }
        let object = self.store.put(call.stored_as(), call.key(), convert::to_stored(resource, new));
        self.updated(call, &object);
        Ok(Written { object, created: false })
    }

    fn apply_new(&mut self, call: &Call, config: Value) -> Result<Written, Failure> {
        let resource = &call.resource;
        // A patch that turns out to create needs both rights.
        let action = Action { verb: "create".to_owned(), ..call.action.clone() };
        self.require(&call.user, &action)?;
        self.require_namespace(call, &call.target.name)?;
        let config = admission::accept_config(call, config)?;
        refuse_managed_fields(&config)?;
        if let Some(uid) = config["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(&resource.group, &resource.plural, &call.target.name, &why));
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
        admission::complete(call, &mut object);
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
    let shown = match write {
        Write::Replace(body) => return admission::accept(call, body, Origin::Body),
        Write::JsonPatch(patch) => {
            json_patch(&mut new, &patch)?;
            new.to_string()
        }
        Write::MergePatch(patch) => {
            require_map(&patch)?;
            merge_patch(&mut new, &patch);
            new.to_string()
        }
        Write::StrategicMergePatch(patch) => {
            require_map(&patch)?;
            strategic_merge_patch(&mut new, &patch, node)?;
            return admission::accept(call, new, Origin::StrategicPatch(&go_map(&patch)));
        }
        Write::Apply { config, force } => {
            let config = admission::accept_config(call, config)?;
            refuse_managed_fields(&config)?;
            let mut applied = apply::apply(old, &config, node, writer, force)?;
            if let Some(node) = node.filter(|_| call.resource.custom().is_none()) {
                settle_nulls(node, &mut applied);
            }
            if let Some(version) = config["metadata"].get("resourceVersion") {
                applied["metadata"]["resourceVersion"] = version.clone();
            }
            return Ok(applied);
        }
    };
    admission::accept(call, new, Origin::Patch(&shown))
}

/// What Go makes of `null`: nothing, but the zero value in a map.
fn settle_nulls(node: Node<'_>, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let in_map = !node.schema()["properties"].is_object();
            for (name, child) in fields.iter_mut() {
                let Some(below) = node.field(name) else { continue };
                if child.is_null() && in_map && below.schema()["type"] == "string" {
                    *child = json!("");
                }
                settle_nulls(below, child);
            }
            fields.retain(|_, child| !child.is_null());
        }
        Value::Array(items) => {
            if let Some(below) = node.items() {
                for item in items {
                    settle_nulls(below, item);
                }
            }
        }
        _ => {}
    }
}

fn require_map(patch: &Value) -> Result<(), Failure> {
    match patch {
        Value::Object(_) => Ok(()),
        Value::Null => Err(Failure::bad_request("Invalid JSON Patch")),
        other => Err(Failure::bad_request(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            fields::json_type(other)
        ))),
    }
}

/// A value as Go prints maps: `map[a:1 b:[x y]]`.
pub(super) fn go_map(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut parts: Vec<String> = fields.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            parts.sort();
            format!("map[{}]", parts.join(" "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// Kinds that may be replaced without saying which version of them was read. Custom resources are none of them.
fn takes_unconditional_updates(call: &Call) -> bool {
    const ASKED: &[&str] = &["APIService", "CustomResourceDefinition", "Lease", "PodDisruptionBudget", "RuntimeClass"];
    call.resource.custom().is_none() && !ASKED.contains(&call.resource.kind.as_str())
}

/// Where the object would be in etcd.
fn storage_key(call: &Call) -> String {
    let resource = &call.resource;
    let group = if resource.custom().is_some() { format!("{}/", resource.group) } else { String::new() };
    let plural = match resource.plural.as_str() {
        "services" => "services/specs",
        "endpoints" => "services/endpoints",
        "nodes" => "minions",
        "ingresses" => "ingress",
        plural => plural,
    };
    let namespace = if resource.namespaced { format!("{}/", call.target.namespace) } else { String::new() };
    format!("/registry/{group}{plural}/{namespace}{}", call.target.name)
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
pub(super) fn keep_server_fields(call: &Call, old: &Value, new: &mut Value) {
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
    if call.target.subresource == "resize" {
        resize(old, new);
    }
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

/// Resources are all that changes.
fn resize(old: &Value, new: &mut Value) {
    let mut resized = old.clone();
    let managed = new["metadata"].get("managedFields").cloned();
    for (index, container) in resized["spec"]["containers"].as_array_mut().into_iter().flatten().enumerate() {
        container["resources"] = new["spec"]["containers"][index]["resources"].clone();
    }
    *new = resized;
    set(&mut new["metadata"], "managedFields", managed);
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

fn desired_state_changed(call: &Call, old: &Value, new: &Value) -> bool {
    let resource = &call.resource;
    let desired = |object: &Value| {
        let mut object = object.clone();
        if resource.kind == "Deployment"
            && let Some(annotations) = object["metadata"]["annotations"].as_object_mut()
        {
            // In a real cluster its controller writes it with the status, which does not count.
            annotations.remove("deployment.kubernetes.io/revision");
        }
        let annotations = Some(&object["metadata"]["annotations"]).filter(|all| **all != json!({}));
        let counted = match resource.kind.as_str() {
            _ if resource.custom().is_some() => None,
            "Deployment" => Some(json!({ "annotations": annotations })),
            "EndpointSlice" => {
                let metadata = &object["metadata"];
                Some(json!({"labels": metadata["labels"], "annotations": metadata["annotations"]}))
            }
            _ => None,
        };
        set(&mut object, "metadata", counted);
        set(&mut object, "status", None);
        object
    };
    desired(old) != desired(new)
}
