//! One look at all variants: their objects in the cluster, their saturation in Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use wva_api::{VariantAutoscaling, conditions, labels, metrics};

use super::scene::{Scene, Team};
use crate::environment::Environment;
use crate::prometheus::{self, Series};

/// A look failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error("looking at {what}: {source}")]
    Kube {
        /// What was asked for.
        what: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
}

/// One variant, now. What is not known is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Controller instance the variant is labelled for.
    pub instance: String,
    /// Its Deployment.
    pub variant: String,
    /// Highest KV-cache use among its pods, 0 to 1.
    pub kv: Option<f64>,
    /// Longest queue among its pods.
    pub queue: Option<f64>,
    /// Replicas the controller published.
    pub desired: Option<i32>,
    /// Ready replicas.
    pub ready: i32,
    /// Replicas the Deployment asks for.
    pub replicas: i32,
    /// Replicas the HPA wants.
    pub hpa: Option<i32>,
    /// The controller's reason.
    pub reason: String,
}

impl Row {
    /// Whether both speak of the same variant.
    pub fn is_same(&self, other: &Self) -> bool {
        self.instance == other.instance && self.variant == other.variant
    }
}

/// What the closing claims need beyond the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// For each published series of desired replicas: namespace of the variant, instance.
    pub series: Vec<(String, String)>,
    /// For each variant: its namespace, and who wrote its status.
    pub status_writers: Vec<(String, BTreeSet<String>)>,
}

/// Looks.
pub struct Observer {
    client: Client,
    prometheus: prometheus::Client,
    teams: Vec<Team>,
}

impl Observer {
    /// An observer of all teams of a scene.
    pub fn new(environment: &Environment, scene: &Scene) -> Self {
        Self { client: environment.client(), prometheus: environment.prometheus(), teams: scene.teams().to_vec() }
    }

    /// Looks at every variant.
    ///
    /// # Errors
    /// When the API server or Prometheus does not answer.
    pub async fn look(&self) -> Result<Vec<Row>, Error> {
        let kv = self.by_pod(metrics::VLLM_KV_CACHE_USAGE).await?;
        let queue = self.by_pod(metrics::VLLM_REQUESTS_WAITING).await?;
        let mut rows = Vec::new();
        for Team { namespace, .. } in &self.teams {
            let deployments: Vec<Deployment> = self.list(namespace, "Deployments").await?;
            let hpas: Vec<HorizontalPodAutoscaler> = self.list(namespace, "HPAs").await?;
            for va in self.list::<VariantAutoscaling>(namespace, "VariantAutoscalings").await? {
                rows.push(row(&va, namespace, &deployments, &hpas, &kv, &queue));
            }
        }
        rows.sort_by(|a, b| (&a.instance, &a.variant).cmp(&(&b.instance, &b.variant)));
        Ok(rows)
    }

    /// Looks at what isolation means: whose series there are, and who wrote each status.
    ///
    /// # Errors
    /// When the API server or Prometheus does not answer.
    pub async fn facts(&self) -> Result<Facts, Error> {
        let label = |series: &Series, name: &str| series.labels.get(name).cloned().unwrap_or_default();
        let series = self.prometheus.query(metrics::DESIRED_REPLICAS).await?;
        let series = series
            .iter()
            .map(|s| (label(s, metrics::LABEL_EXPORTED_NAMESPACE), label(s, metrics::LABEL_CONTROLLER_INSTANCE)))
            .collect();
        let mut status_writers = Vec::new();
        for Team { namespace, .. } in &self.teams {
            for va in self.list::<VariantAutoscaling>(namespace, "VariantAutoscalings").await? {
                let writers = va.managed_fields().iter().filter(|entry| entry.subresource.as_deref() == Some("status"));
                status_writers.push((namespace.clone(), writers.filter_map(|entry| entry.manager.clone()).collect()));
            }
        }
        Ok(Facts { series, status_writers })
    }

    async fn by_pod(&self, metric: &str) -> Result<BTreeMap<(String, String), f64>, Error> {
        let series = self.prometheus.query(&format!("max by (namespace, pod) ({metric})")).await?;
        let label = |series: &Series, name: &str| series.labels.get(name).cloned().unwrap_or_default();
        Ok(series.iter().map(|s| ((label(s, "namespace"), label(s, "pod")), s.value)).collect())
    }

    async fn list<K>(&self, namespace: &str, what: &'static str) -> Result<Vec<K>, Error>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        api.list(&ListParams::default()).await.map(|list| list.items).map_err(|source| Error::Kube { what, source })
    }
}

fn row(
    va: &VariantAutoscaling,
    namespace: &str,
    deployments: &[Deployment],
    hpas: &[HorizontalPodAutoscaler],
    kv: &BTreeMap<(String, String), f64>,
    queue: &BTreeMap<(String, String), f64>,
) -> Row {
    let target = &va.spec.scale_target_ref.name;
    let deployment = deployments.iter().find(|d| d.name_any() == *target);
    let hpa = hpas.iter().find(|hpa| hpa.spec.as_ref().is_some_and(|spec| spec.scale_target_ref.name == *target));
    // Pods of a Deployment are named after it: <deployment>-<hash>-<suffix>, neither of which holds a dash.
    let of_target = |pod: &str| pod.rsplitn(3, '-').nth(2) == Some(target);
    let highest = |readings: &BTreeMap<(String, String), f64>| {
        readings
            .iter()
            .filter(|((ns, pod), _)| ns == namespace && of_target(pod))
            .map(|(_, value)| *value)
            .reduce(f64::max)
    };
    let status = va.status.as_ref();
    let decision = status.and_then(|s| conditions::find(&s.conditions, conditions::OPTIMIZATION_READY));
    Row {
        instance: va.labels().get(labels::CONTROLLER_INSTANCE).cloned().unwrap_or_default(),
        variant: target.clone(),
        kv: highest(kv),
        queue: highest(queue),
        desired: status.and_then(|s| s.desired_optimized_alloc.as_ref()).and_then(|alloc| alloc.num_replicas),
        ready: deployment.and_then(|d| d.status.as_ref()).and_then(|s| s.ready_replicas).unwrap_or(0),
        replicas: deployment.and_then(|d| d.spec.as_ref()).and_then(|s| s.replicas).unwrap_or(0),
        hpa: hpa.and_then(|h| h.status.as_ref()).map(|s| s.desired_replicas),
        reason: decision.map(|condition| condition.message.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
impl Row {
    /// A row that says nothing but what was published.
    pub(super) fn example(instance: &str, variant: &str, desired: i32) -> Self {
        Self {
            instance: instance.to_owned(),
            variant: variant.to_owned(),
            kv: Some(0.5),
            queue: Some(0.0),
            desired: Some(desired),
            ready: desired,
            replicas: desired,
            hpa: Some(desired),
            reason: String::new(),
        }
    }
}
