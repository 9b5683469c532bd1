//! The values autoscalers follow, and what they ask for: one file for each API they come from.

mod custom;
mod external;
mod resource;

use std::sync::Arc;

use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget},
        core::v1::Pod,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use kube::{Client, core::Selector};
use serde::de::DeserializeOwned;

use hpa::{Tolerance, quantity};

use super::target::{Target as ScaleTarget, Targets};

/// Why a metric gives no answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Error {
    /// Names the condition and the event.
    reason: &'static str,
    message: String,
    /// How events introduce the message.
    introduction: String,
}

impl Error {
    fn new(reason: &'static str, introduction: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), introduction: introduction.into() }
    }

    pub(super) fn reason(&self) -> &'static str {
        self.reason
    }

    /// The failure with what led to it, as events tell it.
    pub(super) fn in_full(&self) -> String {
        match self.introduction.as_str() {
            "" => self.message.clone(),
            introduction => format!("{introduction}: {}", self.message),
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

/// What all metrics of one evaluation are asked for.
pub(super) struct Question<'a> {
    pub(super) client: &'a Client,
    pub(super) targets: &'a Targets,
    pub(super) hpa: &'a HorizontalPodAutoscaler,
    pub(super) target: &'a ScaleTarget,
    /// The pods of the target.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) population: Population,
}

impl Question<'_> {
    fn namespace(&self) -> &str {
        self.hpa.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn tolerance(&self) -> Tolerance {
        Tolerance::of(self.hpa.spec.as_ref().and_then(|spec| spec.behavior.as_ref()))
    }

    /// Asks one metric and computes what it wants.
    pub(super) async fn ask(&self, metric: &MetricSpec) -> Result<Proposal, Error> {
        match (metric.type_.as_str(), metric) {
            ("External", MetricSpec { external: Some(source), .. }) => external::propose(self, source).await,
            ("Resource", MetricSpec { resource: Some(source), .. }) => resource::propose(self, source).await,
            ("ContainerResource", MetricSpec { container_resource: Some(source), .. }) => {
                resource::propose_of_container(self, source).await
            }
            ("Pods", MetricSpec { pods: Some(source), .. }) => custom::propose_of_pods(self, source).await,
            ("Object", MetricSpec { object: Some(source), .. }) => custom::propose_of_object(self, source).await,
            (other, _) => {
                Err(Error::new("InvalidMetricSourceType", "", format!("unknown metric source type {other:?}")))
            }
        }
    }
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

/// Asks an aggregated API; `what` is the resource, as clients name it when the API is not there.
async fn get<T: DeserializeOwned>(client: &Client, path: &str, what: &str) -> Result<T, kube::Error> {
    let request = axum::http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| kube::Error::Service(Box::new(error)))?;
    client.request(request).await.map_err(|error| match error {
        // Such an answer is plain text; what it means, the client says.
        kube::Error::Api(mut status) if status.message.starts_with("404 page not found") => {
            status.message = format!("the server could not find the requested resource (get {what})");
            kube::Error::Api(status)
        }
        kube::Error::Api(mut status) if status.message.starts_with("service unavailable") => {
            status.message = format!("the server is currently unable to handle the request (get {what})");
            kube::Error::Api(status)
        }
        other => other,
    })
}

/// An answer of the server is told by its message alone.
fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// `?NAME=SELECTOR`, or nothing for a selector that leaves nothing out.
fn query(selector: Option<&LabelSelector>) -> Result<Option<String>, String> {
    let Some(selector) = selector else { return Ok(None) };
    let selector =
        Selector::try_from(selector.clone()).map_err(|error| format!("reading the metric selector: {error}"))?;
    Ok((!selector.selects_all()).then(|| encode(&selector.to_string())))
}

/// Percent-encoding of everything that is not unreserved.
fn encode(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_has_to_be_above_zero_and_present() {
        let read = |value: serde_json::Value| target(&serde_json::from_value(value).unwrap());
        assert!(read(json!({"type": "Value", "value": "0"})).is_err());
        assert!(read(json!({"type": "Value"})).is_err());
        assert_eq!(read(json!({"type": "Value", "value": "500m"})), Ok(Target::Value(500)));
    }

    #[test]
    fn the_selector_becomes_an_encoded_query() {
        let selector = serde_json::from_value(json!({"matchLabels": {"variant_name": "a"}})).unwrap();
        assert_eq!(query(Some(&selector)).unwrap().as_deref(), Some("variant_name%3Da"));
        assert_eq!(query(None).unwrap(), None);
    }
}
