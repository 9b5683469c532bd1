//! HTTP(S) to Prometheus: TLS options and bearer token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HOST, HeaderMap};
use reqwest::{Certificate, Client, Identity, StatusCode, Url};

use super::response;
use crate::config::{self, SecretUrl, Secrets, Token};
use crate::trust;

/// Time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// So many characters of an answer that cannot be used are shown.
const EXCERPT: usize = 200;

/// The client cannot be built from the configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("configuration: cannot read {path} (named by {key}): {source}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or option is not usable for TLS.
    #[error("configuration: {key} cannot be used for TLS: {why}")]
    Tls {
        /// The key.
        key: &'static str,
        /// Why.
        why: String,
    },
    /// The URL cannot be extended by the path of the query API.
    #[error("configuration: PROMETHEUS_BASE_URL={0} cannot be extended by a path; use e.g. https://prometheus:9090")]
    Url(SecretUrl),
}

/// A query did not come back with a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token file cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No connection, or it broke.
    #[error("no answer from {url}: {why}")]
    Connection {
        /// Who was asked.
        url: SecretUrl,
        /// Why.
        why: String,
    },
    /// Prometheus, or what stands before it, refused the request.
    #[error("HTTP {status}: {excerpt}")]
    Status {
        /// Status code.
        status: StatusCode,
        /// How the body begins.
        excerpt: String,
    },
    /// The answer cannot be used.
    #[error(transparent)]
    Response(#[from] response::Error),
}

/// A connection to Prometheus.
#[derive(Debug)]
pub struct Transport {
    client: Client,
    endpoint: SecretUrl,
    /// `Host` header, when the URL's host stands for the certificate's name instead.
    host: Option<String>,
    token: Option<Token>,
    headers: HeaderMap,
    /// What errors must not show, however it gets into them.
    secrets: Secrets,
    /// The address as it was given.
    url: SecretUrl,
}

impl Transport {
    /// Reads the files the configuration names and builds the client.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn new(config: &config::Prometheus) -> Result<Self, SetupError> {
        let config::Prometheus { url, skip_verify, ca_file, client_pair, server_name, token, headers, matchers: _ } =
            config;
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("wva-controller/", env!("CARGO_PKG_VERSION")))
            .tls_danger_accept_invalid_certs(*skip_verify)
            .tls_certs_only(authorities(ca_file.as_deref())?);
        if let Some((certificate, key)) = client_pair {
            let mut pem = read(wva_api::config_keys::PROMETHEUS_CLIENT_CERT_PATH, certificate)?;
            pem.push(b'\n');
            pem.extend(read(wva_api::config_keys::PROMETHEUS_CLIENT_KEY_PATH, key)?);
            let identity = Identity::from_pem(&pem).map_err(|error| SetupError::Tls {
                key: wva_api::config_keys::PROMETHEUS_CLIENT_CERT_PATH,
                why: chain(&error),
            })?;
            builder = builder.identity(identity);
        }
        let mut endpoint = endpoint(url)?;
        let real_url = url.expose();
        let mut host = None;
        if let (Some(name), "https", Some(real)) = (server_name, real_url.scheme(), real_url.host_str()) {
            // The TLS layer checks the certificate against the host of the URL and offers no other name. So the
            // URL gets the expected name, which is then resolved as the real host.
            host = Some(real_url.port().map_or_else(|| real.to_owned(), |port| format!("{real}:{port}")));
            builder = builder.dns_resolver(std::sync::Arc::new(StandIn { real: real.to_owned() }));
            endpoint.set_host(Some(name)).map_err(|why| SetupError::Tls {
                key: wva_api::config_keys::PROMETHEUS_SERVER_NAME,
                why: why.to_string(),
            })?;
        }
        let client = builder
            .build()
            .map_err(|error| SetupError::Tls { key: wva_api::config_keys::PROMETHEUS_BASE_URL, why: chain(&error) })?;
        let given = match token {
            Some(Token::Value(token)) => Some(token.clone()),
            Some(Token::File(_)) | None => None,
        };
        let secrets = Secrets::of(url, headers.values().chain(given));
        let headers = headers.expose().clone();
        Ok(Self { client, endpoint: endpoint.into(), host, token: token.clone(), headers, secrets, url: url.clone() })
    }

    /// Evaluates an instant query now.
    ///
    /// # Errors
    /// When no usable answer comes back.
    pub async fn query(&self, promql: &str) -> Result<Vec<response::Sample>, Error> {
        let token = self.token().await?;
        // A token of a file is another one each time.
        let secrets = || self.secrets.clone().with(token.clone());
        self.ask(promql, token.as_deref()).await.map_err(|error| error.without(&secrets()))
    }

    async fn ask(&self, promql: &str, token: Option<&str>) -> Result<Vec<response::Sample>, Error> {
        let broken =
            |error: reqwest::Error| Error::Connection { url: self.url.clone(), why: connection(&error.without_url()) };
        let mut request =
            self.client.post(self.endpoint.expose().clone()).headers(self.headers.clone()).form(&[("query", promql)]);
        if let Some(host) = &self.host {
            request = request.header(HOST, host);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(broken)?;
        // Prometheus answers a refused query with 4xx and a JSON body that says why.
        match response::parse(&body) {
            Ok(samples) if status.is_success() => Ok(samples),
            Err(error) if status.is_success() || matches!(error, response::Error::Refused { .. }) => Err(error.into()),
            _ => {
                let excerpt = String::from_utf8_lossy(&body).trim().chars().take(EXCERPT).collect();
                Err(Error::Status { status, excerpt })
            }
        }
    }

    async fn token(&self) -> Result<Option<String>, Error> {
        match &self.token {
            None => Ok(None),
            Some(Token::Value(token)) => Ok(Some(token.clone())),
            Some(Token::File(path)) => match tokio::fs::read_to_string(path).await {
                Ok(token) => Ok(Some(token.trim().to_owned())),
                Err(source) => Err(Error::Token { path: path.clone(), source }),
            },
        }
    }
}

impl Error {
    /// The same without these secrets: whoever answers may repeat what it was sent.
    fn without(self, secrets: &Secrets) -> Self {
        match self {
            Self::Connection { url, why } => Self::Connection { url, why: secrets.hide(&why) },
            Self::Status { status, excerpt } => Self::Status { status, excerpt: secrets.hide(&excerpt) },
            Self::Response(error) => Self::Response(error.map(|text| secrets.hide(text))),
            Self::Token { .. } => self,
        }
    }
}

fn endpoint(url: &SecretUrl) -> Result<Url, SetupError> {
    let mut endpoint = url.expose().clone();
    let Ok(mut segments) = endpoint.path_segments_mut() else { return Err(SetupError::Url(url.clone())) };
    segments.pop_if_empty().extend(["api", "v1", "query"]);
    drop(segments);
    Ok(endpoint)
}

/// Whom to trust: the certificates of the file, if one is named, and nobody else. A file without any, such as a
/// ConfigMap that was mounted before it was filled, leaves the authorities of the system in force.
fn authorities(ca_file: Option<&Path>) -> Result<Vec<Certificate>, SetupError> {
    const KEY: &str = wva_api::config_keys::PROMETHEUS_CA_CERT_PATH;
    let unusable = |error: &reqwest::Error| SetupError::Tls { key: KEY, why: chain(error) };
    if let Some(path) = ca_file {
        let certificates = Certificate::from_pem_bundle(&read(KEY, path)?).map_err(|error| unusable(&error))?;
        if !certificates.is_empty() {
            return Ok(certificates);
        }
        tracing::warn!(key = KEY, path = %path.display(), "No certificate in the file, trusting the system's");
    }
    let system = trust::authorities();
    system.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>().map_err(|error| unusable(&error))
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File { key, path: path.to_owned(), source })
}

/// Why there is no connection, and what to do where the cause is known.
fn connection(error: &reqwest::Error) -> String {
    let text = chain(error);
    if text.contains("UnknownIssuer") {
        return format!(
            "{text}; where its certificate comes from a private CA, give that CA's certificate by {} (chart value \
             wva.prometheus.caCert)",
            wva_api::config_keys::PROMETHEUS_CA_CERT_PATH
        );
    }
    text
}

/// An error with its causes: the HTTP client keeps the interesting part ("connection refused") in the last one.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Resolves any name as one given host.
struct StandIn {
    real: String,
}

impl Resolve for StandIn {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.real.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
