//! HTTP in and out: who asks, what for, in which form the answer goes.

use std::sync::{Arc, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::delete::{DeleteOptions, Deleted};
use super::failure::Failure;
use super::negotiation::Form;
use super::request::{Query, Target};
use super::state::{Call, Shared};
use super::tokens::User;
use super::update::Write;
use super::{aggregation, body, clock, discovery, openapi, pods, scale, table, watch};

/// As large as etcd lets an object be, with some room for its envelope.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// A request with its body still to be read.
struct Incoming {
    method: Method,
    path: String,
    /// Path and query as they came.
    path_and_query: String,
    query: Query,
    headers: HeaderMap,
    body: Body,
}

impl Incoming {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn accept(&self) -> &str {
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
    let (parts, body) = request.into_parts();
    let incoming = Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        query: Query::parse(&parts.uri),
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

fn json_response(code: StatusCode, value: &Value) -> Response {
    typed_response(code, "application/json", value.to_string())
}

fn typed_response(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
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
    if let Some(answer) = document(shared, &segments, incoming.accept()).await? {
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
    let mut response = serve(shared, incoming, call, &user).await?;
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

/// Paths that are not about objects.
async fn document(shared: &Arc<Shared>, segments: &[&str], accept: &str) -> Result<Option<Response>, Failure> {
    let aggregated = discovery::wants_aggregated(accept);
    let both = async |core: bool| {
        let document = match (aggregated, core) {
            (true, _) => discovery::aggregated(&shared.lock().catalog, core),
            (false, true) => discovery::core_versions(),
            (false, false) => discovery::group_list(&shared.lock().catalog),
        };
        let document = if core { document } else { aggregation::add_to_discovery(shared, document).await };
        let content_type = if aggregated { discovery::AGGREGATED } else { "application/json" };
        typed_response(StatusCode::OK, content_type, document.to_string())
    };
    let ok = |document: Value| Ok(Some(json_response(StatusCode::OK, &document)));
    match segments {
        ["healthz" | "readyz" | "livez", ..] => {
            Ok(Some(typed_response(StatusCode::OK, "text/plain; charset=utf-8", "ok")))
        }
        ["version"] => ok(version()),
        ["openapi", "v3"] => ok(openapi::index(&shared.lock().catalog)),
        ["openapi", "v3", "api", version] => ok(openapi::document(&shared.lock().catalog, "", version)?),
        ["openapi", "v3", "apis", group, version] => ok(openapi::document(&shared.lock().catalog, group, version)?),
        ["api"] => Ok(Some(both(true).await)),
        ["apis"] => Ok(Some(both(false).await)),
        ["apis", group] => {
            let state = shared.lock();
            match state.aggregated().into_iter().find(|other| other.group == *group) {
                Some(other) => ok(other.group()),
                None => ok(discovery::group(&state.catalog, group)?),
            }
        }
        ["api", version] => ok(discovery::resource_list(&shared.lock().catalog, "", version)?),
        ["apis", group, version] => ok(discovery::resource_list(&shared.lock().catalog, group, version)?),
        _ => Ok(None),
    }
}

/// The Kubernetes release whose API is served.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "35",
        "gitVersion": "v1.35.0+kubesim",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

async fn serve(shared: &Arc<Shared>, incoming: Incoming, call: Call, user: &User) -> Result<Response, Failure> {
    let form = Form::of(incoming.accept());
    let verb = call.target.verb(&incoming.method, &call.query);
    let content_type = incoming.header(header::CONTENT_TYPE).to_owned();
    if verb == "watch" {
        let events = watch::start(shared, call, form)?;
        return Ok(typed_response(StatusCode::OK, "application/json", Body::from_stream(events)));
    }
    let bytes = read_body(incoming.body).await?;
    let body = body::decode(&content_type, &bytes)?;
    let subresource = call.target.subresource.as_str();
    if !subresource.is_empty() && !call.resource.has(subresource) {
        return Err(Failure::no_such_resource());
    }
    if (verb, subresource) == ("get", "log") {
        return pods::logs(shared, &call).await;
    }
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
        ("get", "" | "status") => {
            let object = state.read(&call)?;
            Ok(json_response(StatusCode::OK, &call.present(&object, form)))
        }
        ("get", "scale") => {
            let object = state.read(&call)?;
            let paths = call.resource.scale.as_ref().ok_or_else(Failure::no_such_resource)?;
            let scale = scale::of(&object, paths);
            let answer = match form {
                Form::Table => table::of(&call.resource, &[scale], "", call.query.get("includeObject")),
                Form::Full | Form::Metadata => scale,
            };
            Ok(json_response(StatusCode::OK, &answer))
        }
        ("update" | "patch", "scale") => {
            let write = intended_write(&call, verb, &content_type, body)?;
            Ok(json_response(StatusCode::OK, &state.write_scale(&call, write)?))
        }
        ("update" | "patch", "" | "status" | "finalize") => {
            let write = intended_write(&call, verb, &content_type, body)?;
            let written = state.write(&call, write)?;
            let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
            Ok(json_response(code, &call.present(&written.object, form)))
        }
        ("delete", "") => {
            let options = DeleteOptions::new(&call, &body);
            match state.delete(&call, &call.key(), &options)? {
                Deleted::Terminating(object) => Ok(json_response(StatusCode::OK, &call.present(&object, Form::Full))),
                Deleted::Gone(object) => Ok(json_response(StatusCode::OK, &deleted(&call, &object))),
            }
        }
        ("deletecollection", "") => {
            let options = DeleteOptions::new(&call, &body);
            let selector = call.selector()?;
            let objects = state.delete_collection(&call, &selector, &options)?;
            let items: Vec<Value> = objects.iter().map(|object| call.present(object, Form::Full)).collect();
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

fn intended_write(call: &Call, verb: &str, content_type: &str, body: Value) -> Result<Write, Failure> {
    if verb == "update" { Ok(Write::Replace(body)) } else { Write::patch(call, content_type, body) }
}

/// The answer to a deletion that is complete.
fn deleted(call: &Call, object: &Value) -> Value {
    // Pods are returned as they were, as the real server does.
    if call.resource.kind == "Pod" {
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

async fn read_body(body: Body) -> Result<Bytes, Failure> {
    axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {BODY_LIMIT}: {error}"))
    })
}
