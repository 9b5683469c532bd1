//! Between decoding and storing: what is checked, filled in and reserved for an object.

use serde_json::{Value, json};

use super::body;
use super::failure::Failure;
use super::state::{Call, State};

/// Checks that a body is the kind of object its path says, and normalises it.
pub(super) fn accept(call: &Call, mut body: Value) -> Result<Value, Failure> {
    let resource = &call.resource;
    if !body.is_object() {
        return Err(Failure::bad_request(format!("the request body is not a {} object", resource.kind)));
    }
    let expected = resource.api_version();
    match body["apiVersion"].as_str() {
        Some(version) if !version.is_empty() && version != expected => {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({expected})"
            )));
        }
        _ => body["apiVersion"] = json!(expected),
    }
    match body["kind"].as_str() {
        Some(kind) if !kind.is_empty() && kind != resource.kind => {
            return Err(Failure::bad_request(format!(
                "{kind} in version {:?} cannot be handled as a {}: converting ({kind}) to ({}): unknown conversion",
                resource.version, resource.kind, resource.kind
            )));
        }
        _ => body["kind"] = json!(resource.kind),
    }
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    if resource.custom().is_some() {
        body::drop_nulls(&mut body["metadata"]);
    } else {
        body::drop_nulls(&mut body);
    }
    let given = |key: &str| body["metadata"][key].as_str().unwrap_or_default();
    if resource.namespaced && !given("namespace").is_empty() && given("namespace") != call.target.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !call.target.name.is_empty() && !given("name").is_empty() && given("name") != call.target.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            given("name"),
            call.target.name
        )));
    }
    Ok(body)
}

impl State {
    /// Defaults, validates and reserves for `object`, which is about to be stored in place of `old`.
    pub(super) fn admit(&mut self, call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        if call.resource.custom().is_none() && call.resource.kind == "Namespace" && old.is_none() {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = object["metadata"]["name"].clone();
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"]["phase"] = json!("Active");
        }
        Ok(())
    }

    /// Gives back what `admit` reserved for an object that is not stored after all.
    pub(super) fn forget_reservations(&mut self, object: &Value) {
        if object["kind"] == "Service"
            && let Some(address) = object["spec"]["clusterIP"].as_str()
        {
            self.addresses.release(address);
        }
    }

    /// Follows up on a new object.
    pub(super) fn created(&mut self, call: &Call, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match call.resource.kind.as_str() {
            "Namespace" => self.furnish_namespace(&name, &call.now),
            "CustomResourceDefinition" => self.serve_definition(&name, &call.now),
            _ => {}
        }
    }

    /// Follows up on a changed object.
    pub(super) fn updated(&mut self, call: &Call, object: &Value) {
        if call.resource.kind == "CustomResourceDefinition" && call.target.subresource.is_empty() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            self.serve_definition(&name, &call.now);
        }
    }
}
