//! Between decoding and storing: what is checked, filled in and reserved for an object.

use serde_json::{Value, json};

use super::definitions::schema_of;
use super::failure::Failure;
use super::fields::{self, FieldValidation};
use super::state::{Call, State};
use super::{body, defaults, validation};

/// Checks that a body is the kind of object its path says, and gives it the form objects have here.
pub(super) fn accept(call: &Call, mut body: Value) -> Result<Value, Failure> {
    let resource = &call.resource;
    if !body.is_object() {
        return Err(Failure::bad_request(format!("the request body is not a {} object", resource.kind)));
    }
    identify(call, &mut body)?;
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    if resource.custom().is_some() {
        body::drop_nulls(&mut body["metadata"]);
    } else {
        body::drop_nulls(&mut body);
    }
    check_place(call, &body["metadata"])?;
    if let Some(node) = schema_of(resource) {
        let mode = FieldValidation::parse(call.query.get("fieldValidation"))?;
        report_unknown(call, mode, &fields::prune(node, &mut body))?;
        if resource.custom().is_none() {
            fields::check_types(resource, node, &body)?;
            fields::normalise(node, &mut body);
        }
    }
    Ok(body)
}

fn identify(call: &Call, body: &mut Value) -> Result<(), Failure> {
    let resource = &call.resource;
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
                "{kind} in version {:?} cannot be handled as a {}: the kind in the data does not match the path",
                resource.version, resource.kind
            )));
        }
        _ => body["kind"] = json!(resource.kind),
    }
    Ok(())
}

fn check_place(call: &Call, metadata: &Value) -> Result<(), Failure> {
    let given = |key: &str| metadata[key].as_str().unwrap_or_default();
    if call.resource.namespaced && !given("namespace").is_empty() && given("namespace") != call.target.namespace {
        return Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {} is not {}",
            given("namespace"),
            call.target.namespace
        )));
    }
    if !call.target.name.is_empty() && !given("name").is_empty() && given("name") != call.target.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            given("name"),
            call.target.name
        )));
    }
    Ok(())
}

fn report_unknown(call: &Call, mode: FieldValidation, unknown: &[String]) -> Result<(), Failure> {
    let texts = || unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match mode {
        FieldValidation::Ignore => {}
        FieldValidation::Warn => texts().for_each(|text| call.warn(text)),
        FieldValidation::Strict if unknown.is_empty() => {}
        FieldValidation::Strict => {
            return Err(Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {errors}",
                kind = call.resource.kind,
                version = call.resource.version,
                errors = texts().collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(())
}

impl State {
    /// Defaults, validates and reserves for `object`, which is about to be stored in place of `old`.
    pub(super) fn admit(&mut self, call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        let resource = &call.resource;
        if let Some(version) = resource.custom() {
            return version.admit(resource, old, object);
        }
        if call.target.subresource == "status" {
            return Ok(());
        }
        prepare(call, old, object);
        keep_service_address(resource.kind.as_str(), old, object);
        defaults::fill(resource, object);
        let mut causes = schema_of(resource).map(|node| fields::missing(node, object)).unwrap_or_default();
        if causes.is_empty() {
            causes = validation::validate(resource, self.gates, old, object);
        }
        if resource.kind == "CustomResourceDefinition" {
            causes.extend(super::crd::problems(object));
        }
        if !causes.is_empty() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(Failure::invalid(&resource.group, &resource.kind, name, &causes));
        }
        match (resource.group.as_str(), resource.kind.as_str()) {
            ("", "Service") => self.reserve_service_address(old, object)?,
            ("", "Secret") => self.fill_token_secret(object),
            _ => {}
        }
        Ok(())
    }

    /// Follows up on a new object.
    pub(super) fn created(&mut self, call: &Call, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match call.resource.kind.as_str() {
            "Namespace" => self.furnish_namespace(&name, &call.now),
            "CustomResourceDefinition" => self.serve_definition(&name, &call.now),
            "ClusterRole" => self.aggregate_roles(),
            _ => {}
        }
    }

    /// Follows up on a changed object.
    pub(super) fn updated(&mut self, call: &Call, object: &Value) {
        match call.resource.kind.as_str() {
            "CustomResourceDefinition" if call.target.subresource.is_empty() => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                self.serve_definition(&name, &call.now);
            }
            "ClusterRole" => self.aggregate_roles(),
            _ => {}
        }
    }

    fn reserve_service_address(&mut self, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let owner = format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let spec = &mut object["spec"];
        let wanted = text(&spec["clusterIP"]);
        if spec["type"] == "ExternalName" {
            if let Some(before) = old.and_then(|old| old["spec"]["clusterIP"].as_str()) {
                self.addresses.release(before);
            }
            return Ok(());
        }
        if wanted != "None" {
            let wanted = Some(wanted.as_str()).filter(|wanted| !wanted.is_empty());
            let address = self.addresses.allocate(&owner, wanted)?;
            spec["clusterIP"] = json!(address.to_string());
        }
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
        if matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
            for port in spec["ports"].as_array_mut().into_iter().flatten() {
                if port["nodePort"].as_i64().is_none_or(|number| number == 0) {
                    port["nodePort"] = json!(self.addresses.allocate_node_port());
                }
            }
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
}

/// What the server itself decides about an object before defaults apply.
fn prepare(call: &Call, old: Option<&Value>, object: &mut Value) {
    match (call.resource.group.as_str(), call.resource.kind.as_str()) {
        ("", "Namespace") => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            if old.is_none() {
                object["spec"]["finalizers"] = json!(["kubernetes"]);
                object["status"] = json!({"phase": "Active"});
            } else if call.target.subresource.is_empty()
                && let Some(old) = old
            {
                // Only the finalize subresource changes what keeps a namespace.
                object["spec"] = old["spec"].clone();
            }
        }
        ("", "Pod") if old.is_none() => {
            object["status"] = json!({"phase": "Pending", "qosClass": qos_class(&object["spec"])});
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") if object["metadata"].get("labels").is_none() => {
            if let Some(labels) = object.pointer("/spec/template/metadata/labels").cloned() {
                object["metadata"]["labels"] = labels;
            }
        }
        _ => {}
    }
}

/// `Guaranteed` when every container has equal limits and requests for CPU and memory.
fn qos_class(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let resources = |container: &Value, list: &str, name: &str| container["resources"][list].get(name).cloned();
    let any = containers().any(|container| {
        ["limits", "requests"]
            .iter()
            .any(|list| ["cpu", "memory"].iter().any(|name| resources(container, list, name).is_some()))
    });
    let all = containers().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = resources(container, "limits", name);
            let request = resources(container, "requests", name);
            limit.is_some() && (request.is_none() || request == limit)
        })
    });
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// An update that leaves the address of a Service out keeps it.
fn keep_service_address(kind: &str, old: Option<&Value>, object: &mut Value) {
    let Some(old) = old.filter(|_| kind == "Service") else { return };
    if object["spec"]["type"] == "ExternalName" {
        return;
    }
    for field in ["clusterIP", "clusterIPs"] {
        let absent = object["spec"].get(field).is_none_or(|value| value == "");
        if absent && let Some(value) = old["spec"].get(field) {
            object["spec"][field] = value.clone();
        }
    }
}
