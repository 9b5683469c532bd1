//! `metrics.k8s.io`: what pods and nodes use, for `kubectl top` and for autoscalers on resources.
//!
//! As in a real cluster it is an aggregated API of its own, that may be there or not. It asks the nodes for what their
//! processes have used, and tells the difference between the last two answers.

mod api;
mod samples;

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{Endpoints, Node, Pod, Service},
        rbac::v1::ClusterRole,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client, Resource, ResourceExt, api::PostParams, runtime::watcher};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::samples::Samples;
use crate::machinery::cache::Cache;
use crate::serving::{self, Identity};

/// Where its Service is.
const NAMESPACE: &str = "kube-system";
const NAME: &str = "metrics-server";

/// Why there is no metrics server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address is not available.
    #[error("listening on {address} for the metrics server: {source}")]
    Listen {
        /// The address.
        address: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It has no certificate.
    #[error("the metrics server: {0}")]
    Tls(#[from] serving::Error),
    /// The client that asks nodes cannot be set up.
    #[error("setting up the client of the metrics server: {0}")]
    Client(#[source] reqwest::Error),
    /// The API server refuses what makes it known.
    #[error("registering the metrics server: {0}")]
    Register(#[source] Box<kube::Error>),
}

/// What requests are answered from.
struct Shared {
    samples: Mutex<Samples>,
    pods: Cache<Pod>,
    nodes: Cache<Node>,
}

impl Shared {
    fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running metrics server; it stops when this is dropped.
pub(crate) struct MetricsServer {
    _tasks: JoinSet<()>,
}

impl MetricsServer {
    /// Listens on a free port of `address`, asks all nodes every `resolution`, and registers with the API server.
    pub(crate) async fn start(client: Client, address: IpAddr, resolution: Duration) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = std::net::TcpListener::bind((address, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(Error::Client)?;
        let mut tasks = JoinSet::new();
        let all = watcher::Config::default;
        let shared = Arc::new(Shared {
            samples: Mutex::default(),
            pods: Cache::start(Api::all(client.clone()), all(), &mut tasks),
            nodes: Cache::start(Api::all(client.clone()), all(), &mut tasks),
        });
        let identity = Identity::generate(&format!("{NAME}.{NAMESPACE}.svc"))?;
        let serving = identity.serve(listener, api::router(Arc::clone(&shared))).await?;
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::warn!(%error, "The metrics server ended");
            }
        });
        tasks.spawn(scrape(shared, http, resolution));
        register(&client, address, port, &identity).await.map_err(|error| Error::Register(Box::new(error)))?;
        Ok(Self { _tasks: tasks })
    }
}

async fn scrape(shared: Arc<Shared>, http: reqwest::Client, resolution: Duration) {
    let mut ticks = tokio::time::interval(resolution);
    loop {
        ticks.tick().await;
        for node in shared.nodes.list() {
            let Some(url) = url(&node) else { continue };
            let answer = async { http.get(url).timeout(resolution).send().await?.json::<Value>().await }.await;
            match answer {
                Ok(summary) => shared.samples().add(&node.name_any(), &summary, Timestamp::now()),
                Err(error) => tracing::debug!(node = node.name_any(), %error, "Node not asked for its use"),
            }
        }
        let nodes: Vec<String> = shared.nodes.list().iter().map(|node| node.name_any()).collect();
        shared.samples().forget_all_but(&nodes);
    }
}

/// Where a node tells what it uses.
fn url(node: &Node) -> Option<String> {
    let status = node.status.as_ref()?;
    let address = status.addresses.iter().flatten().find(|address| address.type_ == "InternalIP")?;
    let port = status.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?.port;
    Some(format!("https://{}:{port}/stats/summary", address.address))
}

async fn register(client: &Client, address: IpAddr, port: u16, identity: &Identity) -> Result<(), kube::Error> {
    let metadata = json!({"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME}});
    let ports = json!([{"name": "https", "port": port}]);
    let in_namespace = || Api::namespaced(client.clone(), NAMESPACE);
    create::<Service>(&in_namespace(), json!({"metadata": metadata, "spec": {"ports": ports}})).await?;
    let subsets = json!([{"addresses": [{"ip": address}], "ports": ports}]);
    let endpoints = Api::namespaced(client.clone(), NAMESPACE);
    create::<Endpoints>(&endpoints, json!({"metadata": metadata, "subsets": subsets})).await?;
    let reader = json!({
        "metadata": {"name": "system:aggregated-metrics-reader", "labels": {
            "k8s-app": NAME,
            "rbac.authorization.k8s.io/aggregate-to-admin": "true",
            "rbac.authorization.k8s.io/aggregate-to-edit": "true",
            "rbac.authorization.k8s.io/aggregate-to-view": "true",
        }},
        "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    });
    create::<ClusterRole>(&Api::all(client.clone()), reader).await?;
    let service = json!({
        "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": {"k8s-app": NAME}},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"namespace": NAMESPACE, "name": NAME, "port": port},
            "caBundle": identity.bundle(),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    });
    create::<APIService>(&Api::all(client.clone()), service).await
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    match api.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(error),
    }
}
