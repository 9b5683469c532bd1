//! The certificate of `/metrics`: from files, read again when they change, or self-signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tasks::Tasks;

/// Pause between two looks at the files. A mounted Secret takes up to a minute to follow its object anyway.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check METRICS_CERT_PATH, METRICS_CERT_NAME and METRICS_CERT_KEY")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} is not usable PEM: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit each other.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// Certificate and key as the files hold them, to see whether they changed.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// TLS from the given files, or with a self-signed certificate when there are none.
///
/// # Errors
/// When the files cannot be read or used.
pub async fn load(tasks: &mut Tasks, files: Option<(PathBuf, PathBuf)>, http2: bool) -> Result<RustlsConfig, Error> {
    load_and_look(tasks, files, http2, LOOK_EVERY).await
}

/// The same, looking at the files this often.
pub(crate) async fn load_and_look(
    tasks: &mut Tasks,
    files: Option<(PathBuf, PathBuf)>,
    http2: bool,
    every: Duration,
) -> Result<RustlsConfig, Error> {
    let Some((certificate, key)) = files else {
        return Ok(RustlsConfig::from_config(self_signed(http2)?));
    };
    let pem = read(&certificate, &key).await?;
    let config = RustlsConfig::from_config(parse(&pem, &certificate, &key, http2)?);
    tasks.spawn("certificate", follow(config.clone(), certificate, key, http2, every, pem));
    Ok(config)
}

/// Takes over changed files; files that cannot be used leave the last good pair in force.
async fn follow(config: RustlsConfig, certificate: PathBuf, key: PathBuf, http2: bool, every: Duration, mut used: Pem) {
    loop {
        tokio::time::sleep(every).await;
        let changed = match read(&certificate, &key).await {
            Ok(pem) if pem == used => continue,
            Ok(pem) => parse(&pem, &certificate, &key, http2).map(|server| (pem, server)),
            Err(error) => Err(error),
        };
        match changed {
            Ok((pem, server)) => {
                config.reload_from_config(server);
                used = pem;
                tracing::info!(path = %certificate.display(), "Took over a new certificate of /metrics");
            }
            Err(error) => tracing::warn!(%error, "Keeping the certificate of /metrics"),
        }
    }
}

async fn read(certificate: &Path, key: &Path) -> Result<Pem, Error> {
    let read =
        async |path: &Path| tokio::fs::read(path).await.map_err(|source| Error::File { path: path.to_owned(), source });
    Ok(Pem { certificate: read(certificate).await?, key: read(key).await? })
}

fn parse(pem: &Pem, certificate: &Path, key: &Path, http2: bool) -> Result<Arc<ServerConfig>, Error> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Pem { path: path.clone(), source }
    };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem.certificate).collect::<Result<_, _>>().map_err(at(certificate))?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(at(key))?;
    server(chain, key, http2)
}

fn self_signed(http2: bool) -> Result<Arc<ServerConfig>, Error> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    server(vec![cert.der().clone()], key, http2)
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    http2: bool,
) -> Result<Arc<ServerConfig>, Error> {
    let mut server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(server))
}
