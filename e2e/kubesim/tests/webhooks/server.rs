//! A webhook: a small HTTPS server that answers reviews.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Answering = dyn Fn(Value) -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync;

/// A webhook that runs, and what it was asked.
pub(crate) struct Webhook {
    address: String,
    certificate: String,
    reviews: Arc<Mutex<Vec<Value>>>,
    asked: watch::Sender<usize>,
    task: JoinHandle<()>,
}

impl Webhook {
    /// Answers the `request` of each review with a `response`, to which the uid is added.
    pub(crate) async fn start(answer: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::start_async(move |request| {
            let answer = answer(request);
            Box::pin(async move { answer })
        })
        .await
    }

    pub(crate) async fn start_async(
        answer: impl Fn(Value) -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = vec!["127.0.0.1".to_owned(), "hook.default.svc".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![pair.cert.der().clone()], key).expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (reviews, asked) = (Arc::<Mutex<Vec<Value>>>::default(), watch::Sender::new(0));
        let answer: Arc<Answering> = Arc::new(answer);
        let (seen, count) = (Arc::clone(&reviews), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                let (seen, count) = (Arc::clone(&seen), count.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        respond(request, Arc::clone(&answer), Arc::clone(&seen), count.clone())
                    });
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, certificate: pair.cert.pem(), reviews, asked, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// For `caBundle`.
    pub(crate) fn authority(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    pub(crate) fn reviews(&self) -> Vec<Value> {
        self.reviews.lock().expect("reviews").clone()
    }

    /// Waits until it has been asked something.
    pub(crate) async fn asked(&self) {
        self.asked.subscribe().wait_for(|count| *count > 0).await.expect("a count");
    }

    /// Stops listening.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: Arc<Answering>,
    seen: Arc<Mutex<Vec<Value>>>,
    asked: watch::Sender<usize>,
) -> Result<Response<Body>, Infallible> {
    let bytes = axum::body::to_bytes(Body::new(request.into_body()), usize::MAX).await.expect("a body");
    let mut review: Value = serde_json::from_slice(&bytes).expect("a review");
    seen.lock().expect("reviews").push(review.clone());
    asked.send_modify(|count| *count += 1);
    let uid = review["request"]["uid"].clone();
    let mut response = answer(review["request"].take()).await;
    response["uid"] = uid;
    let review = json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response});
    Ok(Response::new(Body::from(review.to_string())))
}

/// An answer that allows a request and changes its object.
pub(crate) fn patch(operations: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())})
}
