//! An external metrics API for scripts of autoscalers: one number for each namespace, which the scripts set.
//!
//! It is registered with the server under test as an aggregated group, and spoken to without TLS: of the servers that
//! scripts are sent to, only the embedded one does that.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Error, Server};

const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";
const NAME: &str = "conformance-metrics";

type Numbers = Arc<Mutex<HashMap<String, String>>>;

/// A running metrics API; it ends when dropped.
#[derive(Debug)]
pub struct Metrics {
    numbers: Numbers,
    task: JoinHandle<()>,
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Metrics {
    /// Serves on a free port of `ip` and has the server send requests of the group there.
    ///
    /// # Errors
    /// When nothing can be served there.
    pub async fn start(server: &Server, ip: IpAddr) -> Result<Arc<Self>, Error> {
        let failed = |source| Error::File { what: "listening on", path: ip.to_string(), source };
        let listener = TcpListener::bind(SocketAddr::new(ip, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let numbers = Numbers::default();
        let resources = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": [
            {"name": "m", "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]},
        ]});
        let router = Router::new()
            .route(&format!("/apis/{GROUP_VERSION}"), get(move || async move { Json(resources) }))
            .route(&format!("/apis/{GROUP_VERSION}/namespaces/{{namespace}}/{{metric}}"), get(value))
            .with_state(Arc::clone(&numbers));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "The metrics API of the scripts ended");
            }
        });
        register(server, address).await?;
        Ok(Arc::new(Self { numbers, task }))
    }

    /// What a script wants a namespace's metric to be; `none` takes it away.
    pub(super) fn set(&self, namespace: &str, body: &Value) {
        let value = body["value"].as_str().unwrap_or_default().to_owned();
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned(), value);
    }
}

async fn register(server: &Server, address: SocketAddr) -> Result<(), Error> {
    let place = "/api/v1/namespaces/default";
    let port = json!([{"name": "https", "port": 443, "protocol": "TCP"}]);
    let target = json!([{"name": "https", "port": address.port(), "protocol": "TCP"}]);
    let objects = [
        (
            format!("{place}/services"),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": {"ports": port}}),
        ),
        (
            format!("{place}/endpoints"),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": NAME},
                "subsets": [{"addresses": [{"ip": address.ip()}], "ports": target}]}),
        ),
        (
            "/apis/apiregistration.k8s.io/v1/apiservices".to_owned(),
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
                "spec": {"group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
                    "groupPriorityMinimum": 100, "versionPriority": 100,
                    "service": {"namespace": "default", "name": NAME}}}),
        ),
    ];
    for (path, object) in objects {
        server.administer(Method::POST, &path, Some(object)).await?;
    }
    Ok(())
}

async fn value(State(numbers): State<Numbers>, Path((namespace, metric)): Path<(String, String)>) -> Response {
    let number = numbers.lock().unwrap_or_else(PoisonError::into_inner).get(&namespace).cloned();
    let Some(number) = number.filter(|number| number != "none") else {
        let message = format!("no metric {metric}");
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "NotFound", "message": message, "code": 404});
        return (StatusCode::NOT_FOUND, Json(status)).into_response();
    };
    let now = jiff::Timestamp::now().to_string();
    let item = json!({"metricName": metric, "metricLabels": {}, "timestamp": now, "value": number});
    let list = json!({"kind": "ExternalMetricValueList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": [item]});
    Json(list).into_response()
}
