//! `PROVIDER=kind`: a cluster for the run, with the suites' images in its nodes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};

use super::config::{Config, GpuNode};
use super::{KindCluster, Limits, Options, images};
use crate::environment::Settings;
use crate::providers::{Capability, Cluster, Error, Facts, Monitoring, PodAccess, Provider};
use crate::workload::{A100, H100};
use crate::{monitoring, programs};

/// Node image, as `kindest/node:v1.35.0`.
const IMAGE: &str = "KIND_IMAGE";
/// A file with a patch of kubeadm's configuration.
const KUBEADM_PATCH: &str = "KIND_KUBEADM_PATCH";
/// A file with a patch of containerd's configuration.
const CONTAINERD_PATCH: &str = "KIND_CONTAINERD_PATCH";
/// Name of the cluster; one of its own for each run when it is not set.
const NAME: &str = "KIND_CLUSTER";

/// Makes kind clusters.
#[derive(Clone, Copy, Debug)]
pub struct Kind;

/// A running one.
struct Running {
    cluster: KindCluster,
    facts: Facts,
}

impl Provider for Kind {
    fn start<'a>(
        &'a self,
        settings: &'a Settings,
        progress: &'a mut (dyn FnMut(&str) + Send),
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, Error>> {
        Box::pin(async move {
            let dir = settings.dir.join("kind");
            let archives = images::write_all(&dir.join("images"), settings.controller.as_deref()).map_err(Box::new)?;
            progress(&format!("{} images for the nodes are written", archives.len()));
            let options = options(settings)?;
            let cluster = KindCluster::create(&name(), &dir, options, &mut *progress).await.map_err(Box::new)?;
            // From here on a failure drops the cluster, which removes it.
            cluster.load(&archives).await.map_err(Box::new)?;
            progress("The images are in the nodes");
            let facts = facts(&cluster).await?;
            Ok(Box::new(Running { cluster, facts }) as Box<dyn Cluster>)
        })
    }
}

fn options(settings: &Settings) -> Result<Options, Error> {
    let worker = |gpu: crate::workload::Gpu| GpuNode {
        gpus: settings.gpus_per_node,
        product: gpu.product.to_owned(),
        memory_mib: gpu.memory_mib,
    };
    Ok(Options {
        kind: programs::kind()?,
        path: None,
        image: variable(IMAGE),
        config: Config {
            workers: vec![worker(A100), worker(H100)],
            // The suites of scale to zero need it; it is off by default.
            feature_gates: vec!["HPAScaleToZero".to_owned()],
            hpa_sync_period: Some(settings.hpa_sync_period),
            kubeadm_patches: patch(KUBEADM_PATCH)?,
            containerd_patches: patch(CONTAINERD_PATCH)?,
            ..Config::default()
        },
        limits: Limits::default(),
    })
}

/// What an environment variable holds, if anything.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The content of the file that an environment variable names.
fn patch(variable_name: &'static str) -> Result<Vec<String>, Error> {
    let Some(path) = variable(variable_name).map(PathBuf::from) else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(&path);
    Ok(vec![text.map_err(|source| Box::new(super::Error::Patch { variable: variable_name, path, source }))?])
}

/// Two runs at once, on one machine, have clusters of different names.
fn name() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    variable(NAME).unwrap_or_else(|| format!("wva-{}-{:x}", std::process::id(), since.subsec_nanos()))
}

async fn facts(cluster: &KindCluster) -> Result<Facts, Error> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let failed = |source| Error::Connect { kubeconfig: cluster.kubeconfig(), source };
    let list = nodes.list(&ListParams::default()).await.map_err(|error| failed(error.into()))?;
    let addresses = list.items.into_iter().filter_map(|node| node.status?.addresses).flatten();
    let address =
        addresses.filter(|address| address.type_ == "InternalIP").find_map(|address| address.address.parse().ok());
    let address = address.ok_or_else(|| failed("no node has an internal IP address".into()))?;
    Ok(Facts {
        provider: "kind".to_owned(),
        kubeconfig: cluster.kubeconfig(),
        monitoring: Monitoring::Inside { prometheus: SocketAddr::new(address, monitoring::NODE_PORT) },
        pods: PodAccess::ApiProxy,
        temporary: true,
        capabilities: BTreeSet::from([Capability::QuickHpa]),
        pace: 3,
    })
}

impl Cluster for Running {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn collect<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.cluster.export_logs(&dir.join("nodes")).await {
                let note = format!("The logs of the nodes could not be fetched: {error}\n");
                // The folder is the caller's; where it cannot be written nothing can.
                let _ = std::fs::write(dir.join("nodes.txt"), note);
            }
        })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let name = self.cluster.name().to_owned();
            if let Err(error) = self.cluster.delete().await {
                tracing::error!(%error, "A kind cluster is left behind; remove it: kind delete cluster --name {name}");
            }
        })
    }
}
