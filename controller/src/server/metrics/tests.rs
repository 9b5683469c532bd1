use axum::routing::post;
use kube::Client;
use serde_json::{Value, json};
use wva_api::Instance;

use super::*;
use crate::index::ObjectKey;
use crate::metrics::published::Numbers;
use crate::server::certificate;

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
    Source { metrics: Metrics::new(&Instance::default()), leadership }
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
        let numbers = Numbers { accelerator: "A100", current: 1, desired: 2, before: None, reason: "saturation" };
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
    let tls = certificate::load(None, false).await.unwrap();
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
    let load = async || certificate::load(Some((certificate.clone(), key.clone())), false).await.err();
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
