//! Between decoding and storing: what is checked, filled in and reserved for an object.

use serde_json::{Value, json};

use super::apply::typed;
use super::attributes::{Attributes, Operation};
use super::body::{self, Places};
use super::create::suffix;
use super::definitions::schema_of;
use super::failure::{Cause, Failure};
use super::fields::{self, FieldValidation};
use super::resource::Resource;
use super::state::{Call, State};
use super::store::{GroupResource, Key};
use super::update::keep_server_fields;
use super::webhooks::Plugins;
use super::{builtin, defaults, go_types, pod_security, validation};

/// Where an object that is to be stored comes from, which decides how its faults are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// The body of a request.
    Body,
    /// The result of a patch; the text is the patch.
    Patch(&'a str),
    /// The result of a strategic merge patch, which is decoded by another hand.
    StrategicPatch(&'a str),
}

/// Checks that a body is the kind of object its path says, and gives it the form objects have here.
pub(super) fn accept(call: &Call, mut body: Value, origin: Origin<'_>) -> Result<Value, Failure> {
    let resource = &call.resource;
    if !body.is_object() {
        return Err(not_an_object(resource, &body));
    }
    match origin {
        Origin::Body => identify(call, &mut body)?,
        Origin::Patch(_) | Origin::StrategicPatch(_) => {
            body["apiVersion"] = json!(resource.api_version());
            body["kind"] = json!(resource.kind);
        }
    }
    if body.get("metadata").is_none_or(Value::is_null) {
        body["metadata"] = json!({});
    }
    if resource.custom().is_some() {
        body::drop_nulls(&mut body["metadata"]);
    } else {
        body::drop_nulls(&mut body);
    }
    let unknown = decode(resource, &mut body).map_err(|error| undecodable(resource, &error, origin))?;
    report_fields(call, unknown, origin)?;
    if resource.custom().is_some() {
        decode_metadata(&mut body["metadata"]).map_err(|error| undecodable(resource, &error, origin))?;
    }
    check_place(call, &body["metadata"])?;
    Ok(body)
}

/// Gives an object the form of its kind, and tells which of its fields the kind does not have.
fn decode(resource: &Resource, body: &mut Value) -> Result<Vec<String>, String> {
    let Some(node) = schema_of(resource) else { return Ok(Vec::new()) };
    let unknown = fields::prune(node, body);
    if resource.custom().is_none() {
        if let Some(error) = fields::type_error(resource, node, body) {
            return Err(error);
        }
        fields::normalise(node, body);
        go_types::encode(node, body);
    }
    Ok(unknown)
}

/// The same for the metadata of a custom resource.
fn decode_metadata(metadata: &mut Value) -> Result<(), String> {
    if let Some(error) = fields::metadata_error(metadata) {
        return Err(error);
    }
    go_types::encode_metadata(metadata);
    Ok(())
}

/// The decoder's refusal of something that is no object at all.
fn not_an_object(resource: &Resource, body: &Value) -> Failure {
    const ENVELOPE: &str = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
        \"json:\\\"kind,omitempty\\\"\" }";
    let kind = &resource.kind;
    let (error, shown) = match body {
        Value::Null => ("unexpected end of JSON input".to_owned(), "<empty>".to_owned()),
        other => {
            let shown = body::hex(other.to_string().as_bytes());
            (format!("json: cannot unmarshal {} into Go value of type {ENVELOPE}", fields::json_type(other)), shown)
        }
    };
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: \
         {error} ({shown})"
    ))
}

fn undecodable(resource: &Resource, error: &str, origin: Origin<'_>) -> Failure {
    match origin {
        Origin::Body => Failure::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: {error}",
            kind = resource.kind,
            version = resource.version,
        )),
        Origin::Patch(patch) => Failure::invalid_patch(patch, error),
        Origin::StrategicPatch(patch) => Failure::invalid_patch(patch, &converter_error(error)),
    }
}

/// What the converter from maps to Go's types says where the decoder of JSON says `error`.
fn converter_error(error: &str) -> String {
    let parts =
        error.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split_once(" into Go struct field "));
    let Some((found, wanted)) = parts.and_then(|(found, rest)| Some((found, rest.rsplit_once(" of type ")?.1))) else {
        return error.to_owned();
    };
    let found = match found.split(' ').next().unwrap_or_default() {
        "object" => "map",
        "array" => "slice",
        "number" => "int64",
        other => other,
    };
    if wanted.starts_with("[]") {
        format!("cannot restore slice from {found}")
    } else if wanted.starts_with("map[") {
        format!("cannot restore map from {found}")
    } else if wanted.contains('.') {
        format!("cannot restore struct from: {found}")
    } else {
        format!("unrecognized type: {wanted}")
    }
}

/// Checks an applied configuration: it has to name its type, and to fit it whatever the validation asked for.
pub(super) fn accept_config(call: &Call, mut body: Value) -> Result<Value, Failure> {
    let resource = &call.resource;
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !body.is_object() || kind.is_empty() || version.is_empty() {
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        return Err(Failure::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    identify(call, &mut body)?;
    if body.get("metadata").is_none_or(Value::is_null) {
        body["metadata"] = json!({});
    }
    check_place(call, &body["metadata"])?;
    let Some(node) = schema_of(resource) else { return Ok(body) };
    let faults = typed::faults(node, &body);
    if !faults.is_empty() {
        let (namespace, name) = (&call.target.namespace, &call.target.name);
        let place = if namespace.is_empty() { format!("/{name}") } else { format!("{namespace}/{name}") };
        let given = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = if given(&body["metadata"]["namespace"]).is_empty() { format!("/{name}") } else { place };
        let gvk = match version.split_once('/') {
            Some(_) => format!("{version}, Kind={kind}"),
            None => format!("/{version}, Kind={kind}"),
        };
        let faults = match faults.as_slice() {
            [one] => one.clone(),
            many => format!("errors:\n  {}", many.join("\n  ")),
        };
        return Err(Failure::unclassified(format!("failed to create typed patch object ({place}; {gvk}): {faults}")));
    }
    if resource.custom().is_none() {
        fields::normalise(node, &mut body);
    }
    Ok(body)
}

/// Fills in what decoding fills in, and gives the object the form in which it is stored.
pub(super) fn complete(call: &Call, object: &mut Value) {
    let resource = &call.resource;
    if let Some(version) = resource.custom() {
        version.fill(object);
        return;
    }
    defaults::fill(resource, object);
    if let Some(node) = schema_of(resource) {
        go_types::encode(node, object);
    }
}

fn identify(call: &Call, body: &mut Value) -> Result<(), Failure> {
    let resource = &call.resource;
    let expected = resource.api_version();
    let given = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (given(body, "apiVersion"), given(body, "kind"));
    let version = if version.is_empty() { expected.clone() } else { version };
    let kind = if kind.is_empty() { resource.kind.clone() } else { kind };
    if (&version, &kind) == (&expected, &resource.kind) {
        body["apiVersion"] = json!(version);
        body["kind"] = json!(kind);
        return Ok(());
    }
    // Versions of the past are still known to the decoder.
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let older = kind == resource.kind && !group.is_empty() && (group == resource.group || group == "extensions");
    if resource.custom().is_some() || older {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    let short = version.rsplit('/').next().unwrap_or(&version);
    let wanted = &resource.kind;
    let package = if resource.group.is_empty() { "core" } else { resource.group.split('.').next().unwrap_or_default() };
    // Kinds of the same version are decoded before it turns out that they are of another kind.
    let why = if version == expected && builtin::is_kind(&resource.group, &resource.version, &kind) {
        format!("converting ({short}.{kind}) to ({package}.{wanted}): unknown conversion")
    } else {
        format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        )
    };
    Err(Failure::bad_request(format!("{kind} in version {short:?} cannot be handled as a {wanted}: {why}")))
}

fn check_place(call: &Call, metadata: &Value) -> Result<(), Failure> {
    let given = |key: &str| metadata[key].as_str().unwrap_or_default();
    if call.resource.namespaced && !given("namespace").is_empty() && given("namespace") != call.target.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let named = !call.target.name.is_empty() && !given("name").is_empty();
    if named && given("name") != call.target.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            given("name"),
            call.target.name
        )));
    }
    Ok(())
}

/// Tells of fields that are given twice or unknown, as the request wants it.
pub(super) fn report_fields(call: &Call, unknown: Vec<String>, origin: Origin<'_>) -> Result<(), Failure> {
    let mode = FieldValidation::parse(call.query.get("fieldValidation"));
    if mode == FieldValidation::Ignore || unknown.is_empty() && call.body.twice.is_empty() {
        return Ok(());
    }
    let unknown = in_order(call, unknown, origin).into_iter().map(|path| format!("unknown field \"{path}\""));
    let texts: Vec<String> = call.body.twice.iter().cloned().chain(unknown).collect();
    if mode == FieldValidation::Strict {
        let error = format!("strict decoding error: {}", texts.join(", "));
        return Err(undecodable(&call.resource, &error, origin));
    }
    for text in texts {
        call.warn(text);
    }
    Ok(())
}

/// Unknown fields in the order in which they are met: that of the body, or of their names where a body was taken apart
/// before.
fn in_order(call: &Call, mut unknown: Vec<String>, origin: Origin<'_>) -> Vec<String> {
    unknown.sort();
    let body = call.body.json.as_ref().filter(|_| origin == Origin::Body && call.resource.custom().is_none());
    if let Some(body) = body.filter(|_| unknown.len() > 1) {
        let Places { fields, .. } = body::places(body);
        unknown.sort_by_key(|path| fields.iter().position(|field| field == path));
    }
    unknown
}

impl State {
    /// Defaults, validates and reserves for `object`, which is about to be stored in place of `old`.
    pub(super) fn admit(&mut self, call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        let resource = &call.resource;
        if call.target.subresource == "scale" {
            // It is the scale that is admitted, by whoever writes it.
            return resource.custom().map_or(Ok(()), |version| version.admit(resource, old, object));
        }
        if resource.kind == "Pod" && call.target.subresource.is_empty() {
            self.admit_pod(call, old, object)?;
            defaults::admit(resource, object);
        }
        self.mutate_written(call, old, object)?;
        if let Some(version) = resource.custom() {
            version.admit(resource, old, object)?;
            return self.judge_request(&Attributes::of_write(call, old, object));
        }
        if call.target.subresource == "status" {
            admit_status(call, object)?;
            return self.judge_request(&Attributes::of_write(call, old, object));
        }
        if call.target.subresource == "resize"
            && let Some(old) = old
            && qos_class(&old["spec"]) != qos_class(&object["spec"])
        {
            let detail = "Pod QOS Class may not change as a result of resizing";
            let cause = Cause::invalid("spec", &old["status"]["qosClass"], detail);
            return Err(Failure::invalid("", "Pod", &call.target.name, &[cause]));
        }
        prepare(call, old, object);
        keep_service_address(resource.kind.as_str(), old, object);
        defaults::admit(resource, object);
        let definition = resource.kind == "CustomResourceDefinition";
        if let Some(node) = schema_of(resource).filter(|_| !definition) {
            go_types::store(node, object);
        }
        let required = schema_of(resource).filter(|_| !definition);
        let mut causes = required.map(|node| fields::missing(node, object)).unwrap_or_default();
        if causes.is_empty() {
            causes = validation::validate(resource, self.gates, old, object);
        }
        if resource.kind == "Namespace" {
            causes.extend(pod_security::label_problems(object));
        }
        if definition {
            causes.extend(super::crd::problems(old, object));
        }
        if !causes.is_empty() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            // Events are validated as what they are stored as.
            let group = if resource.kind == "Event" { "" } else { resource.group.as_str() };
            return Err(Failure::invalid(group, &resource.kind, name, &causes));
        }
        self.refuse_escalation(call, old, object)?;
        self.check_pod_security(call, old, object)?;
        self.judge_request(&Attributes::of_write(call, old, object))?;
        if old.is_none() && self.has_quota(&call.target.namespace) {
            self.check_quota(call, object)?;
        }
        match (resource.group.as_str(), resource.kind.as_str()) {
            ("", "Service") => self.reserve_service_address(old, object)?,
            ("", "Secret") => self.fill_token_secret(object),
            _ => {}
        }
        Ok(())
    }

    /// What admission asks of a new pod: an account and a priority that exist.
    fn admit_pod(&self, call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        if call.resource.kind != "Pod" || old.is_some() {
            return Ok(());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let forbidden = |why: String| Failure::forbidden("", "pods", &name, &why);
        let account = object["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned();
        let namespace = &call.target.namespace;
        if self.store.get(&GroupResource::new("", "serviceaccounts"), &Key::new(namespace, &account)).is_none() {
            return Err(forbidden(format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            )));
        }
        self.mount_account(call, &account, object);
        self.apply_limits(namespace, object)?;
        let class = object["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
        let value = match class.as_str() {
            "" => return Ok(()),
            "system-node-critical" => 2_000_001_000,
            "system-cluster-critical" => 2_000_000_000,
            class => {
                let classes = GroupResource::new("scheduling.k8s.io", "priorityclasses");
                let found = self.store.get(&classes, &Key::new("", class));
                let missing = || forbidden(format!("no PriorityClass with name {class} was found"));
                found.ok_or_else(missing)?["value"].as_i64().unwrap_or_default()
            }
        };
        object["spec"]["priority"] = json!(value);
        Ok(())
    }

    /// Follows up on a new object.
    pub(super) fn created(&mut self, call: &Call, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match call.resource.kind.as_str() {
            "Namespace" => self.furnish_namespace(&name, &call.now),
            "APIService" => self.judge_api_service(&name),
            "CustomResourceDefinition" => self.serve_definition(&name, &call.now),
            "ClusterRole" => self.aggregate_roles(),
            _ => {}
        }
        self.judge_backends(call, &name);
        self.recount(&call.target.namespace);
    }

    /// A group is available with the service and the addresses of whoever serves it.
    fn judge_backends(&mut self, call: &Call, name: &str) {
        if matches!(call.resource.kind.as_str(), "Service" | "Endpoints") {
            self.judge_api_services_of(&call.target.namespace, name);
        }
    }

    /// Brings the quotas of a namespace up to date.
    pub(super) fn recount(&mut self, namespace: &str) {
        if self.has_quota(namespace) {
            self.count_quotas(namespace);
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
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.judge_backends(call, &name);
        if call.resource.kind == "ResourceQuota" || call.resource.kind == "Pod" {
            self.recount(&call.target.namespace);
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

/// What an object goes through that is to be stored when a webhook has changed it.
struct Written<'a> {
    state: &'a State,
    call: &'a Call,
    old: Option<&'a Value>,
}

impl Plugins for Written<'_> {
    fn settle(&self, object: &mut Value) -> Result<(), Failure> {
        let resource = &self.call.resource;
        let internal = |error: String| Failure::internal_error(&error);
        if !object.is_object() {
            return Err(not_an_object(resource, object));
        }
        decode(resource, object).map_err(internal)?;
        if resource.custom().is_some() {
            decode_metadata(&mut object["metadata"]).map_err(internal)?;
        }
        complete(self.call, object);
        if let Some(old) = self.old {
            keep_server_fields(self.call, old, object);
        }
        Ok(())
    }

    fn again(&self, object: &mut Value) -> Result<(), Failure> {
        let Self { state, call, old } = *self;
        if call.resource.kind == "Pod" && call.target.subresource.is_empty() {
            state.admit_pod(call, old, object)?;
            defaults::admit(&call.resource, object);
        }
        Ok(())
    }
}

impl State {
    /// Has webhooks change an object that is to be stored.
    fn mutate_written(&self, call: &Call, old: Option<&Value>, object: &mut Value) -> Result<(), Failure> {
        /// What a new object gets when it is stored only.
        const IDENTITY: [&str; 3] = ["uid", "creationTimestamp", "generation"];
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let plugins = Written { state: self, call, old };
        if old.is_some() {
            return self.mutate(call, operation, old, object, &plugins);
        }
        let take = |object: &mut Value, field: &str| object["metadata"].as_object_mut()?.remove(field);
        let mut kept: Vec<(&str, Value)> =
            IDENTITY.into_iter().filter_map(|field| Some((field, take(object, field)?))).collect();
        let generated = call.target.name.is_empty()
            && object["metadata"].get("generateName").is_some_and(|prefix| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                prefix.as_str().is_some_and(|prefix| !prefix.is_empty()) && name.ends_with(&suffix(call.uid))
            });
        if generated {
            kept.extend(take(object, "name").map(|name| ("name", name)));
        }
        self.mutate(call, operation, old, object, &plugins)?;
        for (field, value) in kept {
            object["metadata"][field] = value;
        }
        Ok(())
    }
}

/// A status is hardly judged: whoever may write it is a part of the cluster.
fn admit_status(call: &Call, object: &Value) -> Result<(), Failure> {
    let causes = match call.resource.kind.as_str() {
        "Pod" => validation::addresses(object),
        _ => Vec::new(),
    };
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(&call.resource.group, &call.resource.kind, &call.target.name, &causes))
}

/// What the server itself decides about an object before defaults apply.
fn prepare(call: &Call, old: Option<&Value>, object: &mut Value) {
    match (call.resource.group.as_str(), call.resource.kind.as_str()) {
        ("", "Namespace") => {
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
        ("", "ReplicationController") if object["metadata"].get("labels").is_none() => {
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
