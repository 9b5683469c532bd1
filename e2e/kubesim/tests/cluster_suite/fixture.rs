//! A cluster for one test, and ways to wait for what it does.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Pod},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, PostParams},
    runtime::wait::{Condition, await_condition},
};
use kubesim::apiserver::Gates;
use kubesim::cluster::{Cluster, Options};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::cluster;

/// Plenty for anything here; nothing waits this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const NAMESPACE: &str = "default";

/// A cluster with typed access to its default namespace.
pub(crate) struct TestCluster {
    pub(crate) cluster: Cluster,
}

impl TestCluster {
    pub(crate) async fn start() -> Self {
        Self { cluster: cluster::start().await }
    }

    /// A cluster whose HPAs may have a minimum of zero.
    pub(crate) async fn start_with_zero() -> Self {
        let gates = Gates { hpa_scale_to_zero: true };
        Self { cluster: Cluster::start(Options { gates, ..cluster::options() }).await.unwrap() }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client(), NAMESPACE)
    }

    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
    {
        self.api().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
    }

    /// Waits until the object fulfils the condition, and returns it (`None` if its absence does).
    pub(crate) async fn until<K>(&self, name: &str, what: &str, condition: impl Condition<K>) -> Option<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let reached = tokio::time::timeout(PATIENCE, await_condition(self.api::<K>(), name, condition)).await;
        let Ok(object) = reached else {
            panic!("{name}: not {what} after {PATIENCE:?}; events: {:#?}", self.events(name).await);
        };
        object.unwrap()
    }

    /// Reasons and messages of the events about an object.
    pub(crate) async fn events(&self, name: &str) -> Vec<String> {
        let events = self.api::<Event>().list(&ListParams::default()).await.unwrap();
        let about = events.items.into_iter().filter(|event| event.involved_object.name.as_deref() == Some(name));
        about
            .map(|event| format!("{}: {}", event.reason.unwrap_or_default(), event.message.unwrap_or_default()))
            .collect()
    }

    pub(crate) async fn pods(&self, app: &str) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default().labels(&format!("app={app}"))).await.unwrap().items
    }

    pub(crate) async fn shutdown(self) {
        self.cluster.shutdown().await;
    }
}

/// Polls what no watch tells, such as the processes of this machine.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polled = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, polled).await.is_ok(), "not {what} after {PATIENCE:?}");
}

/// A pod specification with one container that runs a shell script.
pub(crate) fn shell(script: &str) -> Value {
    json!({
        "terminationGracePeriodSeconds": 5,
        "containers": [{"name": "main", "image": "example/shell:v1", "args": ["-c", script]}],
    })
}

pub(crate) fn deployment(name: &str, replicas: i32, spec: &Value) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    })
}

pub(crate) fn pod(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
}

/// A text for command lines by which processes of one test are found among all others.
pub(crate) fn marker() -> String {
    format!("marker-{}", uuid::Uuid::new_v4())
}

/// How many processes have the marker in their command line.
pub(crate) fn processes(marker: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(marker)).count()
}

/// A script that runs until it is told to stop; `marker` stays in its command line.
pub(crate) fn forever(marker: &str) -> String {
    format!(": {marker}; trap 'exit 0' TERM; while true; do sleep 0.1; done")
}

pub(crate) fn is_ready(pod: Option<&Pod>) -> bool {
    pod.is_some_and(ready)
}

pub(crate) fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) fn is_gone<K>(object: Option<&K>) -> bool {
    object.is_none()
}

pub(crate) fn names(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(ResourceExt::name_any).collect()
}
