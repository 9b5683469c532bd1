//! Processor time and memory of the target's pods, from `metrics.k8s.io`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        autoscaling::v2::{
            ContainerResourceMetricSource, ContainerResourceMetricStatus, MetricStatus, MetricTarget,
            MetricValueStatus, ResourceMetricSource, ResourceMetricStatus,
        },
        core::v1::{Container, Pod},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt;
use serde::Deserialize;

use hpa::{
    pods::{self, Answer, Patience, Sample},
    quantity,
};

use super::{Error, Proposal, Question, Target, brief, encode, get, target};
use crate::controllers::pods as facts;

/// The part of a `PodMetricsList` that counts.
#[derive(Debug, Deserialize)]
struct MetricsList {
    #[serde(default)]
    items: Vec<PodMetrics>,
}

#[derive(Debug, Deserialize)]
struct PodMetrics {
    metadata: Named,
    timestamp: Timestamp,
    window: String,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct ContainerMetrics {
    name: String,
    usage: BTreeMap<String, Quantity>,
}

pub(super) async fn propose(question: &Question<'_>, source: &ResourceMetricSource) -> Result<Proposal, Error> {
    let name = &source.name;
    let (answer, current) = ask(question, name, None, &source.target).await.map_err(|message| {
        Error::new("FailedGetResourceMetric", format!("failed to get {name} resource metric value"), message)
    })?;
    Ok(Proposal {
        replicas: answer.replicas,
        name: described(&format!("{name} resource"), &answer),
        status: MetricStatus {
            type_: "Resource".to_owned(),
            resource: Some(ResourceMetricStatus { current, name: name.clone() }),
            ..MetricStatus::default()
        },
    })
}

pub(super) async fn propose_of_container(
    question: &Question<'_>,
    source: &ContainerResourceMetricSource,
) -> Result<Proposal, Error> {
    let (name, container) = (&source.name, &source.container);
    let (answer, current) = ask(question, name, Some(container), &source.target).await.map_err(|message| {
        Error::new("FailedGetContainerResourceMetric", format!("failed to get {name} container metric value"), message)
    })?;
    Ok(Proposal {
        replicas: answer.replicas,
        name: described(&format!("{name} container resource"), &answer),
        status: MetricStatus {
            type_: "ContainerResource".to_owned(),
            container_resource: Some(ContainerResourceMetricStatus {
                container: container.clone(),
                current,
                name: name.clone(),
            }),
            ..MetricStatus::default()
        },
    })
}

fn described(what: &str, answer: &Answer) -> String {
    match answer.utilization {
        Some(_) => format!("{what} utilization (percentage of request)"),
        None => what.to_owned(),
    }
}

async fn ask(
    question: &Question<'_>,
    resource: &str,
    container: Option<&str>,
    wanted: &MetricTarget,
) -> Result<(Answer, MetricValueStatus), String> {
    let word = if wanted.average_utilization.is_some() { "utilization" } else { "usage" };
    let failed = |message: String| format!("failed to get {resource} {word}: {message}");
    let samples = fetch(question, resource, container)
        .await
        .map_err(|message| failed(format!("unable to get metrics for resource {resource}: {message}")))?;
    let all: Vec<pods::Pod> = question.pods.iter().map(|pod| of(pod, resource, container)).collect();
    let groups = pods::group(&all, &samples, resource == "cpu", Patience::default(), Timestamp::now());
    let (current, tolerance) = (question.population.spec, question.tolerance());
    let answer = match (wanted.average_utilization, target(wanted)) {
        (Some(percent), _) => pods::by_utilization(current, &all, &groups, percent, tolerance),
        (None, Ok(Target::AverageValue(milli))) => pods::by_mean(current, &all, &groups, milli, tolerance),
        (None, Ok(Target::Value(_))) => {
            return Err("invalid resource metric source: neither an average utilization target nor an average value \
                        target was set"
                .to_owned());
        }
        (None, Err(message)) => return Err(message),
    };
    let answer = answer.map_err(|problem| failed(problem.to_string()))?;
    let current = MetricValueStatus {
        average_utilization: answer.utilization,
        average_value: Some(quantity::from_milli(answer.average)),
        value: None,
    };
    Ok((answer, current))
}

/// What is measured of each pod, or of one of its containers.
async fn fetch(
    question: &Question<'_>,
    resource: &str,
    container: Option<&str>,
) -> Result<BTreeMap<String, Sample>, String> {
    let (namespace, selector) = (question.namespace(), encode(question.target.selector()));
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods?labelSelector={selector}");
    let list: MetricsList = get(question.client, &path, "pods.metrics.k8s.io")
        .await
        .map_err(|error| format!("unable to fetch metrics from resource metrics API: {}", brief(&error)))?;
    if list.items.is_empty() {
        return Err("no metrics returned from resource metrics API".to_owned());
    }
    let mut samples = BTreeMap::new();
    for pod in list.items {
        let mut counted = pod.containers.iter().filter(|found| container.is_none_or(|wanted| wanted == found.name));
        if let Some(wanted) = container.filter(|_| counted.clone().next().is_none()) {
            return Err(format!("container {wanted} not present in metrics for pod {namespace}/{}", pod.metadata.name));
        }
        // A container without the resource leaves its pod without a value.
        let sum = counted.try_fold(0_i64, |sum, found| Some(sum + quantity::milli(found.usage.get(resource)?).ok()?));
        let window: SignedDuration = pod.window.parse().map_err(|_| format!("reading the window {:?}", pod.window))?;
        if let Some(value) = sum {
            let window = window.try_into().unwrap_or_default();
            samples.insert(pod.metadata.name, Sample { value, at: pod.timestamp, window });
        }
    }
    Ok(samples)
}

/// What the arithmetic has to know of a pod.
pub(super) fn of(pod: &Pod, resource: &str, container: Option<&str>) -> pods::Pod {
    let ready = facts::condition(pod, "Ready");
    pods::Pod {
        name: pod.name_any(),
        is_leaving: pod.metadata.deletion_timestamp.is_some() || facts::phase(pod) == "Failed",
        is_pending: facts::phase(pod) == "Pending",
        started: pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
        ready: ready.map(|ready| {
            let since = ready.last_transition_time.as_ref().map(|time| time.0).unwrap_or_default();
            (ready.status == "True", since)
        }),
        request: request(pod, resource, container),
    }
}

/// What the containers of a pod request, those that run all the time.
fn request(pod: &Pod, resource: &str, wanted: Option<&str>) -> Result<i64, String> {
    let name = pod.name_any();
    let Some(spec) = &pod.spec else { return Ok(0) };
    let stays = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let mut sidecars = spec.init_containers.iter().flatten().filter(stays);
    let all = spec.containers.iter().chain(&mut sidecars);
    let counted: Vec<&Container> =
        all.filter(|container| wanted.is_none_or(|wanted| wanted == container.name)).collect();
    if let Some(wanted) = wanted.filter(|_| counted.is_empty()) {
        return Err(format!("container {wanted} not found in Pod {name}"));
    }
    let mut sum = 0;
    for container in counted {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let amount = requests.and_then(|requests| quantity::milli(requests.get(resource)?).ok());
        sum += amount
            .ok_or_else(|| format!("missing request for {resource} in container {} of Pod {name}", container.name))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::all_that_stay(None, Ok(400))]
    #[case::one(Some("main"), Ok(250))]
    #[case::none_of_that_name(Some("nope"), Err("container nope not found in Pod p".to_owned()))]
    fn a_pod_requests_what_its_containers_do(#[case] container: Option<&str>, #[case] expected: Result<i64, String>) {
        let asks = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "main", "resources": asks("250m")}, {"name": "side", "resources": asks("100m")}],
            "initContainers": [
                {"name": "first", "resources": asks("2")},
                {"name": "proxy", "restartPolicy": "Always", "resources": asks("50m")},
            ],
        }}))
        .unwrap();
        assert_eq!(request(&pod, "cpu", container), expected);
        let silent = "missing request for memory in container main of Pod p";
        assert_eq!(request(&pod, "memory", None), Err(silent.to_owned()));
    }
}
