//! The embedded cluster: API server, controllers and nodes in this process, pods as processes of this machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::future::BoxFuture;
use kubesim::apiserver::Control;
use kubesim::cluster::{self, Cluster as Kubesim};

use super::{Capability, Cluster, Error, Facts, Monitoring, PodAccess, Provider, images, nodes};
use crate::environment::Settings;

/// Port Prometheus is known by.
pub(super) const PROMETHEUS_PORT: u16 = 9090;
/// Port of the adapter.
pub(super) const ADAPTER_PORT: u16 = 6443;

/// Starts embedded clusters.
#[derive(Clone, Copy, Debug)]
pub struct Embedded;

/// A running one.
struct Running {
    cluster: Kubesim,
    facts: Facts,
}

impl Provider for Embedded {
    fn start<'a>(
        &'a self,
        settings: &'a Settings,
        progress: &'a mut (dyn FnMut(&str) + Send),
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, Error>> {
        Box::pin(async move {
            let cluster = Kubesim::start(cluster::Options {
                nodes: nodes(settings.gpus_per_node),
                images: images(settings.controller.as_deref())?,
                hpa_sync_period: settings.hpa_sync_period,
                crash_backoff: settings.crash_backoff,
                authorization: settings.authorization,
                work_dir: Some(settings.dir.join("cluster")),
                ..cluster::Options::default()
            })
            .await?;
            progress(&format!("Kubernetes API at {}", cluster.url()));
            let facts = facts(&cluster);
            Ok(Box::new(Running { cluster, facts }) as Box<dyn Cluster>)
        })
    }
}

fn facts(cluster: &Kubesim) -> Facts {
    let [prometheus, adapter] = beside(cluster.network());
    Facts {
        provider: "embedded".to_owned(),
        kubeconfig: cluster.kubeconfig_path().to_owned(),
        monitoring: Monitoring::Beside { prometheus, adapter },
        pods: PodAccess::Direct,
        temporary: true,
        capabilities: BTreeSet::from([
            Capability::Faults,
            Capability::RequestRecord,
            Capability::OwnCluster,
            Capability::LocalPods,
            Capability::QuickHpa,
        ]),
        pace: 1,
    }
}

/// Addresses for Prometheus and the adapter in a cluster's loopback network.
pub(super) fn beside([a, b]: [u8; 2]) -> [SocketAddr; 2] {
    let own = |host: u8, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, host)), port);
    [own(2, PROMETHEUS_PORT), own(3, ADAPTER_PORT)]
}

impl Cluster for Running {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn control(&self) -> Option<Control> {
        Some(self.cluster.control())
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.cluster.shutdown().await })
    }
}
