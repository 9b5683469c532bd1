//! `/metrics`, by HTTP or by HTTPS with authentication and authorisation.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use tokio::net::TcpListener;

use super::auth::{Authenticator, Verdict};
use crate::metrics::Metrics;
use crate::ownership::handover::farewell::Scrapers;
use crate::ownership::leader::Leadership;

/// What Prometheus must be told for it to read the text as `OpenMetrics`.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served: the metrics, and who may say which of them.
#[derive(Clone, Debug)]
pub struct Source {
    /// The metrics.
    pub metrics: Metrics,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// Who asks.
    pub scrapers: Arc<Scrapers>,
}

/// Answers by HTTP until the process ends.
pub async fn serve_plain(listener: TcpListener, source: Source) {
    if let Err(error) = axum::serve(listener, router(source).into_make_service_with_connect_info::<SocketAddr>()).await
    {
        tracing::error!(%error, "Metrics are no longer served");
    }
}

/// Answers by HTTPS, to those who may, until the process ends.
pub async fn serve_secure(listener: TcpListener, source: Source, tls: RustlsConfig, authenticator: Authenticator) {
    let checked = middleware::from_fn_with_state(Arc::new(authenticator), check);
    let router = router(source).layer(checked);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = async { axum_server::from_tcp_rustls(listener.into_std()?, tls)?.serve(service).await };
    if let Err(error) = server.await {
        tracing::error!(%error, "Metrics are no longer served");
    }
}

fn router(source: Source) -> Router {
    Router::new().route("/metrics", get(text)).with_state(source)
}

async fn text(State(source): State<Source>, request: Request) -> Response {
    let Source { metrics, leadership, scrapers } = source;
    let leading = leadership.holds();
    let numbers = leading && !metrics.are_silent();
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        scrapers.note(peer.ip(), numbers);
    }
    match metrics.text(leading, numbers) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "Cannot write metrics as text");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn check(State(authenticator): State<Arc<Authenticator>>, request: Request, next: Next) -> Response {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim().to_owned());
    let verb = request.method().as_str().to_ascii_lowercase();
    match authenticator.check(token.as_deref(), &verb, request.uri().path()).await {
        Verdict::Allowed => next.run(request).await,
        Verdict::Unauthenticated => {
            let how = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, how, "Unauthorized: send a valid bearer token\n").into_response()
        }
        Verdict::Denied { user } => {
            let path = request.uri().path();
            let text =
                format!("Authorization denied for user {user}: no right to {verb} the non-resource URL {path}\n");
            (StatusCode::FORBIDDEN, text).into_response()
        }
        Verdict::Unknown { why } => {
            tracing::warn!(error = why, "Cannot check a request for metrics");
            let text = "Authentication failed: the API server could not be asked about this token; try again\n";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
