//! The server's side of a WebSocket handshake, for the subresources through which clients stream.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

/// A WebSocket with a client.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request to go on as a WebSocket, of a protocol that both sides know.
pub(crate) struct Handshake {
    upgrade: OnUpgrade,
    accept: String,
    protocol: &'static str,
}

impl Handshake {
    /// `None` for a request that asks for something else, or offers none of `protocols`.
    pub(crate) fn of(
        headers: &HeaderMap,
        upgrade: Option<OnUpgrade>,
        protocols: &'static [&'static str],
    ) -> Option<Self> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
        let protocol = offered
            .filter_map(|value| value.to_str().ok())
            .flat_map(|names| names.split(','))
            .find_map(|name| protocols.iter().find(|known| **known == name.trim()))?;
        if !text(header::UPGRADE).eq_ignore_ascii_case("websocket") {
            return None;
        }
        let accept = derive_accept_key(text(header::SEC_WEBSOCKET_KEY).as_bytes());
        Some(Self { upgrade: upgrade?, accept, protocol })
    }

    /// Whether a request offers one of `protocols`.
    pub(crate) fn is_offered(headers: &HeaderMap, protocols: &[&str]) -> bool {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
        let mut names = offered.filter_map(|value| value.to_str().ok()).flat_map(|names| names.split(','));
        names.any(|name| protocols.contains(&name.trim()))
    }

    /// The protocol that is spoken.
    pub(crate) fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// `101 Switching Protocols`.
    pub(crate) fn response(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }

    /// The bare connection, once the response is sent; `None` if the client left before.
    pub(crate) async fn connection(self) -> Option<TokioIo<Upgraded>> {
        self.upgrade.await.ok().map(TokioIo::new)
    }

    /// The connection as a WebSocket.
    pub(crate) async fn socket(self) -> Option<Socket> {
        Some(serve(self.connection().await?).await)
    }
}

/// A WebSocket on a connection whose handshake is over.
pub(crate) async fn serve(connection: TokioIo<Upgraded>) -> Socket {
    WebSocketStream::from_raw_socket(connection, Role::Server, None).await
}

/// A message of the `channel.k8s.io` protocols: the first byte is the channel.
pub(crate) fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut framed = Vec::with_capacity(bytes.len() + 1);
    framed.push(channel);
    framed.extend_from_slice(bytes);
    Message::binary(framed)
}

/// The end of a conversation that went as it should; clients take an end without a code for a broken one.
pub(crate) fn end() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Takes such a message apart.
pub(crate) fn channel(mut message: Bytes) -> Option<(u8, Bytes)> {
    if message.is_empty() {
        return None;
    }
    let content = message.split_off(1);
    Some((message[0], content))
}
