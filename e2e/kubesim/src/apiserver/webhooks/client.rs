//! Asking a webhook, and what is said when that fails, in the words of Go's client.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Certificate, Client, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Response};
use crate::apiserver::body::from_base64;

/// A question to one webhook.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The same for the same question.
    pub(super) key: String,
    /// The version of the object it is about.
    pub(super) version: String,
    pub(super) mutating: bool,
    pub(super) api_version: String,
    /// The request of the review, but for its uid.
    pub(super) request: Value,
    pub(super) place: Place,
    /// The certificates to trust, PEM in base64.
    pub(super) authority: Option<String>,
    pub(super) timeout: Duration,
}

/// Where a webhook listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) url: String,
    /// The address behind the name of a Service, or why there is none.
    pub(super) address: Option<Result<String, String>>,
}

/// Sends a question; what comes of it stands under the question's key.
pub(super) async fn ask(question: Question) -> (String, Answer) {
    let answer = match send(&question).await {
        Ok(response) => Answer::Given(response),
        Err(problem) => Answer::Failed(problem),
    };
    (question.key, answer)
}

async fn send(question: &Question) -> Result<Response, String> {
    let shown = format!("{}?timeout={}s", question.place.url, question.timeout.as_secs());
    let failed = |why: String| format!("failed to call webhook: {why}");
    let post = |why: String| failed(format!("Post {shown:?}: {why}"));
    let no_client = |why: String| format!("could not get REST client: {why}");
    let mut client = Client::builder().no_proxy().timeout(question.timeout);
    if let Some(authority) = &question.authority {
        let bytes = from_base64(authority).unwrap_or_default();
        let certificates = Certificate::from_pem_bundle(&bytes).unwrap_or_default();
        if certificates.is_empty() {
            return Err(no_client("unable to load root certificates: unable to parse bytes as PEM block".to_owned()));
        }
        client = client.tls_certs_only(certificates);
    }
    let mut url = reqwest::Url::parse(&shown).map_err(|error| no_client(format!("Unparsable URL: {error}")))?;
    if let Some(address) = &question.place.address {
        let address: SocketAddr = match address {
            Ok(address) => address.parse().map_err(|_| post(format!("dial tcp: lookup {address}: no such host")))?,
            Err(problem) => return Err(post(problem.clone())),
        };
        client = client.resolve(url.host_str().unwrap_or_default(), address);
        let _ = url.set_port(Some(address.port()));
    }
    let client = client.build().map_err(|error| no_client(deepest(&error)))?;
    let uid = uuid::Uuid::new_v4().to_string();
    let mut request = question.request.clone();
    request["uid"] = json!(uid);
    let review = json!({"kind": "AdmissionReview", "apiVersion": question.api_version, "request": request});
    let authority = url.authority().to_owned();
    let answer = client.post(url).header("Accept", "application/json, */*").json(&review).send().await;
    let answer = answer.map_err(|error| post(told(&error, &authority, question)))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| failed(told(&error, &authority, question)))?;
    if !status.is_success() {
        return Err(failed(refused(status, &String::from_utf8_lossy(&body))));
    }
    let review: Value = serde_json::from_slice(&body)
        .map_err(|error| failed(format!("couldn't get version/kind; json parse error: {error}")))?;
    Response::read(question, &uid, &review)
}

/// What Go's client makes of a code that is no success.
fn refused(status: StatusCode, body: &str) -> String {
    match status.as_u16() {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => body.trim().to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the \
                request"
            .to_owned(),
        code if code >= 500 => {
            let said = if body.trim().is_empty() { "unknown" } else { body.trim() };
            format!("an error on the server ({said:?}) has prevented the request from succeeding")
        }
        code => format!("the server responded with the status code {code} but did not return more information"),
    }
}

/// Why there is no answer, as Go says it.
fn told(error: &reqwest::Error, authority: &str, question: &Question) -> String {
    if error.is_timeout() {
        return "context deadline exceeded".to_owned();
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(found) = cause {
        if let Some(problem) = found.downcast_ref::<rustls::Error>() {
            return distrusted(problem);
        }
        let of_system = found.downcast_ref::<io::Error>();
        if of_system.is_some_and(|problem| problem.kind() == io::ErrorKind::ConnectionRefused) {
            let address = question.place.address.as_ref().and_then(|address| address.as_ref().ok());
            let address = address.map_or(authority, String::as_str);
            return format!("dial tcp {address}: connect: connection refused");
        }
        cause = match of_system.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => found.source(),
        };
    }
    match deepest(error).as_str() {
        closed if closed.contains("connection closed") || closed.contains("reset") => "EOF".to_owned(),
        other => other.to_owned(),
    }
}

fn distrusted(error: &rustls::Error) -> String {
    use rustls::CertificateError as Because;
    let why = match error {
        rustls::Error::InvalidCertificate(Because::UnknownIssuer | Because::BadSignature) => {
            "certificate signed by unknown authority".to_owned()
        }
        rustls::Error::InvalidCertificate(Because::Expired | Because::ExpiredContext { .. }) => {
            "certificate has expired or is not yet valid".to_owned()
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: x509: {why}")
}

/// The last of a chain of errors, which is the one that says something.
fn deepest(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
