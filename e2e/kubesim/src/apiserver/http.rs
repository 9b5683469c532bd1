//! HTTP in and out: who asks, what for, in which form the answer goes.

use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use serde_json::Value;

use super::failure::Failure;
use super::request::{Query, Target};
use super::state::{Call, Shared};
use super::tokens::User;
use super::{clock, documents, verbs};

/// As large as etcd lets an object be, with some room for its envelope.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// A request with its body still to be read.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) path: String,
    /// Path and query as they came.
    pub(super) path_and_query: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
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
    fn manager(&self) -> String {
        let agent = self.header(header::USER_AGENT);
        let program = agent.split('/').next().filter(|program| !program.is_empty()).unwrap_or("unknown");
        self.query.get("fieldManager").unwrap_or(program).to_owned()
    }
}

/// Answers every request; refusals become `Status` objects.
pub(super) async fn handle(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let incoming = Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        query: Query::parse(&parts.uri),
        upgrade: parts.extensions.remove::<OnUpgrade>(),
        headers: parts.headers,
        body,
    };
    let (method, path) = (incoming.method.clone(), incoming.path.clone());
    match route(&shared, incoming).await {
        Ok(response) => {
            tracing::debug!(%method, path, status = response.status().as_u16(), "Served");
            response
        }
        Err(failure) => {
            tracing::debug!(%method, path, status = failure.code, reason = failure.reason, message = failure.message, "Refused");
            let code = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_response(code, &failure.status())
        }
    }
}

pub(super) fn json_response(code: StatusCode, value: &Value) -> Response {
    typed_response(code, "application/json", value.to_string())
}

pub(super) fn typed_response(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

async fn route(shared: &Arc<Shared>, incoming: Incoming) -> Result<Response, Failure> {
    let user = authenticate(shared, &incoming)?;
    let segments: Vec<&str> = incoming.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let aggregated = shared.lock().aggregated_at(&segments);
    if let Some(aggregated) = aggregated {
        let bytes = read_body(incoming.body).await?;
        let Incoming { method, path_and_query, headers, .. } = incoming;
        return aggregated.proxy(&shared.http, method, &path_and_query, &headers, bytes).await;
    }
    if let Some(answer) = documents::document(shared, &segments, incoming.accept()).await? {
        return Ok(answer);
    }
    let target = Target::parse(&incoming.path).ok_or_else(Failure::no_such_resource)?;
    let resource = {
        let state = shared.lock();
        state.catalog.find(&target.group, &target.version, &target.plural).cloned()
    };
    let resource = resource.ok_or_else(Failure::no_such_resource)?;
    let warnings = Arc::default();
    let call = Call {
        manager: incoming.manager(),
        query: incoming.query.clone(),
        now: clock::now(),
        resource,
        target,
        warnings: Arc::clone(&warnings),
    };
    let mut response = verbs::serve(shared, incoming, call, &user).await?;
    for text in warnings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        // RFC 7234: 299 is a warning of any kind, `-` an agent without a name.
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {text:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// The caller behind the bearer token; none means the administrator, a wrong one is refused.
fn authenticate(shared: &Shared, incoming: &Incoming) -> Result<User, Failure> {
    let Some(token) = incoming.header(header::AUTHORIZATION).strip_prefix("Bearer ") else {
        return Ok(User::admin());
    };
    let state = shared.lock();
    match state.tokens.user(token.trim(), Timestamp::now()) {
        Some((user, _)) => Ok(user.clone()),
        None => Err(Failure::new(401, "Unauthorized", "Unauthorized")),
    }
}

pub(super) async fn read_body(body: Body) -> Result<Bytes, Failure> {
    axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {BODY_LIMIT}: {error}"))
    })
}
