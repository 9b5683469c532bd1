//! Carries a request on a resource out: which function does which verb, and the form of its answer.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::delete::{DeleteOptions, Deleted};
use super::failure::Failure;
use super::http::{Incoming, json_response, read_body, typed_response};
use super::negotiation::Form;
use super::state::{Call, Shared};
use super::tokens::User;
use super::update::Write;
use super::{body, convert, options, pods, port_forward, proxy, scale, table, watch};

pub(super) async fn serve(
    shared: &Arc<Shared>,
    incoming: Incoming,
    call: Call,
    user: &User,
) -> Result<Response, Failure> {
    let form = Form::of(incoming.accept());
    let verb = call.target.verb(&incoming.method, &call.query);
    let content_type = incoming.header(header::CONTENT_TYPE).to_owned();
    if verb == "watch" && call.target.subresource.is_empty() {
        refuse_misplaced(&incoming.method, &call)?;
        let events = watch::start(shared, call, form)?;
        return Ok(typed_response(StatusCode::OK, "application/json", Body::from_stream(events)));
    }
    let subresource = call.target.subresource.as_str();
    refuse_misplaced(&incoming.method, &call)?;
    if !subresource.is_empty() && !call.resource.has(subresource) {
        return Err(Failure::no_such_resource());
    }
    match (verb, subresource) {
        ("get", "log") => return pods::logs(shared, &call).await,
        ("get" | "create", "portforward") => return port_forward::start(shared, incoming, &call),
        (_, "proxy") => return proxy::pass(shared, incoming, &call).await,
        _ => {}
    }
    let bytes = read_body(incoming.body).await?;
    let body = match verb {
        "patch" => body::decode_patch(&content_type, &bytes)?,
        "delete" | "deletecollection" => body::decode_options(&content_type, &bytes)?,
        "create" | "update" => body::decode(&content_type, &bytes, &call.resource.kind)?,
        _ => Value::Null,
    };
    let mut state = shared.lock();
    match (verb, subresource) {
        ("create", "") if call.resource.create_only => {
            Ok(json_response(StatusCode::CREATED, &state.review(&call, body, user)))
        }
        (_, _) if call.resource.create_only => Err(Failure::method_not_allowed()),
        ("create", "") if call.target.name.is_empty() => {
            let object = state.create(&call, body)?;
            Ok(json_response(StatusCode::CREATED, &call.present(&object, form)))
        }
        ("create", "binding") => Ok(json_response(StatusCode::CREATED, &state.bind(&call, &body)?)),
        ("create", "eviction") => Ok(json_response(StatusCode::CREATED, &state.evict(&call, &body)?)),
        ("create", "token") => Ok(json_response(StatusCode::CREATED, &state.request_token(&call, body)?)),
        ("list", _) => Ok(json_response(StatusCode::OK, &state.list(&call, form)?)),
        ("get", "" | "status" | "ephemeralcontainers") => {
            state.check_revision_of_one(&call)?;
            let object = state.read(&call)?;
            Ok(json_response(StatusCode::OK, &call.present(&object, form)))
        }
        ("get", "scale") => {
            let object = state.read(&call)?;
            let paths = call.resource.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
            let scale = scale::of(&object, paths);
            let answer = match form {
                Form::Table => table::of(&call.resource, &[scale], call.query.get("includeObject")),
                Form::Full | Form::Metadata => scale,
            };
            Ok(json_response(StatusCode::OK, &answer))
        }
        ("update" | "patch", "scale") => {
            let write = intended_write(&call, verb, &content_type, body)?;
            Ok(json_response(StatusCode::OK, &state.write_scale(&call, write)?))
        }
        ("update" | "patch", "" | "status" | "finalize" | "ephemeralcontainers") => {
            let write = intended_write(&call, verb, &content_type, body)?;
            let written = state.write(&call, write)?;
            let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
            Ok(json_response(code, &call.present(&written.object, form)))
        }
        ("delete", "") => {
            options::check_deletion(&call.query, &body)?;
            let options = DeleteOptions::new(&call, &body);
            match state.delete(&call, &call.key(), &options)? {
                Deleted::Terminating(object) => Ok(json_response(StatusCode::OK, &call.present(&object, Form::Full))),
                Deleted::Gone(object) => Ok(json_response(StatusCode::OK, &deleted(&call, &object))),
            }
        }
        ("deletecollection", "") => {
            options::check_deletion(&call.query, &body)?;
            let options = DeleteOptions::new(&call, &body);
            let selector = call.selector()?;
            let objects = state.delete_collection(&call, &selector, &options)?;
            let items: Vec<Value> = objects.iter().map(|object| convert::to_item(&call.resource, object)).collect();
            let list = json!({
                "kind": call.resource.list_kind,
                "apiVersion": call.resource.api_version(),
                "metadata": {"resourceVersion": state.store.revision().to_string()},
                "items": items,
            });
            Ok(json_response(StatusCode::OK, &list))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// Refuses methods a path has no use for: whole collections are not written, and nothing is created or deleted across
/// namespaces.
fn refuse_misplaced(method: &Method, call: &Call) -> Result<(), Failure> {
    let Call { resource, target, .. } = call;
    let (collection, everywhere) = (target.name.is_empty(), target.namespace.is_empty());
    if !resource.namespaced && !everywhere || resource.namespaced && everywhere && !collection {
        return Err(Failure::no_such_resource());
    }
    let misplaced = match *method {
        Method::GET => false,
        Method::POST => resource.namespaced && everywhere && !resource.create_only,
        Method::DELETE => resource.namespaced && everywhere,
        Method::PUT | Method::PATCH => collection,
        _ => true,
    };
    if misplaced { Err(Failure::method_not_allowed()) } else { Ok(()) }
}

fn intended_write(call: &Call, verb: &str, content_type: &str, body: Value) -> Result<Write, Failure> {
    if verb == "update" { Ok(Write::Replace(body)) } else { Write::patch(call, content_type, body) }
}

/// The answer to a deletion that is complete.
fn deleted(call: &Call, object: &Value) -> Value {
    /// Kinds whose deletion answers with the object as it was.
    const SHOWN: &[&str] = &[
        "Pod",
        "Service",
        "ServiceAccount",
        "ResourceQuota",
        "PersistentVolumeClaim",
        "StorageClass",
        "PodTemplate",
        "CustomResourceDefinition",
    ];
    if call.resource.custom().is_none() && SHOWN.contains(&call.resource.kind.as_str()) {
        return call.present(object, Form::Full);
    }
    let mut details = json!({
        "name": object["metadata"]["name"],
        "kind": call.resource.plural,
        "uid": object["metadata"]["uid"],
    });
    if !call.resource.group.is_empty() {
        details["group"] = json!(call.resource.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
