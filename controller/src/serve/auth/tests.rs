use axum::Router;
use axum::response::Json;
use axum::routing::post;
use serde_json::{Value, json};

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An API server that knows `good` and `weak`; only the first may read metrics.
fn client(reviews: &Arc<AtomicUsize>) -> Client {
    let reviews = Arc::clone(reviews);
    let tokens = post(async move |Json(mut review): Json<Value>| {
        reviews.fetch_add(1, Ordering::SeqCst);
        let user = review["spec"]["token"].as_str().unwrap().to_owned();
        let known = ["good", "weak"].contains(&user.as_str());
        review["status"] = json!({"authenticated": known, "user": {"username": user}});
        Json(review)
    });
    let access = post(async |Json(mut review): Json<Value>| {
        let attributes = &review["spec"]["nonResourceAttributes"];
        let asked = attributes["path"] == "/metrics" && attributes["verb"] == "get";
        review["status"] = json!({"allowed": asked && review["spec"]["user"] == "good"});
        Json(review)
    });
    let router = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", tokens)
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", access);
    Client::new(router, "default")
}

#[tokio::test]
async fn the_api_server_decides_who_reads_metrics() {
    let authenticator = Authenticator::new(client(&Arc::default()));
    assert_eq!(authenticator.check(None, "get", "/metrics").await, Verdict::Unauthenticated);
    assert_eq!(authenticator.check(Some(""), "get", "/metrics").await, Verdict::Unauthenticated);
    assert_eq!(authenticator.check(Some("bad"), "get", "/metrics").await, Verdict::Unauthenticated);
    let denied = Verdict::Denied { user: "weak".to_owned() };
    assert_eq!(authenticator.check(Some("weak"), "get", "/metrics").await, denied);
    assert_eq!(authenticator.check(Some("good"), "get", "/metrics").await, Verdict::Allowed);
    let other = Verdict::Denied { user: "good".to_owned() };
    assert_eq!(authenticator.check(Some("good"), "delete", "/metrics").await, other);
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_while() {
    let reviews = Arc::default();
    let authenticator = Authenticator::new(client(&reviews));
    for _ in 0..3 {
        assert_eq!(authenticator.check(Some("good"), "get", "/metrics").await, Verdict::Allowed);
    }
    assert_eq!(reviews.load(Ordering::SeqCst), 1);
    let question: [u8; 32] = Sha256::digest("get\0/metrics\0good").into();
    assert_eq!(authenticator.remembered(&question, Instant::now() + REMEMBER), None, "not for ever");
    for _ in 0..3 {
        assert_eq!(authenticator.check(Some("bad"), "get", "/metrics").await, Verdict::Unauthenticated);
    }
    assert_eq!(reviews.load(Ordering::SeqCst), 2, "made-up tokens do not flood the API server");
    let question: [u8; 32] = Sha256::digest("get\0/metrics\0bad").into();
    assert_eq!(authenticator.remembered(&question, Instant::now() + REMEMBER_NO), None, "a no for less long");
}

#[tokio::test]
async fn an_api_server_that_cannot_be_asked_lets_nobody_in() {
    let client = Client::new(Router::new(), "default");
    let verdict = Authenticator::new(client).check(Some("good"), "get", "/metrics").await;
    assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}");
}
