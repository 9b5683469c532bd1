//! What the faults are done to: a controller with a standby, and variants with a load that is pinned.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::Error;
use crate::endpoints::ready_ip;
use crate::environment::Environment;
use crate::instance::{self, Controller, Model};
use crate::wait::{self, Look};
use crate::workload::{A100, Vllm};

/// Namespace of the variants.
pub(super) const NAMESPACE: &str = "faults";
/// Namespace and release of the controller.
const CONTROLLER_NAMESPACE: &str = "wva-faults";
const RELEASE: &str = "wva";
/// Replicas every variant starts with, and needs.
pub(super) const NEEDED: i32 = 2;
/// Replicas a variant needs once its load has risen.
pub(super) const NEEDED_THEN: i32 = 3;
/// Use of the KV cache that two replicas bear and one would not: removing one would leave 120 %.
const STEADY: f64 = 0.6;
/// Use of the KV cache beyond the threshold of 80 %.
const RISEN: f64 = 0.95;
/// How long the installation may take to settle.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that was installed.
pub(super) struct Scene {
    client: Client,
    http: reqwest::Client,
    servers: Vec<Vllm>,
    /// Where the replicas of each are that the installation made.
    addresses: Vec<Vec<IpAddr>>,
}

/// A pod of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ControllerPod {
    pub(super) name: String,
    pub(super) ip: IpAddr,
}

impl Scene {
    /// Installs a controller with a standby and `count` variants, two replicas each.
    pub(super) async fn install(environment: &Environment, count: usize) -> Result<Self, Error> {
        let kubectl = environment.kubectl();
        let prometheus = environment.prometheus();
        let mut controller = Controller::quick(RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url());
        controller.set.extend(
            [
                "wva.replicaCount=2",
                "wva.reconcileInterval=1s",
                "wva.logging.level=debug",
                // Read by the test without a token.
                "wva.metrics.secure=false",
                "wva.leaderElection.leaseDuration=3s",
                "wva.leaderElection.renewDeadline=2s",
                "wva.leaderElection.retryPeriod=500ms",
                "wva.extraArgs[0]=--rest-client-timeout=5s",
            ]
            .map(str::to_owned),
        );
        controller.install(kubectl).await?;
        instance::make_namespace(kubectl, NAMESPACE).await?;
        let servers: Vec<Vllm> = (0..count).map(server).collect();
        let manifests = servers.iter().map(Vllm::manifest).collect::<Result<Vec<_>, _>>()?;
        kubectl.apply(&manifests.join("\n---\n")).await?;
        let client = environment.client();
        let addresses = try_join_all(servers.iter().map(|server| replicas_of(&client, &server.name))).await?;
        let scene = Self { client, http: reqwest::Client::new(), servers, addresses };
        for index in 0..count {
            scene.pin(index, STEADY).await?;
        }
        try_join_all(scene.servers.iter().map(|server| scene.add(environment, server))).await?;
        Ok(scene)
    }

    async fn add(&self, environment: &Environment, server: &Vllm) -> Result<(), Error> {
        let Vllm { name, .. } = server;
        let model = Model { release: name, server, accelerator: A100.name, cost: "10", max: 4, instance: "" };
        model.add(environment.kubectl()).await?;
        Ok(())
    }

    /// Names of the Deployments, by number.
    pub(super) fn deployments(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.name.clone()).collect()
    }

    /// Lets the load of a variant rise to what needs one replica more. Takes no API server.
    pub(super) async fn raise(&self, index: usize) -> Result<(), Error> {
        self.pin(index, RISEN).await
    }

    /// Pins the use of the KV cache on the first replicas of a variant.
    async fn pin(&self, index: usize, usage: f64) -> Result<(), Error> {
        for ip in &self.addresses[index] {
            let server = format!("http://{ip}:8000/admin/config");
            let body = json!({ "kv_cache_usage": usage });
            let sent = self.http.post(&server).json(&body).send().await;
            sent.and_then(reqwest::Response::error_for_status).map_err(|source| Error::Pin { server, source })?;
        }
        Ok(())
    }

    /// The pods of the controller that have an address.
    pub(super) async fn controller_pods(&self) -> Result<Vec<ControllerPod>, kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), CONTROLLER_NAMESPACE);
        let list = pods.list(&ListParams::default().labels("control-plane=controller-manager")).await?;
        let place = |pod: &Pod| {
            let ip = pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()?;
            pod.metadata.deletion_timestamp.is_none().then(|| ControllerPod { name: pod.name_any(), ip })
        };
        Ok(list.items.iter().filter_map(place).collect())
    }

    /// Writes what the controllers have logged to files in `dir`, and says which.
    pub(super) async fn keep_logs(&self, dir: &Path, number: usize) -> Result<Vec<PathBuf>, Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), CONTROLLER_NAMESPACE);
        let mut kept = Vec::new();
        for pod in self.controller_pods().await.map_err(|source| Error::Kube { what: "listing controllers", source })? {
            let log = pods.logs(&pod.name, &LogParams::default()).await;
            let log = log.map_err(|source| Error::Kube { what: "reading the log of a controller", source })?;
            let path = dir.join(format!("fault-{number}-{}.log", pod.name));
            std::fs::write(&path, log).map_err(|source| Error::Log { path: path.clone(), source })?;
            kept.push(path);
        }
        Ok(kept)
    }

    /// Prefix of the user names of the controller.
    pub(super) fn controller_user() -> String {
        format!("system:serviceaccount:{CONTROLLER_NAMESPACE}:*")
    }

    /// Namespace of the controller, and of its Lease.
    pub(super) fn controller_namespace() -> &'static str {
        CONTROLLER_NAMESPACE
    }
}

fn server(index: usize) -> Vllm {
    let name = format!("model-{index}");
    let model_id = format!("example/{name}");
    Vllm { replicas: NEEDED.unsigned_abs(), ..Vllm::new(NAMESPACE, &name, &model_id, A100) }
}

/// Where the replicas of a variant are, once all are ready.
async fn replicas_of(client: &Client, name: &str) -> Result<Vec<IpAddr>, wait::TimedOut> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let params = ListParams::default().labels(&format!("llm-d.ai/model={name}"));
    wait::until(&format!("{NEEDED} replicas of {name} to be ready"), PATIENCE, || async {
        match pods.list(&params).await {
            Ok(list) => {
                let ready: Vec<IpAddr> =
                    list.items.iter().filter_map(ready_ip).filter_map(|ip| ip.parse().ok()).collect();
                if i32::try_from(ready.len()) == Ok(NEEDED) {
                    Look::Done(ready)
                } else {
                    Look::NotYet(format!("{ready:?}"))
                }
            }
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}
