//! Creating objects.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admission::{self, Origin};
use super::apply::{self, Writer};
use super::definitions::schema_of;
use super::failure::{Cause, Failure};
use super::state::{Call, State};
use super::store::Key;
use super::{convert, go_types};

impl State {
    /// Stores a new object and returns it as stored.
    pub(super) fn create(&mut self, call: &Call, body: Value) -> Result<Arc<Value>, Failure> {
        let resource = &call.resource;
        let mut object = admission::accept(call, body, Origin::Body)?;
        if object["metadata"].get("resourceVersion").is_some_and(|version| version != "0") {
            return Err(Failure::unclassified("resourceVersion should not be set on objects to be created"));
        }
        name_it(call, &mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = Key::new(&call.target.namespace, &name);
        self.require_namespace(call, &name)?;
        warn_of_name(call, &name);
        if self.store.get(call.stored_as(), &key).is_some() {
            return Err(Failure::already_exists(&resource.group, &resource.plural, &name));
        }
        admission::complete(call, &mut object);
        found(call, &mut object);
        if resource.has("status")
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        let writer = Writer {
            manager: &call.manager,
            api_version: &resource.api_version(),
            subresource: "",
            now: &call.now,
            status_is_separate: resource.has("status"),
        };
        let node = schema_of(resource);
        let blank = match node {
            Some(node) if resource.custom().is_none() => go_types::blank(node),
            _ => json!({}),
        };
        apply::track_update(&blank, &mut object, node, &writer);
        self.admit(call, None, &mut object)?;
        Ok(self.commit_new(call, &key, object))
    }

    /// Stores what create or apply made, unless the request is a dry run.
    pub(super) fn commit_new(&mut self, call: &Call, key: &Key, object: Value) -> Arc<Value> {
        if call.query.dry_run() {
            self.forget_reservations(&object);
            return Arc::new(object);
        }
        let object = self.store.put(call.stored_as(), key.clone(), convert::to_stored(&call.resource, object));
        self.created(call, &object);
        if call.resource.kind == "APIService" {
            // Whether it is available is found out later.
            return object;
        }
        // Following up may have written a status, which the caller then sees at once.
        self.store.get(call.stored_as(), key).cloned().unwrap_or(object)
    }

    /// Namespaced objects need a namespace that exists and is not going away.
    pub(super) fn require_namespace(&self, call: &Call, name: &str) -> Result<(), Failure> {
        if !call.resource.namespaced {
            return Ok(());
        }
        let namespace = &call.target.namespace;
        let Some(found) = self.namespace(namespace) else {
            return Err(Failure::not_found("", "namespaces", namespace));
        };
        if found["metadata"].get("deletionTimestamp").is_some() {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let failure = Failure::forbidden(&call.resource.group, &call.resource.plural, name, &why);
            return Err(failure.with_cause(
                "NamespaceTerminating",
                "metadata.namespace",
                &format!("namespace {namespace} is being terminated"),
            ));
        }
        Ok(())
    }
}

/// Gives a new object its identity.
pub(super) fn found(call: &Call, object: &mut Value) {
    let metadata = &mut object["metadata"];
    if call.resource.namespaced {
        metadata["namespace"] = json!(call.target.namespace);
    }
    metadata["uid"] = json!(call.uid.to_string());
    metadata["creationTimestamp"] = json!(call.now);
    if has_generation(call) {
        metadata["generation"] = json!(1);
    }
    if let Some(metadata) = metadata.as_object_mut() {
        for key in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            metadata.remove(key);
        }
    }
}

/// Kinds whose `metadata.generation` counts changes of the desired state.
pub(super) fn has_generation(call: &Call) -> bool {
    const KINDS: &[&str] = &[
        "CronJob",
        "CustomResourceDefinition",
        "DaemonSet",
        "Deployment",
        "EndpointSlice",
        "Ingress",
        "IngressClass",
        "Job",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PriorityClass",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ];
    call.resource.custom().is_some() || KINDS.contains(&call.resource.kind.as_str())
}

/// Names of what runs pods become host names, which are stricter.
fn warn_of_name(call: &Call, name: &str) {
    const KINDS: &[&str] = &["Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"];
    if call.resource.custom().is_some() || !KINDS.contains(&call.resource.kind.as_str()) {
        return;
    }
    let problem = if name.contains('.') && name.len() <= 63 {
        Some("must not contain dots".to_owned())
    } else {
        super::validation::metadata::label_problem(name)
    };
    if let Some(problem) = problem {
        call.warn(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label \
             is recommended: [{problem}]"
        ));
    }
}

fn name_it(call: &Call, object: &mut Value) -> Result<(), Failure> {
    let metadata = &mut object["metadata"];
    let text = |metadata: &Value, key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    let refused = |cause| Failure::invalid(&call.resource.group, &call.resource.kind, "", &[cause]);
    if text(metadata, "name").is_empty() {
        let prefix = text(metadata, "generateName");
        if prefix.is_empty() {
            return Err(refused(Cause::required("metadata.name", "name or generateName is required")));
        }
        metadata["name"] = json!(format!("{}{}", truncated(&prefix, 58), suffix(call.uid)));
    }
    Ok(())
}

/// Generated names have 63 characters at most, 5 of them random.
fn truncated(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// Five characters of an object's identity, without vowels, so that no words appear.
pub(super) fn suffix(uid: uuid::Uuid) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    uid.as_bytes().iter().take(5).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}
