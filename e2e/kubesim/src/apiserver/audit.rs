//! The account of requests. Everything passes here twice: when it is received, and when its answer is complete. The record
//! that tests read and the audit log are written from it.
//!
//! The log has the format of kube-apiserver (`audit.k8s.io/v1`, one JSON object a line, stage `ResponseComplete`). A watch
//! is complete when it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::action::Action;
use super::authentication::Identity;
use super::authorization::Decision;
use super::body;
use super::failure::Failure;
use super::http::{Incoming, read_body};
use super::remarks::Remarks;
use super::request::Target;
use super::requests::Requests;
use super::state::Shared;
use super::tokens::User;
use super::webhooks;

/// What the audit log holds of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Who asked for what, and with which outcome.
    Metadata,
    /// Also the bodies of request and answer. Secrets and tokens stay at `Metadata`.
    RequestResponse,
}

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file, to which is appended.
    pub path: PathBuf,
    /// What is written.
    pub level: Level,
}

/// The account.
#[derive(Debug, Default)]
pub(super) struct Audit {
    pub(super) requests: Requests,
    log: Option<Log>,
}

#[derive(Debug)]
struct Log {
    file: Mutex<File>,
    level: Level,
}

/// A request under way.
pub(super) struct Entry {
    user: Arc<User>,
    action: Action,
    manager: String,
    /// What will be logged, as far as it is known.
    event: Option<Value>,
    level: Level,
}

impl Audit {
    pub(super) fn new(options: Option<&Options>) -> io::Result<Self> {
        let log = match options {
            Some(Options { path, level }) => Some(Log { file: Mutex::new(open(path)?), level: *level }),
            None => None,
        };
        Ok(Self { requests: Requests::default(), log })
    }

    /// Takes a request to account, before it is answered.
    pub(super) async fn received(
        &self,
        incoming: &mut Incoming,
        identity: &Identity,
        action: &Action,
        target: Option<&Target>,
        decision: &Decision,
    ) -> Result<Entry, Failure> {
        let user = &identity.user;
        let now = Timestamp::now();
        self.requests.saw(user, action, decision.allowed, now);
        let (user, action, manager) = (Arc::clone(user), action.clone(), incoming.manager());
        let Some(log) = &self.log else {
            return Ok(Entry { user, action, manager, event: None, level: Level::Metadata });
        };
        let level = if is_secret(&action) { Level::Metadata } else { log.level };
        let mut event = json!({
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": format!("{level:?}"),
            "auditID": uuid::Uuid::new_v4().to_string(),
            "stage": "ResponseComplete",
            "requestURI": incoming.path_and_query,
            "verb": action.verb,
            "user": shown(&identity.caller),
            "sourceIPs": [incoming.peer.to_string()],
            "userAgent": incoming.header(header::USER_AGENT),
            "requestReceivedTimestamp": format!("{now:.6}"),
            "annotations": {
                "authorization.k8s.io/decision": if decision.allowed { "allow" } else { "forbid" },
                "authorization.k8s.io/reason": decision.reason,
            },
        });
        if *identity.caller != *user {
            event["impersonatedUser"] = shown(&user);
        }
        let object = read_object(incoming, &action).await?;
        if let Some(target) = target {
            event["objectRef"] = object_ref(&action, target, object.as_ref());
        }
        if let Some(object) = object.filter(|_| level == Level::RequestResponse) {
            event["requestObject"] = object;
        }
        Ok(Entry { user, action, manager, event: Some(event), level })
    }

    /// Closes the account of a request once its answer is complete, which is later for a stream.
    pub(super) async fn answered(
        shared: &Arc<Shared>,
        entry: Entry,
        answer: Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let code = match &answer {
            Ok(response) => response.status().as_u16(),
            Err(failure) => failure.code,
        };
        let Entry { user, action, manager, event, level } = entry;
        if action.writes() {
            shared.audit.requests.wrote(&user, &action, &manager, code, Timestamp::now());
        }
        let Some(mut event) = event else { return answer };
        event["responseStatus"] = json!({"metadata": {}, "code": code});
        let remarks = match &answer {
            Ok(response) => response.extensions().get::<Remarks>(),
            Err(failure) => Some(&*failure.remarks),
        };
        for (key, value) in remarks.into_iter().flat_map(|remarks| &remarks.annotations) {
            // What is in a body is told with bodies only.
            if level == Level::RequestResponse || !key.starts_with(webhooks::PATCH_ANNOTATION) {
                event["annotations"][key] = json!(value);
            }
        }
        match answer {
            Err(failure) => {
                let mut status = failure.status();
                if let Some(status) = status.as_object_mut() {
                    status.retain(|field, _| !matches!(field.as_str(), "kind" | "apiVersion"));
                }
                event["responseStatus"] = status;
                shared.audit.write(event);
                Err(failure)
            }
            Ok(response) if level == Level::RequestResponse && !is_stream(&action) => {
                let (parts, body) = response.into_parts();
                let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
                let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
                if let Some(object) = decode(content_type.unwrap_or_default(), &bytes) {
                    event["responseObject"] = object;
                }
                shared.audit.write(event);
                Ok(Response::from_parts(parts, Body::from(bytes)))
            }
            Ok(response) if is_stream(&action) && response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                let (parts, body) = response.into_parts();
                let last = Last { shared: Arc::clone(shared), event: Some(event) };
                let stream = body.into_data_stream().map(move |chunk| {
                    let _ = &last;
                    chunk
                });
                Ok(Response::from_parts(parts, Body::from_stream(stream)))
            }
            Ok(response) => {
                shared.audit.write(event);
                Ok(response)
            }
        }
    }

    /// What cannot be written is lost; the server goes on, as kube-apiserver does.
    fn write(&self, mut event: Value) {
        let Some(log) = &self.log else { return };
        event["stageTimestamp"] = json!(format!("{:.6}", Timestamp::now()));
        let mut file = log.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(format!("{event}\n").as_bytes()) {
            tracing::error!(%error, "Audit log not written");
        }
    }
}

/// The object in the body, which is left for whoever answers.
async fn read_object(incoming: &mut Incoming, action: &Action) -> Result<Option<Value>, Failure> {
    let is_object = matches!(action.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
    if !is_object || action.subresource == "proxy" || incoming.headers.contains_key(header::UPGRADE) {
        return Ok(None);
    }
    let bytes = read_body(std::mem::take(&mut incoming.body)).await?;
    incoming.body = Body::from(bytes.clone());
    Ok(decode(incoming.header(header::CONTENT_TYPE), &bytes))
}

/// Logs an event when the stream it belongs to is over.
struct Last {
    shared: Arc<Shared>,
    event: Option<Value>,
}

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.shared.audit.write(event);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether bodies hold what nobody else may read.
fn is_secret(action: &Action) -> bool {
    let token = action.resource == "serviceaccounts" && action.subresource == "token";
    token || matches!(action.resource.as_str(), "secrets" | "tokenreviews")
}

fn is_stream(action: &Action) -> bool {
    let streamed = ["attach", "exec", "log", "portforward", "proxy"];
    action.verb == "watch" || streamed.contains(&action.subresource.as_str())
}

fn decode(content_type: &str, bytes: &Bytes) -> Option<Value> {
    let decoded = if content_type.contains("patch") {
        body::decode_patch(content_type, bytes)
    } else {
        body::decode(content_type, bytes, "")
    };
    decoded.ok().map(|decoded| decoded.value).filter(|value| !value.is_null())
}

fn shown(user: &User) -> Value {
    let mut shown = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        shown["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        shown["extra"] = json!(user.extra);
    }
    shown
}

fn object_ref(action: &Action, target: &Target, object: Option<&Value>) -> Value {
    let of_object = |field: &str| object.and_then(|object| object["metadata"][field].as_str()).unwrap_or_default();
    let or_else =
        |known: &str, field: &str| if known.is_empty() { of_object(field).to_owned() } else { known.to_owned() };
    let fields = [
        ("resource", action.resource.clone()),
        ("namespace", action.namespace.clone()),
        ("name", or_else(&action.name, "name")),
        ("uid", of_object("uid").to_owned()),
        ("apiGroup", action.group.clone()),
        ("apiVersion", target.version.clone()),
        ("resourceVersion", of_object("resourceVersion").to_owned()),
        ("subresource", action.subresource.clone()),
    ];
    fields.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, json!(value))).collect()
}
