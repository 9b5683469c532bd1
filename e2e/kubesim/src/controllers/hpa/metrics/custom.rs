//! Metrics of pods and of other objects, from `custom.metrics.k8s.io`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::autoscaling::v2::{
        MetricIdentifier, MetricStatus, MetricValueStatus, ObjectMetricSource, ObjectMetricStatus, PodsMetricSource,
        PodsMetricStatus,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::api::GroupVersionKind;
use serde::Deserialize;

use hpa::{
    pods::{self, Patience, Sample},
    quantity,
};

use super::{Error, Proposal, Question, Target, brief, encode, external, get, query, resource, target};

/// The versions an adapter may serve, the newer first; what they say differs only in what is not read.
const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// The part of a `MetricValueList` that counts.
#[derive(Debug, Deserialize)]
struct ValueList {
    #[serde(default)]
    items: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    described_object: Described,
    timestamp: Timestamp,
    window_seconds: Option<u64>,
    value: Quantity,
}

#[derive(Debug, Deserialize)]
struct Described {
    name: String,
}

pub(super) async fn propose_of_pods(question: &Question<'_>, source: &PodsMetricSource) -> Result<Proposal, Error> {
    let name = &source.metric.name;
    let failed = |message: String| Error::new("FailedGetPodsMetric", "failed to get pods metric value", message);
    let Ok(Target::AverageValue(wanted)) = target(&source.target) else {
        return Err(failed("invalid pods metric source: average value target was not set".to_owned()));
    };
    let selector = format!("labelSelector={}", encode(question.target.selector()));
    let values = fetch(question, "pods/*", &source.metric, &selector)
        .await
        .map_err(|message| failed(format!("unable to get metric {name}: {message}")))?;
    let samples: BTreeMap<String, Sample> = values
        .iter()
        .map(|item| {
            let value = quantity::milli(&item.value).unwrap_or_default();
            let window = Duration::from_secs(item.window_seconds.unwrap_or(60));
            (item.described_object.name.clone(), Sample { value, at: item.timestamp, window })
        })
        .collect();
    let all: Vec<pods::Pod> = question.pods.iter().map(|pod| resource::of(pod, "", None)).collect();
    let groups = pods::group(&all, &samples, false, Patience::default(), Timestamp::now());
    let answer = pods::by_mean(question.population.spec, &all, &groups, wanted, question.tolerance())
        .map_err(|problem| failed(problem.to_string()))?;
    let average_value = Some(quantity::from_milli(answer.average));
    Ok(Proposal {
        replicas: answer.replicas,
        name: format!("pods metric {name}"),
        status: MetricStatus {
            type_: "Pods".to_owned(),
            pods: Some(PodsMetricStatus {
                current: MetricValueStatus { average_value, ..MetricValueStatus::default() },
                metric: source.metric.clone(),
            }),
            ..MetricStatus::default()
        },
    })
}

pub(super) async fn propose_of_object(question: &Question<'_>, source: &ObjectMetricSource) -> Result<Proposal, Error> {
    let (name, object) = (&source.metric.name, &source.described_object);
    let failed = |message: String| Error::new("FailedGetObjectMetric", "failed to get object metric value", message);
    let wanted = target(&source.target).map_err(|_| {
        failed("invalid object metric source: neither a value target nor an average value target was set".to_owned())
    })?;
    let value = value_of_object(question, source).await.map_err(|message| {
        // In this order, which is that of Kubernetes.
        failed(format!(
            "unable to get metric {name}: {} on {} {}/{message}",
            object.kind,
            question.namespace(),
            object.name
        ))
    })?;
    let (replicas, current) = external::decide(value, wanted, question.population, question.tolerance());
    let name = match wanted {
        Target::Value(_) => format!("{} metric {name}", object.kind),
        Target::AverageValue(_) => format!("external metric {name}(nil)"),
    };
    Ok(Proposal {
        replicas,
        name,
        status: MetricStatus {
            type_: "Object".to_owned(),
            object: Some(ObjectMetricStatus {
                current,
                described_object: object.clone(),
                metric: source.metric.clone(),
            }),
            ..MetricStatus::default()
        },
    })
}

async fn value_of_object(question: &Question<'_>, source: &ObjectMetricSource) -> Result<i64, String> {
    let object = &source.described_object;
    let version = object.api_version.as_deref().unwrap_or("v1");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let place = if (group, object.kind.as_str()) == ("", "Namespace") {
        // The namespace itself.
        "metrics".to_owned()
    } else {
        let kind = GroupVersionKind::gvk(group, version, &object.kind);
        let found = question.targets.resource(question.client, kind).await;
        let resource = found.map_err(|error| format!("unable to map kind to resource: {error}"))?;
        let suffix = if group.is_empty() { String::new() } else { format!(".{group}") };
        format!("{}{suffix}/{}", resource.plural, encode(&object.name))
    };
    let values = fetch(question, &place, &source.metric, "").await?;
    let first = values.first().ok_or("no metrics returned from custom metrics API")?;
    quantity::milli(&first.value).map_err(|error| error.to_string())
}

/// The values of what is described by `place`.
async fn fetch(
    question: &Question<'_>,
    place: &str,
    metric: &MetricIdentifier,
    selector: &str,
) -> Result<Vec<Measured>, String> {
    let of_metric = query(metric.selector.as_ref())?.map(|selector| format!("metricLabelSelector={selector}"));
    let query: Vec<String> =
        [selector.to_owned(), of_metric.unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let (namespace, place) = (question.namespace(), place.replace('*', "%2A"));
    let mut missing = String::new();
    for version in VERSIONS {
        let path =
            format!("/apis/custom.metrics.k8s.io/{version}/namespaces/{namespace}/{place}/{}{query}", metric.name);
        match get::<ValueList>(question.client, &path, &format!("{}.custom.metrics.k8s.io", metric.name)).await {
            Ok(list) if list.items.is_empty() => {
                return Err("no metrics returned from custom metrics API".to_owned());
            }
            Ok(list) => return Ok(list.items),
            Err(error) => {
                missing = format!("unable to fetch metrics from custom metrics API: {}", brief(&error));
                if !matches!(&error, kube::Error::Api(status) if status.is_not_found()) {
                    break;
                }
            }
        }
    }
    Err(missing)
}
