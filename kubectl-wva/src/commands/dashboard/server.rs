//! Which requests are answered, and how.
//!
//! The page shows what the user may read, to whoever reaches the port: so it listens on loopback alone, and answers only
//! to the names of loopback. Another site whose name was made to point to 127.0.0.1 (DNS rebinding) comes with its own
//! name in `Host`, and is refused. No answer allows another origin to read it.

use std::convert::Infallible;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::page::Page;

/// What the page asks for.
pub trait Answers {
    /// The answer to `/state`, as JSON.
    fn state(&self) -> impl Future<Output = String>;
    /// The answer to `/findings`, as JSON.
    fn findings(&self) -> impl Future<Output = String>;
}

/// Serves the page and its answers, for ever.
pub async fn serve(listener: TcpListener, answers: &impl Answers) -> Infallible {
    let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
    let (page, hosts) = (Page::new(), [format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that failed before it was accepted concerns nobody.
                if let Ok((stream, _)) = accepted {
                    connections.push(connection(stream, &page, &hosts, answers));
                }
            }
            Some(()) = connections.next() => {}
        }
    }
}

async fn connection(stream: TcpStream, page: &Page, hosts: &[String], answers: &impl Answers) {
    let answer = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(respond(&request, page, hosts, answers).await)
    });
    // A browser that goes away in the middle of an answer is none of our business.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer).await;
}

async fn respond<B>(
    request: &Request<B>,
    page: &Page,
    hosts: &[String],
    answers: &impl Answers,
) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !hosts.iter().any(|known| known == host) {
        let why = format!("this page answers to {} only", hosts.join(" and "));
        return text(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", why);
    }
    if request.method() != Method::GET {
        let why = "this page only shows; ask with GET".to_owned();
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", why);
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    match request.uri().path() {
        "/" => {
            let mut answer = text(StatusCode::OK, "text/html; charset=utf-8", page.html.clone());
            if let Ok(policy) = HeaderValue::from_str(&page.policy) {
                answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
            answer
        }
        "/state" => text(StatusCode::OK, "application/json", answers.state().await),
        "/findings" => text(StatusCode::OK, "application/json", answers.findings().await),
        other => {
            text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", format!("there is no {other}; the page is at /"))
        }
    }
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
