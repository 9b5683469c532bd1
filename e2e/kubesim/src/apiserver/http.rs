//! HTTP in and out: who asks, what for, in which form the answer goes.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use serde_json::Value;

use super::action::Action;
use super::audit::Audit;
use super::control::Control;
use super::failure::Failure;
use super::negotiation::Format;
use super::request::{Query, Target};
use super::state::{Call, Shared};
use super::tokens::User;
use super::{clock, debug, documents, faults, options, verbs, wire};

/// As large as etcd lets an object be, with some room for its envelope.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

const NOT_CACHED: header::HeaderValue = header::HeaderValue::from_static("no-cache, private");

/// A request with its body still to be read.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    /// Path and query as they came.
    pub(super) path_and_query: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Where it comes from.
    pub(super) peer: IpAddr,
    /// The connection itself, for clients that want to speak another protocol on it.
    pub(super) upgrade: Option<OnUpgrade>,
}

impl Incoming {
    pub(super) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn accept(&self) -> &str {
        self.header(header::ACCEPT)
    }

    /// The field manager of a request that names none: the program in its user agent.
    pub(super) fn manager(&self) -> String {
        let agent = self.header(header::USER_AGENT);
        // Field managers have 128 characters at most.
        let program = agent.split('/').next().filter(|program| !program.is_empty()).unwrap_or("unknown");
        self.query.get("fieldManager").unwrap_or(program).to_owned()
    }
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
pub(super) struct Disconnect;

/// Why there is no answer to give.
enum Refused {
    With(Box<Failure>),
    Disconnect,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::With(Box::new(failure))
    }
}

/// Answers every request; refusals become `Status` objects.
///
/// `holder` is whose certificate the connection has, `peer` is its other end.
pub(super) async fn handle(
    control: Control,
    holder: Option<Arc<User>>,
    peer: IpAddr,
    request: Request,
) -> Result<Response, Disconnect> {
    let (mut parts, body) = request.into_parts();
    let incoming = Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        query: Query::parse(&parts.uri),
        upgrade: parts.extensions.remove::<OnUpgrade>(),
        headers: parts.headers,
        peer,
        body,
    };
    let (method, path) = (incoming.method.clone(), incoming.path.clone());
    let format = Format::of_refusal(incoming.accept());
    match route(&control, holder.as_deref(), incoming).await {
        Ok(mut response) => {
            response.headers_mut().insert(header::CACHE_CONTROL, NOT_CACHED);
            tracing::debug!(%method, path, status = response.status().as_u16(), "Served");
            Ok(response)
        }
        Err(Refused::With(failure)) => {
            tracing::debug!(%method, path, status = failure.code, reason = %failure.reason, message = failure.message, "Refused");
            let mut response = refusal(&failure, format);
            response.headers_mut().insert(header::CACHE_CONTROL, NOT_CACHED);
            Ok(response)
        }
        Err(Refused::Disconnect) => Err(Disconnect),
    }
}

fn refusal(failure: &Failure, format: Format) -> Response {
    let code = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if failure.plain && failure.message.is_empty() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = code;
        response
    } else if failure.plain {
        typed_response(code, "text/plain; charset=utf-8", failure.message.clone())
    } else {
        format.respond(code, &failure.status())
    };
    warn(&mut response, &failure.remarks.warnings);
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

pub(super) fn json_response(code: StatusCode, value: &Value) -> Response {
    typed_response(code, "application/json", wire::text(value))
}

pub(super) fn typed_response(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Finds out who asks for what and whether they may, and keeps the record.
async fn route(control: &Control, holder: Option<&User>, mut incoming: Incoming) -> Result<Response, Refused> {
    let shared = &control.shared;
    let target = Target::parse(&incoming.path);
    let action = Action::of(&incoming.method, &incoming.path, target.as_ref(), &incoming.query);
    let identity = shared.lock().authenticate(&incoming.headers, holder, &action)?;
    let user = &identity.user;
    if incoming.path.starts_with(debug::PREFIX) {
        shared.lock().require(user, &action)?;
        return Ok(debug::serve(control.clone(), incoming).await?);
    }
    let strike = shared.faults.strike(user, &action);
    if !strike.delay.is_zero() {
        tokio::time::sleep(strike.delay).await;
    }
    if strike.disconnect {
        return Err(Refused::Disconnect);
    }
    let decision = shared.lock().decide(user, &action);
    let entry = shared.audit.received(&mut incoming, &identity, &action, target.as_ref(), &decision).await?;
    let answer = match (strike.refusal, decision.or_refuse(user, &action)) {
        (_, Err(refused)) => Err(refused),
        (Some((status, retry_after)), _) => Err(faults::refusal(status, retry_after, &action)),
        (None, Ok(())) => answer(shared, incoming, target, user, &action).await,
    };
    Ok(Audit::answered(shared, entry, answer).await?)
}

/// Answers a request that is allowed.
async fn answer(
    shared: &Arc<Shared>,
    incoming: Incoming,
    target: Option<Target>,
    user: &Arc<User>,
    action: &Action,
) -> Result<Response, Failure> {
    let segments: Vec<&str> = incoming.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let aggregated = shared.lock().aggregated_at(&segments);
    if let Some(aggregated) = aggregated {
        let bytes = read_body(incoming.body).await?;
        let Incoming { method, path_and_query, headers, .. } = incoming;
        return aggregated.proxy(&shared.aggregated, user, method, &path_and_query, &headers, bytes).await;
    }
    if let Some(answer) = documents::document(shared, &segments, incoming.accept()).await? {
        return Ok(answer);
    }
    let target = target.ok_or_else(Failure::no_such_path)?;
    let (resource, group_known) = {
        let state = shared.lock();
        let found = state.catalog.find(&target.group, &target.version, &target.plural).cloned();
        (found, state.catalog.serves(&target.group))
    };
    let Some(resource) = resource else {
        return Err(if group_known { Failure::no_such_resource() } else { Failure::no_such_path() });
    };
    options::check(&incoming.method, &target, &incoming.query, incoming.header(header::CONTENT_TYPE))?;
    let remarks = Arc::default();
    let call = Call {
        user: Arc::clone(user),
        action: action.clone(),
        manager: incoming.manager(),
        query: incoming.query.clone(),
        now: clock::now(),
        resource,
        target,
        body: Arc::default(),
        remarks: Arc::clone(&remarks),
        uid: uuid::Uuid::new_v4(),
        consultation: Arc::default(),
    };
    if call.resource.group.is_empty() && call.resource.kind == "Endpoints" {
        call.warn("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned());
    }
    let answer = verbs::serve(shared, incoming, call, user).await;
    let remarks = std::mem::take(&mut *remarks.lock().unwrap_or_else(PoisonError::into_inner));
    match answer {
        Ok(mut response) => {
            warn(&mut response, &remarks.warnings);
            response.extensions_mut().insert(remarks);
            Ok(response)
        }
        Err(mut failure) => {
            *failure.remarks = remarks;
            Err(failure)
        }
    }
}

/// RFC 7234: 299 is a warning of any kind, `-` an agent without a name.
fn warn(response: &mut Response, warnings: &[String]) {
    for text in warnings {
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {text:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

pub(super) async fn read_body(body: Body) -> Result<Bytes, Failure> {
    axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {BODY_LIMIT}: {error}"))
    })
}
