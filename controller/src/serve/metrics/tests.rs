use std::time::Duration;

use axum::routing::post;
use kube::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use wva_api::Instance;

use super::*;
use crate::cluster::index::ObjectKey;
use crate::metrics::published::Numbers;
use crate::serve::certificate;
use crate::tasks::Tasks;

/// An API server that knows the token `good` (which may read metrics) and `weak` (which may not).
fn api_server() -> Client {
    let tokens = post(async |axum::Json(mut review): axum::Json<Value>| {
        let user = review["spec"]["token"].as_str().unwrap().to_owned();
        let known = ["good", "weak"].contains(&user.as_str());
        review["status"] = json!({"authenticated": known, "user": {"username": user}});
        axum::Json(review)
    });
    let access = post(async |axum::Json(mut review): axum::Json<Value>| {
        review["status"] = json!({"allowed": review["spec"]["user"] == "good"});
        axum::Json(review)
    });
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", tokens)
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", access);
    Client::new(router, "default")
}

fn source(leadership: Leadership) -> Source {
    Source { metrics: Metrics::new(&Instance::default()), leadership, scrapers: Arc::default() }
}

fn client() -> reqwest::Client {
    crate::install_crypto();
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap()
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("{address}/metrics"))
}

#[tokio::test]
async fn plain_metrics_are_open_metrics_text() {
    let (listener, address) = listener().await;
    tokio::spawn(serve_plain(listener, source(Leadership::always())));
    let answer = client().get(format!("http://{address}")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], CONTENT_TYPE);
    let text = answer.text().await.unwrap();
    assert!(text.contains("wva_build_info{version=") && text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn who_does_not_lead_tells_only_of_its_own_health() {
    for (leadership, leads) in [(Leadership::always(), true), (Leadership::never(), false)] {
        let (listener, address) = listener().await;
        let source = source(leadership);
        let numbers =
            Numbers { accelerator: "A100", current: 1, desired: 2, before: None, reason: "saturation", paused: false };
        source.metrics.published.publish(&ObjectKey::new("ns", "llama"), numbers);
        tokio::spawn(serve_plain(listener, source));
        let text = client().get(format!("http://{address}")).send().await.unwrap().text().await.unwrap();
        assert_eq!(text.contains("wva_desired_replicas"), leads, "{text}");
        assert!(text.contains(&format!("wva_leader {}", i32::from(leads))) && text.ends_with("# EOF\n"), "{text}");
    }
}

#[tokio::test]
async fn secure_metrics_are_for_those_who_may_read_them() {
    let client = client();
    let (listener, address) = listener().await;
    let tls = certificate::load(&mut Tasks::default(), None, false).await.unwrap();
    let authenticator = Authenticator::new(api_server());
    tokio::spawn(serve_secure(listener, source(Leadership::always()), tls, authenticator));
    let status = async |token: Option<&str>| {
        let request = client.get(format!("https://{address}"));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None).await, 401);
    assert_eq!(status(Some("bad")).await, 401);
    assert_eq!(status(Some("weak")).await, 403);
    assert_eq!(status(Some("good")).await, 200);
    assert!(client.get(format!("http://{address}")).send().await.is_err(), "no plain HTTP on this port");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    crate::install_crypto();
    let load =
        async || certificate::load(&mut Tasks::default(), Some((certificate.clone(), key.clone())), false).await.err();
    let missing = load().await.unwrap().to_string();
    assert!(missing.contains("tls.crt") && missing.contains("METRICS_CERT_PATH"), "{missing}");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, "no key").unwrap();
    let unusable = load().await.unwrap().to_string();
    assert!(unusable.contains("tls.key is not usable PEM"), "{unusable}");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    assert!(load().await.is_none());
}

/// What two parties agree on in a TLS handshake: the protocol, and the server's certificate.
async fn handshake(address: &str, offered: &'static [&'static [u8]]) -> (Option<Vec<u8>>, Vec<u8>) {
    let address = address.trim_end_matches("/metrics").to_owned();
    let shake = move || {
        let mut config = rustls::ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
        let name = "localhost".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut stream).unwrap();
        }
        let certificate = client.peer_certificates().unwrap()[0].to_vec();
        (client.alpn_protocol().map(<[u8]>::to_vec), certificate)
    };
    tokio::task::spawn_blocking(shake).await.unwrap()
}

/// Accepts any certificate, as Prometheus does with `insecureSkipVerify`.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn http_2_is_agreed_on_only_when_it_is_switched_on() {
    crate::install_crypto();
    for (http2, agreed) in [(false, &b"http/1.1"[..]), (true, b"h2")] {
        let (listener, address) = listener().await;
        let tls = certificate::load(&mut Tasks::default(), None, http2).await.unwrap();
        tokio::spawn(serve_secure(listener, source(Leadership::always()), tls, Authenticator::new(api_server())));
        assert_eq!(handshake(&address, &[b"h2", b"http/1.1"]).await.0.as_deref(), Some(agreed));
        assert_eq!(handshake(&address, &[b"http/1.1"]).await.0.as_deref(), Some(&b"http/1.1"[..]));
    }
}

#[tokio::test]
async fn a_certificate_that_changes_is_used_without_a_restart_and_a_broken_one_is_not() {
    crate::install_crypto();
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    };
    let first = write();
    let files = Some((certificate.clone(), key.clone()));
    let mut tasks = Tasks::default();
    let tls = certificate::load_and_look(&mut tasks, files, false, Duration::from_millis(10)).await.unwrap();
    let (listener, address) = listener().await;
    tokio::spawn(serve_secure(listener, source(Leadership::always()), tls, Authenticator::new(api_server())));
    assert_eq!(handshake(&address, &[]).await.1, first);

    std::fs::write(&certificate, "rubbish").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(handshake(&address, &[]).await.1, first, "the last good pair stays in force");

    let second = write();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while handshake(&address, &[]).await.1 != second {
        assert!(std::time::Instant::now() < deadline, "the new certificate was not taken over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn every_refusal_says_what_is_missing() {
    let client = client();
    let ask = async |api_server: Client, authorization: &str| {
        let (listener, address) = listener().await;
        let tls = certificate::load(&mut Tasks::default(), None, false).await.unwrap();
        tokio::spawn(serve_secure(listener, source(Leadership::always()), tls, Authenticator::new(api_server)));
        let request = client.get(format!("https://{address}")).header("authorization", authorization);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let basic = ask(api_server(), "Basic Z29vZDpnb29k").await;
    assert_eq!(basic, (401, "Unauthorized: send a valid bearer token\n".to_owned()));
    let weak = ask(api_server(), "bearer weak").await;
    let expect = "Authorization denied for user weak: no right to get the non-resource URL /metrics\n";
    assert_eq!(weak, (403, expect.to_owned()));
    let (status, text) = ask(Client::new(Router::new(), "default"), "Bearer good").await;
    assert!(status == 500 && text.contains("the API server could not be asked"), "{status} {text}");
    assert_eq!(ask(api_server(), "Bearer good").await.0, 200);
}
