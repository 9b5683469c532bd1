//! `external.metrics.k8s.io/v1beta1` answered from Prometheus, as the prometheus-adapter does: the metric is a series
//! name, its label selector becomes matchers, and the request's namespace must be the series' `exported_namespace`.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use kubesim::serving::{self, Identity};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use wva_api::metrics;

use crate::prometheus::{Client, Series};

/// The group and version served.
const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";

/// The adapter could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error("listening for external metrics on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot speak TLS.
    #[error("the external-metrics API: {0}")]
    Tls(#[from] serving::Error),
}

/// A running adapter; stops when dropped.
pub struct Adapter {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Adapter {
    /// Serves on `address`, over TLS, as the aggregator of every API server demands; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound or the identity cannot be used.
    pub async fn start(address: SocketAddr, prometheus: Client, identity: &Identity) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let serving = identity.serve(listener, router(prometheus)).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "External-metrics adapter ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn router(prometheus: Client) -> Router {
    Router::new()
        .route(&format!("/apis/{GROUP_VERSION}"), get(|| async { Json(resources()) }))
        .route(&format!("/apis/{GROUP_VERSION}/namespaces/{{namespace}}/{{metric}}"), get(values))
        .with_state(Arc::new(prometheus))
}

fn resources() -> Value {
    let names =
        [metrics::DESIRED_REPLICAS, metrics::CURRENT_REPLICAS, metrics::DESIRED_RATIO, metrics::REPLICA_SCALING_TOTAL];
    let resources: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({ "name": name, "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"] })
        })
        .collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(default)]
    label_selector: String,
}

async fn values(
    State(prometheus): State<Arc<Client>>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let query = match query(&metric, &namespace, &parameters.label_selector) {
        Ok(query) => query,
        Err(message) => return status(StatusCode::BAD_REQUEST, "BadRequest", &message),
    };
    match prometheus.query(&query).await {
        Ok(series) => {
            let now = jiff::Timestamp::now().to_string();
            let items: Vec<Value> = series.iter().map(|series| item(&metric, series, &now)).collect();
            Json(json!({ "kind": "ExternalMetricValueList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items }))
                .into_response()
        }
        Err(error) => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &error.to_string()),
    }
}

fn item(metric: &str, series: &Series, now: &str) -> Value {
    let labels: serde_json::Map<String, Value> = series
        .labels
        .iter()
        .filter(|(name, _)| name.as_str() != "__name__")
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    json!({ "metricName": metric, "metricLabels": labels, "timestamp": now, "value": quantity(series.value) })
}

/// A Kubernetes quantity with at most three decimals, e.g. `2` or `2500m`.
fn quantity(value: f64) -> String {
    let milli = (value * 1000.0).round();
    if milli % 1000.0 == 0.0 { format!("{:.0}", milli / 1000.0) } else { format!("{milli:.0}m") }
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code.as_u16() });
    (code, Json(body)).into_response()
}

/// The instant query for a metric in a namespace, narrowed by a Kubernetes label selector.
fn query(metric: &str, namespace: &str, selector: &str) -> Result<String, String> {
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !is_name(&metric.replace(':', "_")) {
        return Err(format!("{metric:?} is no metric name"));
    }
    let mut matchers = Vec::new();
    for requirement in requirements(selector) {
        let (label, matcher) = matcher(&requirement).ok_or_else(|| {
            format!(
                "label selector requirement {requirement:?} is not one of: a=b, a!=b, a in (b,c), a notin (b,c), a, !a"
            )
        })?;
        if !is_name(&label) {
            return Err(format!("{label:?} in the label selector is no metric label"));
        }
        matchers.push(format!("{label}{matcher}"));
    }
    matchers.push(format!("{}={}", metrics::LABEL_EXPORTED_NAMESPACE, quoted(namespace)));
    Ok(format!("{metric}{{{}}}", matchers.join(",")))
}

/// Splits at commas that are not inside parentheses.
fn requirements(selector: &str) -> Vec<String> {
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in selector.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn matcher(requirement: &str) -> Option<(String, String)> {
    let pair = |label: &str, operator: &str, value: &str| {
        Some((label.trim().to_owned(), format!("{operator}{}", quoted(value.trim()))))
    };
    let set = |label: &str, operator: &str, values: &str| {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        let any: Vec<String> = values.split(',').map(|value| regex_escaped(value.trim())).collect();
        pair(label, operator, &any.join("|"))
    };
    if let Some((label, values)) = requirement.split_once(" notin ") {
        return set(label, "!~", values);
    }
    if let Some((label, values)) = requirement.split_once(" in ") {
        return set(label, "=~", values);
    }
    if let Some((label, value)) = requirement.split_once("!=") {
        return pair(label, "!=", value);
    }
    if let Some((label, value)) = requirement.split_once("==").or_else(|| requirement.split_once('=')) {
        return pair(label, "=", value);
    }
    match requirement.strip_prefix('!') {
        Some(label) => pair(label, "=", ""),
        None => pair(requirement, "!=", ""),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn regex_escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if !(c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '/') {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("", r#"m{exported_namespace="ns"}"#)]
    #[case::equal("a=b", r#"m{a="b",exported_namespace="ns"}"#)]
    #[case::double_equal("a==b", r#"m{a="b",exported_namespace="ns"}"#)]
    #[case::not_equal("a!=b", r#"m{a!="b",exported_namespace="ns"}"#)]
    #[case::several("a=b,c=d", r#"m{a="b",c="d",exported_namespace="ns"}"#)]
    #[case::in_set("a in (x,y.z)", r#"m{a=~"x|y\\.z",exported_namespace="ns"}"#)]
    #[case::not_in_set("a notin (x)", r#"m{a!~"x",exported_namespace="ns"}"#)]
    #[case::exists("a", r#"m{a!="",exported_namespace="ns"}"#)]
    #[case::absent("!a", r#"m{a="",exported_namespace="ns"}"#)]
    #[case::quote("a=b\"", r#"m{a="b\"",exported_namespace="ns"}"#)]
    fn a_label_selector_becomes_matchers(#[case] selector: &str, #[case] expect: &str) {
        assert_eq!(query("m", "ns", selector).unwrap(), expect);
    }

    #[rstest]
    #[case::metric("m{}", "", "no metric name")]
    #[case::label("m", "a.b=c", "no metric label")]
    #[case::set("m", "a in x", "is not one of")]
    fn what_is_no_selector_is_refused(#[case] metric: &str, #[case] selector: &str, #[case] expect: &str) {
        let error = query(metric, "ns", selector).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }

    #[rstest]
    #[case(2.0, "2")]
    #[case(2.5, "2500m")]
    #[case(0.0, "0")]
    #[case(0.3333, "333m")]
    fn values_are_quantities(#[case] value: f64, #[case] expect: &str) {
        assert_eq!(quantity(value), expect);
    }
}
