//! The `proxy` subresource: plain HTTP to a pod or service, through the API server.

use std::sync::Arc;

use axum::http::header;
use axum::response::Response;

use super::aggregation;
use super::failure::Failure;
use super::http::{Incoming, read_body};
use super::state::{Call, Shared, State};
use super::store::{GroupResource, Key};

/// Headers that mean something to the program behind the proxy. The caller's token is not among them.
const FORWARDED: [header::HeaderName; 2] = [header::ACCEPT, header::CONTENT_TYPE];

/// `/api/v1/namespaces/NAMESPACE/pods/NAME/proxy` has this many slashes before the proxied path.
const SLASHES: usize = 7;

/// What the name in the path says: `[SCHEME:]NAME[:PORT]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    scheme: &'a str,
    name: &'a str,
    port: &'a str,
}

impl<'a> Place<'a> {
    fn parse(text: &'a str) -> Self {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [scheme, name, port] => Self { scheme: if *scheme == "https" { "https" } else { "http" }, name, port },
            [name, port] => Self { scheme: "http", name, port },
            _ => Self { scheme: "http", name: text, port: "" },
        }
    }
}

impl State {
    /// `ip:port` of what a proxied request is for.
    fn proxied(&self, call: &Call, place: Place<'_>) -> Result<String, Failure> {
        if call.resource.kind == "Service" {
            let services = GroupResource::new("", "services");
            if self.store.get(&services, &Key::new(&call.target.namespace, place.name)).is_none() {
                return Err(Failure::not_found("", "services", place.name));
            }
        }
        if call.resource.kind != "Pod" {
            let backend = self.backend(&call.target.namespace, place.name, place.port);
            return backend.map_err(Failure::unavailable);
        }
        let mut of_pod = call.clone();
        place.name.clone_into(&mut of_pod.target.name);
        let pod = self.read(&of_pod)?;
        let first = &pod["spec"]["containers"][0]["ports"][0]["containerPort"];
        let port = match place.port {
            "" => first.as_u64().map(|port| port.to_string()),
            port => Some(port.to_owned()),
        };
        match (pod["status"]["podIP"].as_str(), port) {
            (Some(ip), Some(port)) => Ok(format!("{ip}:{port}")),
            (None, _) => Err(Failure::bad_request("address not allowed")),
            (_, None) => Err(Failure::bad_request(format!("pod {} declares no port; name one", place.name))),
        }
    }
}

/// Passes a request on to a pod or service, and its answer back as it arrives.
pub(super) async fn pass(shared: &Arc<Shared>, incoming: Incoming, call: &Call) -> Result<Response, Failure> {
    let place = Place::parse(&call.target.name);
    let backend = shared.lock().proxied(call, place)?;
    let rest = after_slashes(&incoming.path_and_query).to_owned();
    let Incoming { method, headers, body, .. } = incoming;
    let url = format!("{}://{backend}/{rest}", place.scheme);
    let mut request = shared.trusting.request(method, url).body(read_body(body).await?);
    for name in FORWARDED {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    aggregation::stream(request).await
}

/// The path and query behind `/proxy/`.
fn after_slashes(path_and_query: &str) -> &str {
    let query = path_and_query.find('?').unwrap_or(path_and_query.len());
    match path_and_query[..query].match_indices('/').nth(SLASHES) {
        Some((slash, _)) => &path_and_query[slash + 1..],
        None => &path_and_query[query..],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::name("x", ("http", "x", ""))]
    #[case::port("x:80", ("http", "x", "80"))]
    #[case::scheme("https:x:metrics", ("https", "x", "metrics"))]
    #[case::no_port("https:x:", ("https", "x", ""))]
    fn a_name_may_carry_scheme_and_port(#[case] text: &str, #[case] expected: (&str, &str, &str)) {
        let Place { scheme, name, port } = Place::parse(text);
        assert_eq!((scheme, name, port), expected);
    }

    #[rstest]
    #[case("/api/v1/namespaces/a/pods/x:80/proxy/v1/models?x=/y", "v1/models?x=/y")]
    #[case("/api/v1/namespaces/a/pods/x:80/proxy/", "")]
    #[case("/api/v1/namespaces/a/pods/x:80/proxy?x=/y", "?x=/y")]
    fn the_rest_of_the_path_is_passed_on_as_it_came(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(after_slashes(path), expected);
    }
}
