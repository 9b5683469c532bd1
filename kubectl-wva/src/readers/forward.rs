//! Asking a pod something over HTTP: through the API server, to a port that no Service need offer.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::session::{self, Session};

/// One question to one pod.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Namespace of the pod.
    pub namespace: &'a str,
    /// Name of the pod.
    pub pod: &'a str,
    /// Port it listens on.
    pub port: u16,
    /// Path to get.
    pub path: &'a str,
    /// The bearer token to show, over TLS; without one the connection is plain.
    pub secure: Option<&'a str>,
}

/// The pod could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port could not be forwarded.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The pod did not answer, or refused.
    #[error("could not ask pod {pod} for {path}: {message}")]
    Ask {
        /// The pod.
        pod: String,
        /// What was asked for.
        path: String,
        /// Why not.
        message: String,
    },
}

/// Gets the answer as text.
///
/// # Errors
/// When the port cannot be forwarded, or the answer is no success.
pub async fn ask(session: &Session, question: Question<'_>) -> Result<String, Error> {
    let Question { namespace, pod, port, path, secure } = question;
    let api: Api<Pod> = Api::namespaced(session.client.clone(), namespace);
    let doing = format!("forward port {port} of pod {namespace}/{pod}");
    let mut forwarder = session.ask(doing, api.portforward(pod, &[port])).await?;
    let failed = |message: String| Error::Ask { pod: pod.to_owned(), path: path.to_owned(), message };
    let stream = forwarder.take_stream(port).ok_or_else(|| failed("the port was not forwarded".to_owned()))?;
    let answer = match secure {
        None => Box::pin(get(stream, path, None)).await,
        Some(token) => match over_tls(stream).await {
            Ok(stream) => Box::pin(get(stream, path, Some(token))).await,
            Err(error) => Err(error),
        },
    };
    forwarder.abort();
    answer.map_err(failed)
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    token: Option<&str>,
) -> Result<String, String> {
    let (mut sender, connection) =
        http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let mut request = http::Request::get(path).header(http::header::HOST, "localhost");
    if let Some(token) = token {
        request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(text) } else { Err(format!("{status}: {}", text.trim())) }
    };
    tokio::pin!(connection);
    tokio::select! {
        answer = exchange => answer,
        // The connection ends before the exchange only when it fails.
        ended = &mut connection => Err(ended.map_or_else(|error| error.to_string(), |()| "it hung up".to_owned())),
    }
}

async fn over_tls<S>(stream: S) -> Result<tokio_rustls::client::TlsStream<S>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let config =
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())
}

/// Takes every certificate: controllers sign their own, and that it is the right pod is the API server's word.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
