//! The node agent: makes a machine without containers look like a Kubernetes node.
//!
//! It registers a Node, possibly with accelerators that exist only on paper, and runs each pod bound to it: every
//! container is a local process, chosen by its image ([`Images`]), on a loopback address of the pod's own. Like the
//! kubelet it probes, restarts with back-off, stops with grace, reports status and events, and serves logs.
//!
//! What differs from a container, and has to be known by whoever writes manifests for it:
//! - The image decides what runs. The first word of `command` is ignored, the other words and `args` are kept.
//! - There is no network namespace. A process should listen on the address in `BIND_HOST`, the pod's IP.
//! - Where the agent may mount (as root), each process has a mount namespace with its volumes and its service account at
//!   their places; a volume that would hide the program, and all of them elsewhere, are directories of this machine: a
//!   mount path at the start of a path in `command`, `args` or an env value is replaced by the directory. Volumes are
//!   filled when the pod starts. Everything else of the file system is the machine's.
//! - A client finds the API server as in every cluster, by `KUBERNETES_SERVICE_HOST` and the service account; where that
//!   cannot be mounted, through `KUBECONFIG`.
//! - Nothing limits what a process uses: requests and limits only count for scheduling.
//! - Probes are `httpGet` and `tcpSocket`; others count as successful, with an event that says so.

mod account;
mod backoff;
mod client;
mod config;
mod container;
mod downward;
mod env;
mod exec;
mod expand;
mod images;
mod invocation;
mod ip_pool;
mod launch;
mod log_file;
mod log_reader;
mod log_store;
mod mount_namespace;
mod paths;
mod pod_context;
mod port_forward;
mod probe;
mod process;
mod reaper;
mod register;
mod runs;
mod server;
mod sources;
mod stats;
mod status;
mod streams;
mod tally;
mod terminal;
mod usage;
mod view;
mod volumes;
mod worker;

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::api::resource::Quantity};
use kube::{Api, Client, ResourceExt, runtime::watcher};
use tokio::{sync::watch, task::JoinSet};
use tracing::{Instrument, info, info_span};

pub use self::{
    account::ApiAddress,
    config::{InvalidNode, NodeConfig},
    images::{Images, InvalidMapping, Mapping, Program},
    ip_pool::IpPool,
};
use self::{log_store::LogStore, reaper::Reaper, runs::Runs, server::Served, worker::Wish};
use crate::{
    machinery::{cache::Cache, events::Recorder},
    supervision,
};

/// Why a node agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guard process does not start.
    #[error("starting the guard of node {node} (/bin/sh): {source}")]
    Guard {
        /// The node.
        node: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address is not available.
    #[error("listening on {address} for node {node}: {source}; is another cluster using this network?")]
    Listen {
        /// The node.
        node: String,
        /// The address.
        address: Ipv4Addr,
        /// What the system said.
        source: crate::serving::Error,
    },
    /// The HTTP client for probes cannot be set up.
    #[error("setting up the probe client of node {node}: {source}")]
    Probes {
        /// The node.
        node: String,
        /// What is wrong.
        source: reqwest::Error,
    },
    /// The API server refuses the Node.
    #[error("registering node {node}: {source}")]
    Register {
        /// The node.
        node: String,
        /// What the server said.
        source: Box<kube::Error>,
    },
}

/// What an agent needs.
#[derive(Clone)]
pub struct Options {
    /// The agent's own access to the API server.
    pub client: Client,
    /// How pods reach the API server.
    pub api: ApiAddress,
    /// The node.
    pub config: NodeConfig,
    /// What runs for which image.
    pub images: Images,
    /// Where pods get their addresses from; agents of one cluster share it.
    pub ips: IpPool,
    /// The node's own address, where it serves logs.
    pub address: Ipv4Addr,
    /// Volumes and logs go below this directory.
    pub work_dir: PathBuf,
    /// The first wait of a container that keeps failing; Kubernetes takes 10 s. It doubles up to 30 times that.
    pub crash_backoff: Duration,
}

/// What the workers of all pods share.
struct Agent {
    client: Client,
    api: ApiAddress,
    images: Images,
    ips: IpPool,
    address: Ipv4Addr,
    work_dir: PathBuf,
    crash_backoff: Duration,
    allocatable: BTreeMap<String, Quantity>,
    recorder: Recorder,
    logs: Arc<LogStore>,
    runs: Arc<Runs>,
    http: reqwest::Client,
    reaper: Reaper,
    pods: Cache<Pod>,
    /// The longest grace pods get, once the agent is told to stop.
    shutdown: watch::Sender<Option<Duration>>,
}

/// A running agent. Dropping it kills every process it started; [`NodeAgent::stop`] ends them in order.
pub struct NodeAgent {
    agent: Arc<Agent>,
    workers: tokio::task::JoinHandle<()>,
    _tasks: JoinSet<()>,
}

impl NodeAgent {
    /// Registers the node and starts running what is bound to it.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { client, api, config, images, ips, address, work_dir, crash_backoff } = options;
        let node = config.name.clone();
        let mut tasks = JoinSet::new();
        mount_namespace::is_permitted();
        let reaper = Reaper::start().map_err(|source| Error::Guard { node: node.clone(), source })?;
        let http = probe::client().map_err(|source| Error::Probes { node: node.clone(), source })?;
        let logs = Arc::new(LogStore::default());
        let runs = Arc::new(Runs::default());
        let reachable =
            Served { node: node.clone(), logs: Arc::clone(&logs), runs: Arc::clone(&runs), reaper: reaper.clone() };
        let server = server::start(address, reachable, &mut tasks).await.map_err(|source| Error::Listen {
            node: node.clone(),
            address,
            source,
        })?;
        register::register(&client, &config, server, address)
            .await
            .map_err(|source| Error::Register { node: node.clone(), source: Box::new(source) })?;
        let on_this_node = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
        let agent = Arc::new(Agent {
            api,
            images,
            ips,
            address,
            work_dir: work_dir.join(&node),
            crash_backoff,
            allocatable: config.capacity(),
            recorder: Recorder::start(client.clone(), "kubelet", Some(node.clone()), &mut tasks),
            logs,
            runs,
            http,
            reaper,
            pods: Cache::start(Api::all(client.clone()), on_this_node, &mut tasks),
            shutdown: watch::Sender::new(None),
            client: client.clone(),
        });
        tasks.spawn(supervision::endless(
            format!("heartbeat of node {node}"),
            register::beat(client, config, server, address),
        ));
        let span = info_span!("node", name = node);
        let worker = supervision::named(format!("agent of node {node}"), dispatch(Arc::clone(&agent)));
        let workers = tokio::spawn(worker.instrument(span));
        info!(node, %server, "Node registered");
        Ok(Self { agent, workers, _tasks: tasks })
    }

    /// Stops all pods, each within its own grace period but not longer than `grace`, then the agent. Pod objects stay
    /// as they are.
    pub async fn stop(mut self, grace: Duration) {
        /// For processes that had to be killed, and their output.
        const MARGIN: Duration = Duration::from_secs(3);
        self.agent.shutdown.send_replace(Some(grace));
        // On a timeout the drop below kills what is left.
        let _ = tokio::time::timeout(grace + MARGIN, &mut self.workers).await;
    }
}

impl Drop for NodeAgent {
    fn drop(&mut self) {
        self.workers.abort();
    }
}

/// Gives each pod on the node its worker, and tells the worker what happens to the pod.
async fn dispatch(agent: Arc<Agent>) {
    let mut changes = agent.pods.changes().boxed();
    let mut shutdown = agent.shutdown.subscribe();
    let mut wishes: HashMap<String, watch::Sender<Wish>> = HashMap::new();
    let mut workers = JoinSet::new();
    loop {
        let change = tokio::select! {
            Some(change) = changes.next() => change,
            Some(_) = workers.join_next() => continue,
            _ = shutdown.wait_for(Option::is_some) => break,
        };
        let uid = |pod: &Arc<Pod>| pod.uid().unwrap_or_default();
        let (old, new) = (change.old.as_ref().map(uid), change.new.as_ref().map(uid));
        if let Some(gone) = old.filter(|old| new.as_ref() != Some(old))
            && let Some(wish) = wishes.remove(&gone)
        {
            wish.send_replace(Wish::Gone);
        }
        let (Some(uid), Some(pod)) = (new, change.new) else { continue };
        if let Some(wish) = wishes.get(&uid) {
            wish.send_replace(Wish::Exists(pod));
        } else {
            let (sender, receiver) = watch::channel(Wish::Exists(Arc::clone(&pod)));
            wishes.insert(uid, sender);
            let span = info_span!("pod", namespace = pod.namespace().unwrap_or_default(), name = pod.name_any());
            workers.spawn(worker::run(Arc::clone(&agent), pod, receiver).instrument(span));
        }
    }
    while workers.join_next().await.is_some() {}
}
