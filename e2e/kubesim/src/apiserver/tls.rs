//! The server's own certificate authority: what it serves with, and who its clients are that bring a certificate.
//!
//! A certificate names its holder as in every cluster: the common name is the user, the organisations are the groups.
//! Only this authority's certificates are accepted, so they are told by what was issued.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::tokens::User;

/// Names under which pods know the server.
const NAMES: [&str; 5] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate cannot be made.
    #[error("issuing a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The certificates do not fit together.
    #[error("setting up TLS: {0}")]
    Config(#[from] rustls::Error),
    /// Client certificates cannot be verified.
    #[error("setting up the verification of client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority of one server.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
    /// Holders by certificate.
    holders: Mutex<HashMap<Vec<u8>, Arc<User>>>,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its key is nobody's business.
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new() -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.subject_alt_names = vec![SanType::DnsName("kubernetes".try_into()?)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self { issuer: Issuer::new(params, key), pem, der, holders: Mutex::default() })
    }

    /// The certificate of the authority, in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The same as it is signed.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Accepts TLS on an address, with client certificates for whoever has one.
    pub(super) fn acceptor(&self, address: IpAddr) -> Result<TlsAcceptor, TlsError> {
        let mut params = CertificateParams::new(NAMES.map(ToOwned::to_owned).to_vec())?;
        params.subject_alt_names.push(SanType::IpAddress(address));
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| rustls::Error::General(why.to_owned()))?;
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build()?;
        let mut config =
            ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key)?;
        // One connection for each watch: breaking one off must not break others.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// A certificate of a user in these groups.
    pub(super) fn issue(&self, user: &str, groups: &[&str]) -> Result<Pair, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.insert(certificate.der().to_vec(), Arc::new(User::named(user, groups)));
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Who holds the certificate of a connection.
    pub(super) fn holder(&self, certificates: Option<&[CertificateDer<'_>]>) -> Option<Arc<User>> {
        let first = certificates?.first()?;
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).get(first.as_ref()).cloned()
    }
}
