//! A cluster that was there before: whatever `KUBECONFIG` points at.
//!
//! With `NODES=agent` this process brings the nodes as well: our node agent registers GPU nodes through the API, with
//! the rights of the kubeconfig, and runs the pods bound to them as processes of this machine; where nobody binds pods, our
//! scheduler does. So the suites run on a control plane that has no nodes at all, and no scheduler.
//!
//! What else is known of the cluster has to be said, for nothing of it can be seen through the Kubernetes API:
//! `CAPABILITIES=requestRecord,quickHpa` names its [`Capability`]s, and `PACE=3` how many times longer than on the
//! embedded cluster everything takes (3 if not given).

mod network;
mod scheduler;

use std::collections::BTreeSet;
use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DeleteParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use kubesim::controllers::Controllers;
use kubesim::node::{self, ApiAddress, IpPool, NodeAgent};

use self::network::Network;
use super::embedded::beside;
use super::{Capability, Cluster, Error, Facts, Monitoring, PodAccess, Provider, images, nodes};
use crate::environment::Settings;

/// How long pods get to end when our nodes go, whatever their own grace period.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
/// The last octet of our first node.
const FIRST_NODE: u8 = 10;
/// What the container runtime versions of our nodes begin with.
const PROCESSES: &str = "process://";
/// How many times longer everything takes where nobody says so.
const PACE: u32 = 3;

/// Connects to the cluster of `KUBECONFIG`.
#[derive(Clone, Copy, Debug)]
pub struct Existing;

/// A connection, and the nodes that came with it.
struct Running {
    client: Client,
    facts: Facts,
    agents: Vec<NodeAgent>,
    names: Vec<String>,
    _scheduler: Option<Controllers>,
    /// Nobody else takes the network in which pods, Prometheus and the adapter are.
    _network: Network,
}

/// What the environment says of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Misconfigured {
    /// No kubeconfig.
    #[error("PROVIDER=existing needs KUBECONFIG, the kubeconfig of the cluster; nothing was changed anywhere")]
    NoKubeconfig,
    /// Something else than `agent`.
    #[error("NODES={0} is neither empty (the cluster's own nodes) nor `agent` (nodes of this machine's processes)")]
    Nodes(String),
    /// A capability nobody knows.
    #[error("CAPABILITIES: {0}")]
    Capability(String),
    /// Not a number.
    #[error("PACE={0} is not a whole number above zero")]
    Pace(String),
    /// No network for pods.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// No scheduler.
    #[error(transparent)]
    Scheduler(#[from] scheduler::Error),
    /// The nodes there are run containers, which do not reach this machine's loopback.
    #[error(
        "the nodes of the cluster ({0}) run containers, which cannot reach Prometheus on this machine's loopback; use \
         NODES=agent, or PROVIDER=kind for a cluster with monitoring in it"
    )]
    Containers(String),
    /// A node agent.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The cluster does not answer.
    #[error("listing the nodes of the cluster: {0}")]
    List(#[source] kube::Error),
}

impl Provider for Existing {
    fn start<'a>(
        &'a self,
        settings: &'a Settings,
        progress: &'a mut (dyn FnMut(&str) + Send),
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, Error>> {
        Box::pin(connect(settings, progress))
    }
}

async fn connect(settings: &Settings, progress: &mut (dyn FnMut(&str) + Send)) -> Result<Box<dyn Cluster>, Error> {
    let kubeconfig = env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).ok_or(Misconfigured::NoKubeconfig)?;
    let agent = match env::var("NODES").unwrap_or_default().as_str() {
        "" => false,
        "agent" => true,
        other => return Err(Misconfigured::Nodes(other.to_owned()).into()),
    };
    attach(PathBuf::from(kubeconfig), agent, settings, progress).await
}

/// Connects to the cluster of a kubeconfig, with our own nodes or with those it has.
pub(super) async fn attach(
    kubeconfig: PathBuf,
    agent: bool,
    settings: &Settings,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Box<dyn Cluster>, Error> {
    let failed = |source| Error::Connect { kubeconfig: kubeconfig.clone(), source };
    let file = Kubeconfig::read_from(&kubeconfig).map_err(|error| failed(error.into()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let config = config.map_err(|error| failed(error.into()))?;
    let client = Client::try_from(config.clone()).map_err(|error| failed(error.into()))?;
    progress(&format!("Kubernetes API at {}", config.cluster_url));

    let network = Network::claim(&client).await.map_err(Misconfigured::from)?;
    let mut agents = Vec::new();
    let mut names = Vec::new();
    let mut scheduler = None;
    if agent {
        (agents, names) = start_agents(settings, &client, &api_address(&config), network.octets()).await?;
        progress(&format!("Nodes of this machine's processes: {}", names.join(", ")));
        scheduler = match scheduler::unless_there_is_one(&client).await {
            Ok(ours) => ours,
            Err(error) => {
                leave(&client, agents, &names).await;
                return Err(Misconfigured::from(error).into());
            }
        };
        if scheduler.is_some() {
            progress("Nobody binds pods to nodes in this cluster: our scheduler does");
        }
    } else {
        runs_processes(&client).await?;
    }
    let [prometheus, adapter] = beside(network.octets());
    let mut capabilities = declared(&env::var("CAPABILITIES").unwrap_or_default())?;
    capabilities.insert(Capability::LocalPods);
    let facts = Facts {
        provider: "existing".to_owned(),
        kubeconfig,
        monitoring: Monitoring::Beside { prometheus, adapter },
        pods: PodAccess::Direct,
        temporary: false,
        capabilities,
        pace: pace(&env::var("PACE").unwrap_or_default())?,
    };
    Ok(Box::new(Running { client, facts, agents, names, _scheduler: scheduler, _network: network }))
}

/// How pods of our nodes reach the API server: as we do.
fn api_address(config: &Config) -> ApiAddress {
    let certificate = |der: &Vec<u8>| {
        let encoded = k8s_openapi::ByteString(der.clone());
        let text = serde_json::to_value(&encoded).ok().and_then(|value| value.as_str().map(str::to_owned));
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text.unwrap_or_default())
    };
    let ca = config.root_cert.as_ref().map(|all| all.iter().map(certificate).collect::<String>().into_bytes());
    ApiAddress { url: config.cluster_url.to_string().trim_end_matches('/').to_owned(), ca }
}

async fn start_agents(
    settings: &Settings,
    client: &Client,
    api: &ApiAddress,
    [a, b]: [u8; 2],
) -> Result<(Vec<NodeAgent>, Vec<String>), Error> {
    let images = images(settings.controller.as_deref())?;
    let ips = IpPool::new([a, b]);
    let (mut agents, mut names) = (Vec::new(), Vec::new());
    for (last, config) in (FIRST_NODE..).zip(nodes(settings.gpus_per_node)) {
        names.push(config.name.clone());
        let options = node::Options {
            client: client.clone(),
            api: api.clone(),
            config,
            images: images.clone(),
            ips: ips.clone(),
            address: Ipv4Addr::new(a, b, 0, last),
            work_dir: settings.dir.join("nodes"),
            crash_backoff: settings.crash_backoff,
        };
        match NodeAgent::start(options).await {
            Ok(agent) => agents.push(agent),
            Err(error) => {
                leave(client, agents, &names).await;
                return Err(Misconfigured::from(error).into());
            }
        }
    }
    Ok((agents, names))
}

/// Refuses nodes whose pods would not find Prometheus.
async fn runs_processes(client: &Client) -> Result<(), Misconfigured> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes.list(&ListParams::default()).await.map_err(Misconfigured::List)?;
    let runtime = |node: Node| node.status?.node_info.map(|info| info.container_runtime_version);
    let runtimes: BTreeSet<String> = nodes.items.into_iter().filter_map(runtime).collect();
    let ours = !runtimes.is_empty() && runtimes.iter().all(|runtime| runtime.starts_with(PROCESSES));
    if ours { Ok(()) } else { Err(Misconfigured::Containers(runtimes.into_iter().collect::<Vec<_>>().join(", "))) }
}

/// Reads `requestRecord,quickHpa`.
fn declared(text: &str) -> Result<BTreeSet<Capability>, Misconfigured> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let parse = |name: &str| serde_json::from_value(name.into());
    names.map(parse).collect::<Result<_, _>>().map_err(|error| Misconfigured::Capability(error.to_string()))
}

fn pace(text: &str) -> Result<u32, Misconfigured> {
    if text.is_empty() {
        return Ok(PACE);
    }
    text.parse().ok().filter(|pace| *pace > 0).ok_or_else(|| Misconfigured::Pace(text.to_owned()))
}

/// Ends our nodes: pods first, then the Node objects.
async fn leave(client: &Client, agents: Vec<NodeAgent>, names: &[String]) {
    join_all(agents.into_iter().map(|agent| agent.stop(GRACE))).await;
    let nodes: Api<Node> = Api::all(client.clone());
    for name in names {
        match nodes.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => tracing::warn!(%error, "Removing node {name}"),
        }
    }
}

impl Cluster for Running {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        let Self { client, facts: _, agents, names, _scheduler, _network } = *self;
        Box::pin(async move { leave(&client, agents, &names).await })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn capabilities_are_declared_by_name_and_an_unknown_one_is_told() {
        let declared = |text| super::declared(text).map_err(|error| error.to_string());
        assert_eq!(declared(""), Ok(BTreeSet::new()));
        let both = BTreeSet::from([Capability::RequestRecord, Capability::QuickHpa]);
        assert_eq!(declared("requestRecord, quickHpa"), Ok(both));
        let error = declared("teleport").unwrap_err();
        assert!(error.starts_with("CAPABILITIES: unknown variant `teleport`, expected one of"), "{error}");
    }

    #[rstest]
    #[case::none("", Ok(3))]
    #[case::one("1", Ok(1))]
    #[case::zero("0", Err("PACE=0 is not a whole number above zero"))]
    #[case::word("slow", Err("PACE=slow is not a whole number above zero"))]
    fn a_pace_is_a_whole_number(#[case] text: &str, #[case] expected: Result<u32, &str>) {
        assert_eq!(pace(text).map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }
}
