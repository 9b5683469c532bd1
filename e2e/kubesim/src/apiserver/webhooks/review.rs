//! The `AdmissionReview` that a webhook is sent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::attributes::{Attributes, Operation};
use super::super::convert;
use super::super::failure::Failure;
use super::super::resource::Resource;
use super::super::state::State;
use super::client::{Place, Question};
use super::hook::{Hook, Kind};

/// How long a webhook has when its configuration does not say.
const TIMEOUT_SECONDS: u64 = 10;

impl State {
    /// What a webhook is asked about a request that it sees as one on `resource`.
    pub(super) fn question(
        &self,
        hook: &Hook<'_>,
        attributes: &Attributes<'_>,
        resource: &Arc<Resource>,
    ) -> Result<Question, Failure> {
        let dry_run = attributes.call.query.dry_run();
        if dry_run && !matches!(hook.spec["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")) {
            let why = format!("admission webhook {:?} does not support dry run", hook.name());
            return Err(Failure::bad_request(why));
        }
        let versions = hook.spec["admissionReviewVersions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let version = versions.into_iter().find(|version| matches!(*version, "v1" | "v1beta1")).unwrap_or("v1");
        let api_version = format!("admission.k8s.io/{version}");
        let request = request(attributes, resource);
        let of = attributes.old.or(attributes.object);
        let version = of.and_then(|object| object["metadata"]["resourceVersion"].as_str()).unwrap_or_default();
        Ok(Question {
            key: format!("{:?} {}@{} {} {request}", hook.kind, hook.configuration, hook.version, hook.name()),
            version: version.to_owned(),
            mutating: hook.kind == Kind::Mutating,
            api_version,
            request,
            place: self.place(&hook.spec["clientConfig"]),
            authority: hook.spec["clientConfig"]["caBundle"].as_str().map(ToOwned::to_owned),
            timeout: Duration::from_secs(hook.spec["timeoutSeconds"].as_u64().unwrap_or(TIMEOUT_SECONDS)),
        })
    }

    /// Where the webhook of a `clientConfig` listens.
    fn place(&self, config: &Value) -> Place {
        let Some(service) = config.get("service").filter(|service| service.is_object()) else {
            return Place { url: config["url"].as_str().unwrap_or_default().to_owned(), address: None };
        };
        let text = |field: &str| service[field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let port = service["port"].as_u64().unwrap_or(443);
        let path = text("path").trim_start_matches('/');
        let services = super::super::store::GroupResource::new("", "services");
        let known = self.store.get(&services, &super::super::store::Key::new(namespace, name)).is_some();
        let address = match self.backend(namespace, name, &port.to_string()) {
            Ok(address) => Ok(address),
            Err(_) if !known => Err(format!("service {name:?} not found")),
            Err(problem) if problem.contains("has no port") => {
                Err(format!("no service port {port} found for service {name:?}"))
            }
            Err(_) => Err(format!("no endpoints available for service {name:?}")),
        };
        Place { url: format!("https://{name}.{namespace}.svc:{port}/{path}"), address: Some(address) }
    }
}

/// The request of the review, but for its uid.
fn request(attributes: &Attributes<'_>, resource: &Arc<Resource>) -> Value {
    let Attributes { call, operation, .. } = *attributes;
    let same = Arc::ptr_eq(resource, &call.resource);
    let shown = |object: Option<&Value>| match object {
        Some(object) if same => object.clone(),
        Some(object) => convert::to_served(resource, &convert::to_stored(&call.resource, object.clone())),
        None => Value::Null,
    };
    let kind = |resource: &Resource| {
        let (group, version, kind) = attributes.kind(resource);
        json!({"group": group, "version": version, "kind": kind})
    };
    let plural = |resource: &Resource| json!({"group": resource.group, "version": resource.version, "resource": resource.plural});
    let mut user = json!({"username": call.user.name, "groups": call.user.groups});
    if !call.user.uid.is_empty() {
        user["uid"] = json!(call.user.uid);
    }
    if !call.user.extra.is_empty() {
        user["extra"] = json!(call.user.extra);
    }
    let mut request = json!({
        "kind": kind(resource),
        "resource": plural(resource),
        "requestKind": kind(&call.resource),
        "requestResource": plural(&call.resource),
        "operation": operation.text(),
        "userInfo": user,
        "object": shown(attributes.object),
        "oldObject": shown(attributes.old),
        "dryRun": call.query.dry_run(),
        "options": options(attributes),
    });
    let subresource = call.target.subresource.as_str();
    for (field, text) in [
        ("subResource", subresource),
        ("requestSubResource", subresource),
        ("name", attributes.name.as_str()),
        ("namespace", attributes.namespace()),
    ] {
        if !text.is_empty() {
            request[field] = json!(text);
        }
    }
    request
}

/// The options of the request, of the kind that goes with the operation; a patch is an update.
fn options(attributes: &Attributes<'_>) -> Value {
    let kind = match attributes.operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
        Operation::Connect => return Value::Null,
    };
    let query = &attributes.call.query;
    let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if query.dry_run() {
        options["dryRun"] = json!(["All"]);
    }
    let fields: &[&str] = match attributes.operation {
        Operation::Delete => &["propagationPolicy"],
        _ => &["fieldManager", "fieldValidation"],
    };
    for field in fields {
        if let Some(value) = query.get(field) {
            options[*field] = json!(value);
        }
    }
    options
}
