//! External metrics, from `external.metrics.k8s.io`.

use k8s_openapi::{
    api::autoscaling::v2::{
        ExternalMetricSource, ExternalMetricStatus, MetricIdentifier, MetricStatus, MetricValueStatus,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::Client;
use serde::Deserialize;

use hpa::{Tolerance, metric, quantity};

use super::{Error, Population, Proposal, Question, Target, brief, get, query, target};
use crate::controllers::hpa::conditions::selector_text;

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

pub(super) async fn propose(question: &Question<'_>, source: &ExternalMetricSource) -> Result<Proposal, Error> {
    let name = &source.metric.name;
    let target = target(&source.target).map_err(|message| {
        let message = format!("invalid target of external metric {name}: {message}");
        Error::new("InvalidMetricSourceType", "", message)
    })?;
    let namespace = question.namespace();
    let value = fetch(question.client, namespace, &source.metric).await.map_err(|message| {
        let selector = selector_text(source.metric.selector.as_ref());
        let message = format!("unable to get external metric {namespace}/{name}/{selector}: {message}");
        let introduction = format!("failed to get {name} external metric value: failed to get {name} external metric");
        Error::new("FailedGetExternalMetric", introduction, message)
    })?;
    let (replicas, current) = decide(value, target, question.population, question.tolerance());
    Ok(Proposal {
        replicas,
        name: format!("external metric {name}({})", selector_text(source.metric.selector.as_ref())),
        status: MetricStatus {
            type_: "External".to_owned(),
            external: Some(ExternalMetricStatus { current, metric: source.metric.clone() }),
            ..MetricStatus::default()
        },
    })
}

/// The sum of all series the metric matches, in thousandths.
async fn fetch(client: &Client, namespace: &str, metric: &MetricIdentifier) -> Result<i64, String> {
    let query = query(metric.selector.as_ref())?.map(|selector| format!("?labelSelector={selector}"));
    let query = query.unwrap_or_default();
    let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{}{query}", metric.name);
    let what = format!("{}.external.metrics.k8s.io", metric.name);
    let list: ValueList = get(client, &path, &what)
        .await
        .map_err(|error| format!("unable to fetch metrics from external metrics API: {}", brief(&error)))?;
    if list.items.is_empty() {
        return Err("no metrics returned from external metrics API".to_owned());
    }
    list.items.iter().try_fold(0_i64, |sum, item| match quantity::milli(&item.value) {
        Ok(milli) => Ok(sum.saturating_add(milli)),
        Err(error) => Err(error.to_string()),
    })
}

/// What one value for the whole target asks for, and how it is reported.
pub(super) fn decide(
    value: i64,
    target: Target,
    population: Population,
    tolerance: Tolerance,
) -> (i32, MetricValueStatus) {
    match target {
        Target::Value(target) => {
            let replicas = metric::by_value(population.spec, population.ready, value, target, tolerance);
            (replicas, MetricValueStatus { value: Some(quantity::from_milli(value)), ..MetricValueStatus::default() })
        }
        Target::AverageValue(target) => {
            let replicas = metric::by_average(population.status, value, target, tolerance);
            let pods = i64::from(population.status.max(1));
            let share = value / pods + i64::from(value % pods != 0);
            let average_value = Some(quantity::from_milli(share));
            (replicas, MetricValueStatus { average_value, ..MetricValueStatus::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_target_of_one_follows_the_metric_and_reports_the_share() {
        let population = Population { spec: 2, status: 2, ready: 2 };
        let (replicas, current) = decide(3_000, Target::AverageValue(1_000), population, Tolerance::of(None));
        assert_eq!(replicas, 3);
        assert_eq!(current.average_value, Some(Quantity("1500m".to_owned())));
    }
}
