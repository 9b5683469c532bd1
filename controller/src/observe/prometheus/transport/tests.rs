use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode as Code};
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;

use super::*;

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

/// What the server saw of each request: `Host` and `Authorization`.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// An HTTPS server whose certificate is for `prometheus.example` only; returns its port and certificate.
async fn https_server(seen: &Seen) -> (u16, String) {
    crate::install_crypto();
    let made = rcgen::generate_simple_self_signed(["prometheus.example".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let tls = RustlsConfig::from_pem(pem.clone().into(), made.signing_key.serialize_pem().into()).await.unwrap();
    let answer = async |State(seen): State<Seen>, headers: HeaderMap| {
        let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        seen.lock().unwrap().push((header("host"), header("authorization")));
        EMPTY
    };
    let router = Router::new().route("/api/v1/query", post(answer)).with_state(Arc::clone(seen));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(axum_server::from_tcp_rustls(listener, tls).unwrap().serve(router.into_make_service()));
    (port, pem)
}

fn plain(url: &str) -> config::Prometheus {
    crate::install_crypto();
    crate::fixtures::plain_prometheus(url)
}

#[test]
fn a_path_prefix_in_the_base_url_is_kept() {
    let of = |url: &str| endpoint(&url.parse().unwrap()).unwrap().to_string();
    assert_eq!(of("https://p:9090"), "https://p:9090/api/v1/query");
    assert_eq!(of("http://p/prom/"), "http://p/prom/api/v1/query");
}

#[tokio::test]
async fn a_certificate_counts_by_its_authority_and_its_name() {
    let seen = Seen::default();
    let (port, pem) = https_server(&seen).await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    std::fs::write(&ca_file, pem).unwrap();
    let base = plain(&format!("https://127.0.0.1:{port}"));
    let query = async |config: config::Prometheus| Transport::new(&config).unwrap().query("up").await;

    let unknown = config::Prometheus { server_name: Some("prometheus.example".to_owned()), ..base.clone() };
    let why = query(unknown.clone()).await.unwrap_err().to_string();
    let remedy = "give that CA's certificate by PROMETHEUS_CA_CERT_PATH (chart value wva.prometheus.caCert)";
    assert!(why.contains("UnknownIssuer") && why.ends_with(remedy), "{why}");
    let misnamed = config::Prometheus { ca_file: Some(ca_file.clone()), ..base.clone() };
    assert!(query(misnamed).await.is_err(), "it is for another name");
    let trusted = config::Prometheus { ca_file: Some(ca_file), ..unknown };
    assert_eq!(query(trusted).await.unwrap(), []);
    assert_eq!(seen.lock().unwrap()[0].0, format!("127.0.0.1:{port}"), "the host stays that of the address");
    assert_eq!(query(config::Prometheus { skip_verify: true, ..base }).await.unwrap(), []);
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_changes() {
    let seen = Seen::default();
    let (port, _) = https_server(&seen).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let config = config::Prometheus {
        skip_verify: true,
        token: Some(Token::File(path.clone())),
        ..plain(&format!("https://127.0.0.1:{port}"))
    };
    let transport = Transport::new(&config).unwrap();
    let missing = transport.query("up").await.unwrap_err().to_string();
    assert!(missing.contains("cannot read the token file"), "{missing}");
    for token in ["first\n", "second"] {
        std::fs::write(&path, token).unwrap();
        transport.query("up").await.unwrap();
    }
    let tokens: Vec<String> = seen.lock().unwrap().iter().map(|(_, token)| token.clone()).collect();
    assert_eq!(tokens, ["Bearer first", "Bearer second"]);
}

#[test]
fn a_file_without_certificates_leaves_those_of_the_system() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    std::fs::write(&ca_file, "# to be filled\n").unwrap();
    let config = config::Prometheus { ca_file: Some(ca_file), ..plain("https://127.0.0.1:9") };
    assert!(Transport::new(&config).is_ok());
}

#[tokio::test]
async fn what_prometheus_refuses_is_told_in_its_words() {
    let refuse = async || (Code::BAD_REQUEST, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#);
    let forbid = async || (Code::FORBIDDEN, "no access\n");
    let router = Router::new().route("/a/api/v1/query", post(refuse)).route("/b/api/v1/query", post(forbid));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let error = async |url: String| Transport::new(&plain(&url)).unwrap().query("up").await.unwrap_err().to_string();
    assert_eq!(error(format!("http://{address}/a")).await, "Prometheus refused it (bad_data): parse error");
    assert_eq!(error(format!("http://{address}/b")).await, "HTTP 403 Forbidden: no access");
    let refused = error("http://127.0.0.1:9".to_owned()).await;
    assert!(refused.contains("Connection refused"), "{refused}");
}
