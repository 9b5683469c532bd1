//! Carries a request on a resource out: which function does which verb, and the form of its answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::action::Action;
use super::delete::{DeleteOptions, Deleted};
use super::failure::Failure;
use super::http::{Incoming, read_body, typed_response};
use super::negotiation::{Accepted, Form, Format, Subject};
use super::state::{Call, Shared, State};
use super::tokens::User;
use super::update::Write;
use super::{
    body, connect, convert, options, pods, port_forward, proxy, remote_command, scale, table, watch, webhooks,
};

pub(super) async fn serve(
    shared: &Arc<Shared>,
    incoming: Incoming,
    mut call: Call,
    user: &User,
) -> Result<Response, Failure> {
    let verb = call.target.verb(&incoming.method, &call.query);
    let content_type = incoming.header(header::CONTENT_TYPE).to_owned();
    let accept = incoming.accept().to_owned();
    refuse_misplaced(&incoming.method, &call)?;
    if verb == "watch" && call.target.subresource.is_empty() {
        return start_watch(shared, call, &accept);
    }
    let subresource = call.target.subresource.clone();
    let subresource = subresource.as_str();
    if !subresource.is_empty() && !call.resource.has(subresource) {
        return Err(Failure::no_such_resource());
    }
    match (verb, subresource) {
        ("get", "log") => return pods::logs(shared, &call).await,
        ("get" | "create", "exec" | "attach" | "portforward") => {
            // A WebSocket begins as a GET, but is no reading.
            shared.lock().require(user, &Action { verb: "create".to_owned(), ..call.action.clone() })?;
            connect::admit(shared, &call, &incoming.path_and_query).await?;
            return if subresource == "portforward" {
                port_forward::start(shared, incoming, &call).await
            } else {
                remote_command::start(shared, incoming, &call).await
            };
        }
        (_, "proxy") => {
            connect::admit(shared, &call, &incoming.path_and_query).await?;
            return proxy::pass(shared, incoming, &call).await;
        }
        _ => {}
    }
    let list = verb == "list" || verb == "deletecollection";
    let accepted = Accepted::of(&accept, &call.resource, if list { Subject::List } else { Subject::Object })?;
    let form = accepted.form;
    table::check(form, call.query.get("includeObject"))?;
    let bytes = read_body(incoming.body).await?;
    let body = decode(&mut call, verb, &content_type, &bytes)?;
    webhooks::carry_out(shared, &call, |state| {
        carry_out(state, &call, (verb, content_type.as_str()), accepted, body.clone())
    })
    .await
}

/// Carries out what needs nothing but the state.
fn carry_out(
    state: &mut State,
    call: &Call,
    (verb, content_type): (&str, &str),
    accepted: Accepted,
    body: Value,
) -> Result<Response, Failure> {
    let (form, subresource) = (accepted.form, call.target.subresource.as_str());
    match (verb, subresource) {
        ("create", "") if call.resource.kind == "Binding" => {
            Ok(accepted.respond(StatusCode::CREATED, &state.bind_named(call, body)?))
        }
        ("create", "") if call.resource.create_only => {
            Ok(accepted.respond(StatusCode::CREATED, &state.review(call, body)))
        }
        (_, _) if call.resource.is_computed() && !matches!(verb, "get" | "list") => Err(Failure::method_not_allowed()),
        (_, _) if call.resource.create_only => Err(Failure::method_not_allowed()),
        ("create", "") if call.target.name.is_empty() => {
            let object = state.create(call, body)?;
            Ok(accepted.respond(StatusCode::CREATED, &call.present(&object, form)))
        }
        ("create", "binding") => Ok(accepted.respond(StatusCode::CREATED, &state.bind(call, body)?)),
        ("create", "eviction") => Ok(accepted.respond(StatusCode::CREATED, &state.evict(call, body)?)),
        ("create", "token") => Ok(accepted.respond(StatusCode::CREATED, &state.request_token(call, body)?)),
        ("list", _) => Ok(accepted.respond(StatusCode::OK, &state.list(call, form)?)),
        ("get", "" | "status" | "ephemeralcontainers" | "resize") => {
            state.check_revision_of_one(call)?;
            let object = state.read(call)?;
            Ok(accepted.respond(StatusCode::OK, &call.present(&object, form)))
        }
        ("get", "scale") => {
            let object = state.read(call)?;
            let paths = call.resource.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
            let scale = scale::of(&object, paths);
            let answer = match form {
                Form::Table => table::of(&call.resource, &[scale], call.query.get("includeObject")),
                Form::Full | Form::Metadata => scale,
            };
            Ok(accepted.respond(StatusCode::OK, &answer))
        }
        ("update" | "patch", "scale") => {
            let write = intended_write(call, verb, content_type, body)?;
            Ok(accepted.respond(StatusCode::OK, &state.write_scale(call, write)?))
        }
        ("update" | "patch", "" | "status" | "finalize" | "ephemeralcontainers" | "resize") => {
            let write = intended_write(call, verb, content_type, body)?;
            let written = state.write(call, write)?;
            let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
            Ok(accepted.respond(code, &call.present(&written.object, form)))
        }
        ("delete", "") => {
            options::check_deletion(&call.query, &body)?;
            let options = DeleteOptions::new(call, &body);
            match state.delete(call, &call.key(), &options)? {
                Deleted::Terminating(object) => {
                    Ok(accepted.respond(StatusCode::OK, &call.present(&object, Form::Full)))
                }
                Deleted::Gone(object) => Ok(accepted.respond(StatusCode::OK, &deleted(call, &object))),
            }
        }
        ("deletecollection", "") => Ok(accepted.respond(StatusCode::OK, &delete_all(state, call, &body)?)),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn start_watch(shared: &Arc<Shared>, call: Call, accept: &str) -> Result<Response, Failure> {
    let accepted = Accepted::of(accept, &call.resource, Subject::Watch)?;
    let content_type = match accepted.format {
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        Format::Json | Format::Yaml => "application/json",
    };
    let events = watch::start(shared, call, accepted)?;
    Ok(typed_response(StatusCode::OK, content_type, Body::from_stream(events)))
}

/// The body of a request; what it shows beside its value is kept with the call.
fn decode(call: &mut Call, verb: &str, content_type: &str, bytes: &Bytes) -> Result<Value, Failure> {
    let mut decoded = match verb {
        "delete" | "deletecollection" => return body::decode_options(content_type, bytes),
        "patch" => body::decode_patch(content_type, bytes)?,
        "create" | "update" => body::decode(content_type, bytes, &call.resource.kind)?,
        _ => return Ok(Value::Null),
    };
    let value = decoded.value.take();
    call.body = Arc::new(decoded);
    Ok(value)
}

/// Deletes a collection; the answer is the list of what was in it.
fn delete_all(state: &mut State, call: &Call, body: &Value) -> Result<Value, Failure> {
    options::check_deletion(&call.query, body)?;
    let options = DeleteOptions::new(call, body);
    let selector = call.selector()?;
    let objects = state.delete_collection(call, &selector, &options)?;
    let items: Vec<Value> = objects.iter().map(|object| convert::to_item(&call.resource, object)).collect();
    Ok(json!({
        "kind": call.resource.list_kind,
        "apiVersion": call.resource.api_version(),
        "metadata": {"resourceVersion": state.store.revision().to_string()},
        "items": items,
    }))
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
