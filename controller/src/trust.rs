//! Which certificate authorities HTTPS trusts where the configuration names none.
//!
//! Those of the system count. A container image with an empty root has none, and a client that looks for them fails
//! before it has asked anything, be it over plain HTTP; there the public ones that Mozilla publishes, which are built
//! in, take their place.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Certificate authorities in DER form: the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` say where, if set), or the
/// built-in public ones where the system has none. Never empty.
pub(crate) fn authorities() -> Vec<CertificateDer<'static>> {
    or_built_in(rustls_native_certs::load_native_certs().certs)
}

/// What of `system` can be used as an authority, or the built-in ones.
fn or_built_in(mut system: Vec<CertificateDer<'static>>) -> Vec<CertificateDer<'static>> {
    // One certificate that cannot be read, of the many that a distribution ships, must not shut everything out.
    system.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if system.is_empty() {
        tracing::debug!("The system has no certificate authorities; trusting the built-in public ones");
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec();
    }
    system
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(["own".to_owned()]).unwrap().cert.der().clone()
    }

    #[test]
    fn without_authorities_of_the_system_the_public_ones_are_trusted() {
        let trusted = or_built_in(Vec::new());
        assert!(trusted.len() > 100, "{}", trusted.len());
        let (added, ignored) = RootCertStore::empty().add_parsable_certificates(trusted);
        assert!(added > 100 && ignored == 0);
    }

    #[test]
    fn the_system_has_the_last_word_on_whom_it_trusts() {
        assert_eq!(or_built_in(vec![own()]).len(), 1);
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_left_out() {
        let own = own();
        assert_eq!(or_built_in(vec![CertificateDer::from(vec![1, 2, 3]), own.clone()]), [own]);
        assert!(or_built_in(vec![CertificateDer::from(vec![1, 2, 3])]).len() > 100);
    }
}
