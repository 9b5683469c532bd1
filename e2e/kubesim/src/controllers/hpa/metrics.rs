//! The values autoscalers follow, from `external.metrics.k8s.io`.

use k8s_openapi::{
    api::autoscaling::v2::{
        ExternalMetricSource, ExternalMetricStatus, HorizontalPodAutoscaler, MetricIdentifier, MetricSpec,
        MetricStatus, MetricTarget, MetricValueStatus,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use kube::{Client, core::Selector};
use serde::Deserialize;

use hpa::{Tolerance, metric, quantity};

use super::conditions::selector_text;

/// Why a metric gives no answer. The reason names the condition and the event.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("unable to get external metric {namespace}/{metric}/{selector}: {message}")]
    External { namespace: String, metric: String, selector: String, message: String },
    #[error("metrics of type {0} are not supported by this cluster; use External")]
    Unsupported(String),
    #[error("invalid target of external metric {metric}: {message}")]
    InvalidTarget { metric: String, message: String },
}

impl Error {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::External { .. } => "FailedGetExternalMetric",
            Self::Unsupported(_) => "UnsupportedMetricType",
            Self::InvalidTarget { .. } => "InvalidMetricSourceType",
        }
    }
}

impl Error {
    /// The failure with what led to it, as events tell it.
    pub(super) fn in_full(&self) -> String {
        match self {
            Self::External { metric, .. } => {
                format!("failed to get {metric} external metric value: failed to get {metric} external metric: {self}")
            }
            Self::Unsupported(_) | Self::InvalidTarget { .. } => self.to_string(),
        }
    }
}

/// What one metric asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// For messages: `external metric name(selector)`.
    pub(super) name: String,
    pub(super) status: MetricStatus,
}

/// How many replicas the scale target has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Population {
    /// As asked for in its spec.
    pub(super) spec: i32,
    /// As reported in its status.
    pub(super) status: i32,
    /// Pods that are ready.
    pub(super) ready: i32,
}

/// The part of an `ExternalMetricValueList` that counts.
#[derive(Debug, Deserialize)]
struct ValueList {
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Value {
    value: Quantity,
}

/// Asks for one metric and computes what it wants.
pub(super) async fn propose(
    client: &Client,
    hpa: &HorizontalPodAutoscaler,
    metric: &MetricSpec,
    population: Population,
) -> Result<Proposal, Error> {
    let Some(source) = metric.external.as_ref().filter(|_| metric.type_ == "External") else {
        return Err(Error::Unsupported(metric.type_.clone()));
    };
    let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
    let target = target(&source.target).map_err(|message| invalid(source, message))?;
    let value = fetch(client, namespace, &source.metric).await?;
    let behavior = hpa.spec.as_ref().and_then(|spec| spec.behavior.as_ref());
    Ok(decide(source, value, target, population, Tolerance::of(behavior)))
}

fn invalid(source: &ExternalMetricSource, message: String) -> Error {
    Error::InvalidTarget { metric: source.metric.name.clone(), message }
}

/// A target in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Value(i64),
    AverageValue(i64),
}

fn target(target: &MetricTarget) -> Result<Target, String> {
    let positive = |quantity: &Quantity| match quantity::milli(quantity) {
        Ok(milli) if milli > 0 => Ok(milli),
        Ok(_) => Err("it has to be above zero".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    match (&target.average_value, &target.value) {
        (Some(average), _) => positive(average).map(Target::AverageValue),
        (None, Some(value)) => positive(value).map(Target::Value),
        (None, None) => Err("neither a value target nor an average value target was set".to_owned()),
    }
}

/// The sum of all series the metric matches, in thousandths.
async fn fetch(client: &Client, namespace: &str, metric: &MetricIdentifier) -> Result<i64, Error> {
    let failed = |message: String| Error::External {
        namespace: namespace.to_owned(),
        metric: metric.name.clone(),
        selector: selector_text(metric.selector.as_ref()),
        message,
    };
    let query = query(metric.selector.as_ref()).map_err(failed)?;
    let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{}{query}", metric.name);
    let request = http_request(&path).map_err(failed)?;
    let list: ValueList = client
        .request(request)
        .await
        .map_err(|error| failed(format!("unable to fetch metrics from external metrics API: {}", brief(&error))))?;
    if list.items.is_empty() {
        return Err(failed("no metrics returned from external metrics API".to_owned()));
    }
    list.items.iter().try_fold(0_i64, |sum, item| match quantity::milli(&item.value) {
        Ok(milli) => Ok(sum.saturating_add(milli)),
        Err(error) => Err(failed(error.to_string())),
    })
}

fn http_request(path: &str) -> Result<axum::http::Request<Vec<u8>>, String> {
    axum::http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())
}

/// An answer of the server is told by its message alone.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

fn query(selector: Option<&LabelSelector>) -> Result<String, String> {
    let Some(selector) = selector else { return Ok(String::new()) };
    let selector =
        Selector::try_from(selector.clone()).map_err(|error| format!("reading the metric selector: {error}"))?;
    if selector.selects_all() {
        return Ok(String::new());
    }
    let encoded: String = selector.to_string().bytes().map(encode).collect();
    Ok(format!("?labelSelector={encoded}"))
}

/// Percent-encoding of everything that is not unreserved.
fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn decide(
    source: &ExternalMetricSource,
    value: i64,
    target: Target,
    population: Population,
    tolerance: Tolerance,
) -> Proposal {
    let (replicas, current) = match target {
        Target::Value(target) => {
            let replicas = metric::by_value(population.spec, population.ready, value, target, tolerance);
            (replicas, MetricValueStatus { value: Some(quantity::from_milli(value)), ..MetricValueStatus::default() })
        }
        Target::AverageValue(target) => {
            let replicas = metric::by_average(population.status, value, target, tolerance);
            let pods = i64::from(population.status.max(1));
            let share = value / pods + i64::from(value % pods != 0);
            (
                replicas,
                MetricValueStatus { average_value: Some(quantity::from_milli(share)), ..MetricValueStatus::default() },
            )
        }
    };
    let selector = selector_text(source.metric.selector.as_ref());
    Proposal {
        replicas,
        name: format!("external metric {}({selector})", source.metric.name),
        status: MetricStatus {
            type_: "External".to_owned(),
            external: Some(ExternalMetricStatus { current, metric: source.metric.clone() }),
            ..MetricStatus::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn source(target: serde_json::Value) -> ExternalMetricSource {
        serde_json::from_value(json!({
            "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": {"variant_name": "a"}}},
            "target": target,
        }))
        .unwrap()
    }

    #[test]
    fn an_average_target_of_one_follows_the_metric_and_reports_the_share() {
        let source = source(json!({"type": "AverageValue", "averageValue": "1"}));
        let target = target(&source.target).unwrap();
        let population = Population { spec: 2, status: 2, ready: 2 };
        let proposal = decide(&source, 3_000, target, population, Tolerance::of(None));
        assert_eq!(proposal.replicas, 3);
        let current = proposal.status.external.unwrap().current;
        assert_eq!(current.average_value, Some(Quantity("1500m".to_owned())));
    }

    #[test]
    fn a_target_has_to_be_above_zero_and_present() {
        assert!(target(&source(json!({"type": "Value", "value": "0"})).target).is_err());
        assert!(target(&source(json!({"type": "Value"})).target).is_err());
        assert_eq!(target(&source(json!({"type": "Value", "value": "500m"})).target), Ok(Target::Value(500)));
    }

    #[test]
    fn the_selector_becomes_an_encoded_query() {
        let source = source(json!({"type": "Value"}));
        assert_eq!(query(source.metric.selector.as_ref()).unwrap(), "?labelSelector=variant_name%3Da");
        assert_eq!(query(None).unwrap(), "");
    }
}
