//! The connection flags, as the API server gets to see them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::cli::{Answer, cluster, wva, wva_with};
use crate::fake_api::{FakeApi, kubeconfig_for};

/// Name in the API server's certificate.
const NAME: &str = "kubernetes.example";

/// A self-signed certificate with its key, also as files.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    certificate_file: PathBuf,
    key_file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Identity {
    fn of(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (certificate_file, key_file) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
        std::fs::write(&certificate_file, made.cert.pem()).unwrap();
        std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Self { certificate: made.cert.der().clone(), key, certificate_file, key_file, _directory: directory }
    }
}

/// The cluster of the other tests over TLS; with `client`, only for whoever brings this certificate.
fn secure(server: &Identity, client: Option<&Identity>) -> FakeApi {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let tls = builder.with_single_cert(vec![server.certificate.clone()], server.key.clone_key().into()).unwrap();
    FakeApi::start_tls(tls, cluster)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn status(api: &FakeApi, flags: &[&str]) -> Answer {
    wva(&[&["status"], flags].concat(), Some(&api.kubeconfig))
}

#[test]
fn the_server_must_prove_who_it_is_unless_the_user_gives_that_up() {
    let identity = Identity::of(NAME);
    let api = secure(&identity, None);
    let authority = text(&identity.certificate_file);

    let unknown = status(&api, &[]);
    assert_eq!(unknown.code, 2);
    insta::assert_snapshot!("error_unknown_authority", unknown.err.replace(&api.server, "[server]"));
    // The certificate bears another name than the address.
    assert_eq!(status(&api, &["--certificate-authority", authority]).code, 2);
    assert_eq!(status(&api, &["--tls-server-name", NAME]).code, 2);
    let proven = status(&api, &["--certificate-authority", authority, "--tls-server-name", NAME]);
    assert_eq!(proven.code, 0, "{}", proven.err);
    assert_eq!(status(&api, &["--insecure-skip-tls-verify"]).code, 0);
    assert_eq!(status(&api, &["--insecure-skip-tls-verify=false"]).code, 2);
}

#[test]
fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let (server, client) = (Identity::of(NAME), Identity::of("ann"));
    let api = secure(&server, Some(&client));
    assert_eq!(status(&api, &["--insecure-skip-tls-verify"]).code, 2);
    let (certificate, key) = (text(&client.certificate_file), text(&client.key_file));
    let flags = ["--insecure-skip-tls-verify", "--client-certificate", certificate, "--client-key", key];
    let known = status(&api, &flags);
    assert_eq!(known.code, 0, "{}", known.err);
    let half = status(&api, &flags[..3]);
    assert!(half.code == 2 && half.err.contains("client key"), "{}", half.err);
}

#[test]
fn a_token_goes_only_over_a_connection_that_nobody_else_can_read() {
    let api = secure(&Identity::of(NAME), None);
    assert_eq!(status(&api, &["--insecure-skip-tls-verify", "--token", "letmein"]).code, 0);
    assert!(api.headers().contains(&"authorization: Bearer letmein".to_owned()), "{:?}", api.headers());

    let open = FakeApi::start(cluster);
    assert_eq!(status(&open, &["--token", "letmein"]).code, 0);
    assert!(!open.headers().iter().any(|header| header.contains("letmein")), "{:?}", open.headers());
}

#[test]
fn whoever_acts_as_somebody_else_says_so_in_every_request() {
    let api = FakeApi::start(cluster);
    let flags = ["--as", "bob", "--as-group", "ops", "--as-group", "dev", "--as-uid", "7"];
    assert_eq!(status(&api, &flags).code, 0);
    let requests = api.asked().len();
    for header in ["impersonate-user: bob", "impersonate-group: ops", "impersonate-group: dev", "impersonate-uid: 7"] {
        assert_eq!(api.headers().iter().filter(|seen| *seen == header).count(), requests, "{header}");
    }
    let answer = status(&api, &["--as-group", "ops"]);
    assert!(answer.code == 2 && answer.err.contains("hint: name the user with --as"), "{}", answer.err);
}

#[test]
fn the_address_on_the_command_line_is_the_one_asked() {
    let api = FakeApi::start(cluster);
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("kubeconfig");
    std::fs::write(&elsewhere, kubeconfig_for("http://127.0.0.1:1")).unwrap();
    let answer = wva(&["status", "-s", &api.server], Some(&elsewhere));
    assert_eq!(answer.code, 0, "{}", answer.err);
    // Without a kubeconfig there is no namespace either.
    let answer = wva(&["status", "-n", "models", "--server", &api.server], None);
    assert_eq!(answer.code, 0, "{}", answer.err);
    let bare = api.server.strip_prefix("http://").unwrap();
    assert_eq!(wva(&["status", "-n", "models", "--server", bare], None).code, 0);
}

#[test]
fn a_proxy_is_asked_for_the_way_unless_the_address_is_excepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let mut line = String::new();
        BufReader::new(listener.accept().unwrap().0).read_line(&mut line).unwrap();
        line
    });
    let directory = tempfile::tempdir().unwrap();
    let far = directory.path().join("kubeconfig");
    std::fs::write(&far, kubeconfig_for("https://cluster.example:6443")).unwrap();
    let args = ["status", "--request-timeout", "5s"];
    let answer = wva_with(&args, Some(&far), &[("HTTPS_PROXY", &proxy)]);
    assert_eq!(asked.join().unwrap(), "CONNECT cluster.example:6443 HTTP/1.1\r\n");
    assert_eq!(answer.code, 2, "the proxy hung up: {}", answer.err);

    let api = FakeApi::start(cluster);
    let nobody = ("HTTPS_PROXY", "http://127.0.0.1:1");
    let excepted = wva_with(&["status"], Some(&api.kubeconfig), &[nobody, ("NO_PROXY", "127.0.0.1")]);
    assert_eq!(excepted.code, 0, "{}", excepted.err);
}
