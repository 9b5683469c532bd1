//! The server's side of an upgrade to SPDY/3.1.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

/// Names the protocols that are spoken on the streams: what a client offers, and what the server chose.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// A request to go on in SPDY, in a protocol that both sides know.
pub(crate) struct Handshake {
    upgrade: OnUpgrade,
    protocol: &'static str,
}

impl Handshake {
    /// Whether a request asks for SPDY.
    pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
        headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"SPDY/3.1"))
    }

    /// `None` for a request that asks for something else, or offers none of `protocols`.
    pub(crate) fn of(
        headers: &HeaderMap,
        upgrade: Option<OnUpgrade>,
        protocols: &'static [&'static str],
    ) -> Option<Self> {
        let offered: Vec<&str> = headers
            .get_all(VERSION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','))
            .collect();
        let known = |protocol: &&&str| offered.iter().any(|offered| offered.trim() == **protocol);
        let protocol = protocols.iter().find(known)?;
        Self::is_asked(headers).then_some(())?;
        Some(Self { upgrade: upgrade?, protocol })
    }

    /// `101 Switching Protocols`.
    pub(crate) fn response(&self) -> Response {
        switching(&HeaderValue::from_static(self.protocol))
    }

    /// The bare connection, once the response is sent; `None` if the client left before.
    pub(crate) async fn connection(self) -> Option<TokioIo<Upgraded>> {
        self.upgrade.await.ok().map(TokioIo::new)
    }
}

/// The answer that agrees to SPDY and to a protocol on it.
pub(crate) fn switching(protocol: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(VERSION, protocol.clone());
    response
}
