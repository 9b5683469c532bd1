//! HTTPS with a certificate of one's own: how an aggregated API of the cluster is served, ours and those of tests.

use std::io;

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// No HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate could be made.
    #[error("making a certificate for {name}: {source}")]
    Generate {
        /// For which name.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// Certificate or key cannot be used, or the socket cannot be served.
    #[error("serving HTTPS: {0}")]
    Serve(#[from] io::Error),
}

/// A certificate that answers for itself, and its key; both PEM.
#[derive(Clone)]
pub struct Identity {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

impl Identity {
    /// A new one for a DNS name; the name of a Service is `NAME.NAMESPACE.svc`.
    ///
    /// # Errors
    /// When the name is none.
    pub fn generate(name: &str) -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]);
        let made = made.map_err(|source| Error::Generate { name: name.to_owned(), source })?;
        Ok(Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
    }

    /// The certificate as an `APIService` or a webhook names whom to trust (`caBundle`): base64 of the PEM text.
    pub fn bundle(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    /// What serves these routes on a listening socket for as long as it is polled.
    ///
    /// # Errors
    /// When certificate or key cannot be read, or the socket not be used.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        router: Router,
    ) -> Result<impl Future<Output = io::Result<()>> + Send + 'static, Error> {
        listener.set_nonblocking(true)?;
        let tls = RustlsConfig::from_pem(self.certificate.clone().into(), self.key.clone().into()).await?;
        let server = axum_server::from_tcp_rustls(listener, tls)?;
        Ok(server.serve(router.into_make_service()))
    }
}
