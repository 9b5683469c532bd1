//! A fleet of variants as objects only: Deployments, `ReplicaSets` and ready pods that nothing runs, each with a
//! `VariantAutoscaling` and an HPA.

use std::fmt::{self, Debug};
use std::ops::Range;
use std::str::FromStr;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wva_api::VariantAutoscaling;

/// Namespaces the fleet is spread over.
const NAMESPACES: usize = 50;
/// Requests in flight while the fleet is made.
const AT_ONCE: usize = 32;

/// How large the fleet is; each variant serves a model of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Variants.
    pub variants: usize,
    /// Pods of each.
    pub pods: usize,
}

/// An object of the fleet could not be made.
#[derive(Debug, thiserror::Error)]
#[error("making {kind} {name} of the measured fleet: {source}")]
pub struct Error {
    kind: &'static str,
    name: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.variants, self.pods)
    }
}

impl FromStr for Fleet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('x').and_then(|(v, p)| Some((v.parse().ok()?, p.parse().ok()?)));
        let (variants, pods) =
            numbers.ok_or_else(|| format!("{text:?} is not a fleet: write VARIANTSxPODS, e.g. 100x1"))?;
        Ok(Self { variants, pods })
    }
}

impl Fleet {
    /// Namespace of a variant.
    pub fn namespace(&self, variant: usize) -> String {
        format!("bench-{}", variant % NAMESPACES)
    }

    /// Name of a variant, its target and its HPA.
    pub fn name(&self, variant: usize) -> String {
        format!("v{variant}")
    }

    /// Model id of a variant.
    pub fn model(&self, variant: usize) -> String {
        format!("model-{variant}")
    }

    /// Name of a variant's pod.
    pub fn pod(&self, variant: usize, pod: usize) -> String {
        format!("v{variant}-{pod}")
    }

    /// Makes the ConfigMap `serviceclass` in the namespace of the first variant: a promise and a profile for each model, by
    /// which one replica takes six and a half requests of 64 and 64 tokens per second, or more.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn promise(&self, client: &Client) -> Result<(), Error> {
        let lines = |line: fn(&str) -> String| (0..self.variants).map(|it| line(&self.model(it))).collect::<String>();
        let classes =
            lines(|model| format!("- {{name: Premium, model: {model}, priority: 1, slo-itl: 13, slo-ttw: 500}}\n"));
        let profiles = lines(|model| {
            format!("- {{model: {model}, accelerator: A100, alpha: 11.45, beta: 0.0856, gamma: 0.00049}}\n")
        });
        let data = json!({ "serviceClasses": classes, "profiles": profiles });
        let maps = namespaced::<ConfigMap>(client, &self.namespace(0));
        create(&maps, "ConfigMap", json!({ "metadata": { "name": "serviceclass" }, "data": data })).await?;
        Ok(())
    }

    /// Makes everything.
    ///
    /// # Errors
    /// At the first object that is refused.
    pub async fn create(&self, client: &Client) -> Result<(), Error> {
        for namespace in 0..NAMESPACES {
            let namespaces = Api::<Namespace>::all(client.clone());
            let name = self.namespace(namespace);
            let body = json!({ "metadata": { "name": name } });
            create(&namespaces, "Namespace", body).await?;
        }
        self.add(client, 0..self.variants).await
    }

    /// Makes these variants with their targets; their namespaces are there.
    ///
    /// # Errors
    /// At the first object that is refused.
    pub async fn add(&self, client: &Client, variants: Range<usize>) -> Result<(), Error> {
        stream::iter(variants).map(Ok).try_for_each_concurrent(AT_ONCE, |variant| self.variant(client, variant)).await
    }

    async fn variant(&self, client: &Client, variant: usize) -> Result<(), Error> {
        self.watched(client, variant).await?;
        self.target(client, variant).await
    }

    /// Makes the `VariantAutoscaling` and the HPA of a variant, without its target.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn watched(&self, client: &Client, variant: usize) -> Result<(), Error> {
        let (namespace, name) = (self.namespace(variant), self.name(variant));
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": name });
        let body = json!({
            "apiVersion": "llmd.ai/v1alpha1", "kind": "VariantAutoscaling",
            "metadata": { "name": name, "labels": { "inference.optimization/acceleratorName": "A100" } },
            "spec": { "scaleTargetRef": target, "modelID": self.model(variant), "variantCost": "40" },
        });
        create(&namespaced::<VariantAutoscaling>(client, &namespace), "VariantAutoscaling", body).await?;
        let metric = json!({
            "type": "External",
            "external": {
                "metric": { "name": "wva_desired_replicas", "selector": { "matchLabels": { "variant_name": name } } },
                "target": { "type": "AverageValue", "averageValue": "1" },
            },
        });
        let body = json!({
            "metadata": { "name": name },
            "spec": { "scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 50, "metrics": [metric] },
        });
        create(&namespaced::<HorizontalPodAutoscaler>(client, &namespace), "HorizontalPodAutoscaler", body).await?;
        Ok(())
    }

    /// Makes the target of a variant with its `ReplicaSet` and its ready pods.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn target(&self, client: &Client, variant: usize) -> Result<(), Error> {
        let (namespace, name) = (self.namespace(variant), self.name(variant));
        let template = pod_template(&name);
        let body = json!({
            "metadata": { "name": name },
            "spec": {
                "replicas": self.pods,
                "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": template },
            },
        });
        let deployments = namespaced::<Deployment>(client, &namespace);
        let deployment = create(&deployments, "Deployment", body).await?;
        let counts = json!({ "replicas": self.pods, "readyReplicas": self.pods, "availableReplicas": self.pods });
        set_status(&deployments, "Deployment", &name, counts.clone()).await?;
        let body = json!({
            "metadata": { "name": name, "ownerReferences": [owner("Deployment", &name, deployment.metadata.uid.as_ref())] },
            "spec": {
                "replicas": self.pods,
                "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": template },
            },
        });
        let replica_set = create(&namespaced::<ReplicaSet>(client, &namespace), "ReplicaSet", body).await?;
        let pods = namespaced::<Pod>(client, &namespace);
        let owner = owner("ReplicaSet", &name, replica_set.metadata.uid.as_ref());
        for pod in 0..self.pods {
            let pod_name = self.pod(variant, pod);
            let metadata = json!({ "name": pod_name, "labels": { "app": name }, "ownerReferences": [owner] });
            create(&pods, "Pod", json!({ "metadata": metadata, "spec": template })).await?;
            let ready = json!({ "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
            set_status(&pods, "Pod", &pod_name, json!({ "phase": "Running", "conditions": [ready] })).await?;
        }
        Ok(())
    }
}

/// As much of a vLLM pod as a real one brings along: memory of the controller is measured on it.
fn pod_template(name: &str) -> Value {
    json!({
        "containers": [{
            "name": "vllm", "image": "vllm/vllm-openai:v0.11.0",
            "args": ["--model", name, "--max-num-seqs", "256", "--gpu-memory-utilization", "0.9"],
            "ports": [{ "containerPort": 8000, "name": "http" }],
            "resources": { "limits": { "nvidia.com/gpu": "1" }, "requests": { "nvidia.com/gpu": "1" } },
            "readinessProbe": { "httpGet": { "path": "/health", "port": "http" } },
        }],
    })
}

fn owner(kind: &str, name: &str, uid: Option<&String>) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true })
}

/// The API of one kind in a namespace.
pub fn namespaced<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client.clone(), namespace)
}

async fn create<K>(api: &Api<K>, kind: &'static str, body: Value) -> Result<K, Error>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error { kind, name: name.clone(), source };
    let object: K = serde_json::from_value(body).map_err(|error| failed(error.into()))?;
    api.create(&PostParams::default(), &object).await.map_err(|error| failed(error.into()))
}

async fn set_status<K>(api: &Api<K>, kind: &'static str, name: &str, status: Value) -> Result<(), Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let patch = Patch::Merge(json!({ "status": status }));
    let patched = api.patch_status(name, &PatchParams::default(), &patch).await;
    patched.map(drop).map_err(|source| Error { kind, name: name.to_owned(), source: source.into() })
}
