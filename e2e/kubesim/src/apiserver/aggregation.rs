//! API groups that others serve: requests for the group version of an `APIService` go to an endpoint of its Service, as with
//! `--enable-aggregator-routing`.
//!
//! It is asked over TLS and must be the Service that it is asked for, by a certificate of the `caBundle`, unless
//! `insecureSkipTLSVerify` is set. Who asks is told in the headers `X-Remote-…`; their own credentials stay here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::body::from_base64;
use super::clock;
use super::failure::Failure;
use super::state::{Shared, State};
use super::store::{GroupResource, Key};
use super::tokens::User;

/// Headers that mean something to an aggregated server.
const FORWARDED: [header::HeaderName; 3] = [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT];
/// With so many trusted servers the clients are made anew.
const CLIENTS: usize = 16;

/// An `APIService` that names a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aggregated {
    pub(super) group: String,
    pub(super) version: String,
    /// Whom to ask, or why there is nobody.
    backend: Result<Backend, String>,
}

/// A server, and how it is known to be the right one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Backend {
    /// `NAME.NAMESPACE.svc`, which its certificate must name.
    host: String,
    address: SocketAddr,
    /// Whose certificates are trusted, PEM; nobody's is asked for without.
    ca: Option<String>,
}

/// The HTTPS clients for aggregated servers, each with what it trusts.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<Backend, reqwest::Client>>);

impl Clients {
    fn of(&self, backend: &Backend) -> Result<reqwest::Client, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(backend) {
            return Ok(known.clone());
        }
        let builder = reqwest::Client::builder().no_proxy().resolve(&backend.host, backend.address);
        let builder = match &backend.ca {
            None => builder.tls_danger_accept_invalid_certs(true),
            Some(pem) => {
                let trusted = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
                builder.tls_certs_only(trusted.map_err(|error| format!("reading its caBundle: {error}"))?)
            }
        };
        let client = builder.build().map_err(|error| error.to_string())?;
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(backend.clone(), client.clone());
        Ok(client)
    }

    /// A request to a server; the path begins with a slash.
    fn request(&self, backend: &Backend, method: Method, path: &str) -> Result<reqwest::RequestBuilder, String> {
        let url = format!("https://{}:{}{path}", backend.host, backend.address.port());
        Ok(self.of(backend)?.request(method, url))
    }
}

impl State {
    /// All aggregated group versions, by name of their `APIService`.
    pub(super) fn aggregated(&self) -> Vec<Aggregated> {
        let api_services = GroupResource::new("apiregistration.k8s.io", "apiservices");
        let services = self.store.list(&api_services, None);
        services.filter_map(|(_, service)| self.read_api_service(service)).collect()
    }

    /// Says in the status of an `APIService` whether there is anybody to ask.
    pub(super) fn judge_api_service(&mut self, name: &str) {
        let resource = GroupResource::new("apiregistration.k8s.io", "apiservices");
        let key = Key::new("", name);
        let Some(found) = self.store.get(&resource, &key).cloned() else { return };
        let condition = self.availability(&found);
        let known = &found["status"]["conditions"][0];
        if ["status", "reason", "message"].iter().all(|field| known[*field] == condition[*field]) {
            return;
        }
        let mut judged = (*found).clone();
        judged["status"]["conditions"] = json!([condition]);
        self.store.put(&resource, key, judged);
    }

    fn availability(&self, api_service: &Value) -> Value {
        let service = &api_service["spec"]["service"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&service["namespace"]), text(&service["name"]));
        let (status, reason, message) = if !service.is_object() {
            ("True", "Local", "Local APIServices are always available".to_owned())
        } else if self.store.get(&GroupResource::new("", "services"), &Key::new(&namespace, &name)).is_none() {
            ("False", "ServiceNotFound", format!("service/{name} in {namespace:?} is not present"))
        } else if self.read_api_service(api_service).is_none_or(|found| found.backend.is_err()) {
            let message =
                format!("endpoints for service/{name} in {namespace:?} have no addresses with port name \"\"");
            ("False", "MissingEndpoints", message)
        } else {
            ("True", "Passed", "all checks passed".to_owned())
        };
        json!({
            "type": "Available", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": clock::now(),
        })
    }

    /// Judges every `APIService` whose Service this is.
    pub(super) fn judge_api_services_of(&mut self, namespace: &str, service: &str) {
        let all = GroupResource::new("apiregistration.k8s.io", "apiservices");
        let names: Vec<String> = self
            .store
            .list(&all, None)
            .filter(|(_, found)| {
                let of = &found["spec"]["service"];
                of["namespace"] == namespace && of["name"] == service
            })
            .map(|(key, _)| key.name.clone())
            .collect();
        for name in names {
            self.judge_api_service(&name);
        }
    }

    /// The aggregated group version a path belongs to.
    pub(super) fn aggregated_at(&self, segments: &[&str]) -> Option<Aggregated> {
        let ["apis", group, version, ..] = segments else { return None };
        let key = Key::new("", &format!("{version}.{group}"));
        let service = self.store.get(&GroupResource::new("apiregistration.k8s.io", "apiservices"), &key)?;
        self.read_api_service(service)
    }

    /// An `APIService` without a service stands for a group this server serves itself.
    fn read_api_service(&self, api_service: &Value) -> Option<Aggregated> {
        let spec = &api_service["spec"];
        let service = spec.get("service").filter(|service| service.is_object())?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&service["namespace"]), text(&service["name"]));
        let port = service["port"].as_u64().unwrap_or(443);
        let bundle = || from_base64(&text(&spec["caBundle"])).and_then(|pem| String::from_utf8(pem).ok());
        let ca = (spec["insecureSkipTLSVerify"] != true).then(|| bundle().unwrap_or_default());
        let address = self.backend(&namespace, &name, &port.to_string());
        let address = address.and_then(|found| found.parse().map_err(|_| format!("{found} is no address")));
        Some(Aggregated {
            group: text(&spec["group"]),
            version: text(&spec["version"]),
            backend: address.map(|address| Backend { host: format!("{name}.{namespace}.svc"), address, ca }),
        })
    }

    /// `ip:port` of a ready endpoint of a Service, whose port is given by number or name; empty is its only port.
    pub(super) fn backend(&self, namespace: &str, name: &str, port: &str) -> Result<String, String> {
        let key = Key::new(namespace, name);
        let service = self
            .store
            .get(&GroupResource::new("", "services"), &key)
            .ok_or_else(|| format!("service {namespace}/{name} does not exist"))?;
        let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
        let port = match (port, ports) {
            ("", [only]) => Some(only),
            ("", _) => None,
            (port, ports) => {
                ports.iter().find(|known| known["name"] == port || known["port"].as_u64() == port.parse().ok())
            }
        }
        .ok_or_else(|| format!("service {namespace}/{name} has no port {port}"))?;
        let none = || format!("endpoints for service {namespace}/{name} have no addresses");
        let endpoints = self.store.get(&GroupResource::new("", "endpoints"), &key).ok_or_else(none)?;
        let mut subsets = endpoints["subsets"].as_array().into_iter().flatten();
        subsets
            .find_map(|subset| {
                let address = subset["addresses"][0]["ip"].as_str()?;
                let target = subset["ports"].as_array()?.iter().find(|candidate| candidate["name"] == port["name"])?;
                Some(format!("{address}:{}", target["port"].as_u64()?))
            })
            .ok_or_else(none)
    }
}

impl Aggregated {
    /// Passes a request on and its answer back.
    pub(super) async fn proxy(
        &self,
        clients: &Clients,
        user: &User,
        method: Method,
        path_and_query: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let backend = self.backend.as_ref().map_err(|_| Failure::unreachable_group())?;
        let request = clients.request(backend, method, path_and_query).map_err(unreachable)?;
        let mut request = identified(request, user).body(body);
        for name in FORWARDED {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        stream(request).await
    }

    /// This group version in an aggregated discovery document; without its server it is listed as stale.
    pub(super) async fn discovery(&self, clients: &Clients) -> Value {
        let version = match self.resources(clients).await {
            Some(list) => {
                let resources: Vec<Value> =
                    list["resources"].as_array().into_iter().flatten().map(|known| self.resource(known)).collect();
                json!({"version": self.version, "freshness": "Current", "resources": resources})
            }
            None => json!({"version": self.version, "freshness": "Stale", "resources": []}),
        };
        json!({"metadata": {"name": self.group, "creationTimestamp": null}, "versions": [version]})
    }

    /// This group in a list of groups of the older form.
    pub(super) fn group(&self) -> Value {
        let version = json!({"groupVersion": format!("{}/{}", self.group, self.version), "version": self.version});
        json!({"name": self.group, "versions": [version], "preferredVersion": version})
    }

    async fn resources(&self, clients: &Clients) -> Option<Value> {
        let path = format!("/apis/{}/{}", self.group, self.version);
        let answer = clients.request(self.backend.as_ref().ok()?, Method::GET, &path).ok()?.send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    fn resource(&self, known: &Value) -> Value {
        json!({
            "resource": known["name"],
            "responseKind": {"group": self.group, "version": self.version, "kind": known["kind"]},
            "scope": if known["namespaced"] == true { "Namespaced" } else { "Cluster" },
            "singularResource": known["singularName"],
            "verbs": known["verbs"],
        })
    }
}

/// Says who asks, as an aggregated server reads it.
fn identified(request: reqwest::RequestBuilder, user: &User) -> reqwest::RequestBuilder {
    let request = request.header("X-Remote-User", &user.name);
    let request = if user.uid.is_empty() { request } else { request.header("X-Remote-Uid", &user.uid) };
    let request = user.groups.iter().fold(request, |request, group| request.header("X-Remote-Group", group));
    let extra = user.extra.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
    extra.fold(request, |request, (key, value)| request.header(format!("X-Remote-Extra-{}", escaped(key)), value))
}

/// The key of something known of a user as the name of a header: what may not stand in one is percent-encoded.
fn escaped(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'".contains(&byte);
    key.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn unreachable(error: impl std::fmt::Display) -> Failure {
    Failure::unavailable(format!("error trying to reach service: {error}"))
}

/// Sends a request and hands its answer on as it arrives.
pub(super) async fn stream(request: reqwest::RequestBuilder) -> Result<Response, Failure> {
    let answer = request.send().await.map_err(unreachable)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let content_type = answer.headers().get(reqwest::header::CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    if let Some(value) = content_type.and_then(|value| HeaderValue::from_bytes(&value).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    Ok(response)
}

/// Adds what others serve to a discovery document of either form.
pub(super) async fn add_to_discovery(shared: &Arc<Shared>, mut document: Value) -> Value {
    let others = shared.lock().aggregated();
    for other in others {
        if let Some(items) = document.get_mut("items").and_then(Value::as_array_mut) {
            items.push(other.discovery(&shared.aggregated).await);
        } else if let Some(groups) = document.get_mut("groups").and_then(Value::as_array_mut) {
            groups.push(other.group());
        }
    }
    document
}
