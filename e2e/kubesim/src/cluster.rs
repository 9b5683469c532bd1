//! A whole cluster in one process: API server, controllers and nodes.
//!
//! ```no_run
//! # async fn example() -> Result<(), kubesim::cluster::Error> {
//! use kubesim::{cluster::{Cluster, Options}, node::{Images, NodeConfig, Program}};
//!
//! let options = Options {
//!     nodes: vec![NodeConfig::new("a100-0").with_gpus(4, "NVIDIA-A100-PCIE-80GB", 81_920)],
//!     images: Images::default().with("example/server", Program::new("/usr/local/bin/server")),
//!     ..Options::default()
//! };
//! let cluster = Cluster::start(options).await?;
//! // … use cluster.client(), or run kubectl with KUBECONFIG=cluster.kubeconfig_path() …
//! cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};

use crate::{
    apiserver::{self, AuditOptions, Authorization, Bind, Control, Gates, Server},
    controllers::{self, Controllers},
    metrics_server::{self, MetricsServer},
    node::{self, ApiAddress, Images, IpPool, NodeAgent, NodeConfig},
};

/// How long pods get to end when the cluster stops, whatever their own grace period.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What a cluster consists of and how it behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The nodes; at most 200.
    pub nodes: Vec<NodeConfig>,
    /// What runs for which image, on every node.
    pub images: Images,
    /// How often each `HorizontalPodAutoscaler` is evaluated; Kubernetes takes 15 s.
    pub hpa_sync_period: Duration,
    /// Whether pods are bound to nodes here, or by somebody else.
    pub scheduler: bool,
    /// The first wait of a container that keeps failing; Kubernetes takes 10 s.
    pub crash_backoff: Duration,
    /// Where kubeconfig, volumes and logs go; a temporary directory that goes with the cluster if not given.
    pub work_dir: Option<PathBuf>,
    /// Address of the API server; a free network is chosen by default.
    pub bind: Bind,
    /// Whether and how requests are authorised.
    pub authorization: Authorization,
    /// Features of Kubernetes that are off by default.
    pub gates: Gates,
    /// Where the API server's audit log goes, if one is wanted.
    pub audit: Option<AuditOptions>,
    /// How often a metrics server asks the nodes for what pods use; without it there is no `metrics.k8s.io`.
    pub metrics_resolution: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            images: Images::default(),
            hpa_sync_period: Duration::from_secs(15),
            scheduler: true,
            crash_backoff: Duration::from_secs(10),
            work_dir: None,
            bind: Bind::default(),
            authorization: Authorization::default(),
            gates: Gates::default(),
            audit: None,
            metrics_resolution: None,
        }
    }
}

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error(transparent)]
    Server(#[from] apiserver::Error),
    /// A node.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The metrics server.
    #[error(transparent)]
    Metrics(#[from] metrics_server::Error),
    /// There are more nodes than addresses for them.
    #[error("{0} nodes were asked for, a cluster can have 200")]
    TooManyNodes(usize),
    /// The work directory cannot be written.
    #[error("preparing the work directory {}: {source}", path.display())]
    WorkDir {
        /// What was written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster's own kubeconfig does not lead to a client.
    #[error("connecting to the cluster just started: {0}")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running cluster. [`Cluster::shutdown`] ends it in order; dropping it kills what runs.
pub struct Cluster {
    // In the order in which they have to go when this is dropped.
    agents: Vec<NodeAgent>,
    controllers: Controllers,
    _metrics: Option<MetricsServer>,
    server: Server,
    client: Client,
    kubeconfig: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts everything. When this returns the API answers and the nodes are ready.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options {
            nodes,
            images,
            hpa_sync_period,
            scheduler,
            crash_backoff,
            work_dir,
            bind,
            authorization,
            gates,
            audit,
            metrics_resolution,
        } = options;
        let too_many = nodes.len();
        let (work_dir, temporary) = work_directory(work_dir)?;
        let server = Server::start(apiserver::Options { bind, authorization, gates, audit }).await?;
        let kubeconfig = work_dir.join("kubeconfig");
        let written = std::fs::write(&kubeconfig, server.kubeconfig(None));
        written.map_err(|source| Error::WorkDir { path: kubeconfig.clone(), source })?;
        let client = connect(&server.kubeconfig(None), "kubesim").await?;
        let manager = {
            let token = server.system_token("system:kube-controller-manager");
            connect(&server.kubeconfig(Some(&token)), "kube-controller-manager").await?
        };
        let controllers = Controllers::start(manager, &controllers::Options { hpa_sync_period, scheduler });
        let [a, b] = server.network();
        let ips = IpPool::new([a, b]);
        let mut agents = Vec::new();
        for (index, config) in nodes.into_iter().enumerate() {
            let last =
                u8::try_from(index).ok().and_then(|index| index.checked_add(FIRST_NODE)).filter(|last| *last < 210);
            let last = last.ok_or(Error::TooManyNodes(too_many))?;
            let token = server.system_token(&format!("system:node:{}", config.name));
            let options = node::Options {
                client: connect(&server.kubeconfig(Some(&token)), "kubelet").await?,
                api: ApiAddress { url: server.url(), ca: Some(server.ca_pem().as_bytes().to_vec()) },
                config,
                images: images.clone(),
                ips: ips.clone(),
                address: Ipv4Addr::new(a, b, 0, last),
                work_dir: work_dir.clone(),
                crash_backoff,
            };
            agents.push(NodeAgent::start(options).await?);
        }
        let metrics = match metrics_resolution {
            Some(resolution) => {
                let token = server.system_token("system:serviceaccount:kube-system:metrics-server");
                let client = connect(&server.kubeconfig(Some(&token)), "metrics-server").await?;
                Some(MetricsServer::start(client, server.address().ip(), resolution).await?)
            }
            None => None,
        };
        Ok(Self { agents, controllers, _metrics: metrics, server, client, kubeconfig, _temporary: temporary })
    }

    /// A kubeconfig for the administrator.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client of the administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The API server's record of requests, and faults on purpose.
    pub fn control(&self) -> Control {
        self.server.control()
    }

    /// A kubeconfig for the holder of a token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        self.server.kubeconfig(Some(token))
    }

    /// A token, which does not expire, of a user in these groups and in `system:authenticated`.
    pub fn token(&self, user: &str, groups: &[&str]) -> String {
        self.server.token(user, groups)
    }

    /// First two octets of the cluster's loopback network, `[127, X]`. Addresses below 127.X.0.10 other than the API
    /// server's are free for whatever accompanies the cluster.
    pub fn network(&self) -> [u8; 2] {
        self.server.network()
    }

    /// Base URL of the API server.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Stops controllers, pods (within two seconds) and server; no process is left when this returns.
    pub async fn shutdown(self) {
        let Self { agents, controllers, _metrics, server, client: _, kubeconfig: _, _temporary } = self;
        // First, or they would replace the pods that stop.
        drop(controllers);
        futures::future::join_all(agents.into_iter().map(|agent| agent.stop(SHUTDOWN_GRACE))).await;
        server.shutdown().await;
    }
}

/// The last octet of the first node.
const FIRST_NODE: u8 = 10;

fn work_directory(given: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>), Error> {
    let failed = |path: &Path, source| Error::WorkDir { path: path.to_owned(), source };
    if let Some(path) = given {
        std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        // Processes run in directories of their own: what they are told must not depend on where.
        let path = path.canonicalize().map_err(|error| failed(&path, error))?;
        return Ok((path, None));
    }
    let temporary = tempfile::Builder::new().prefix("kubesim-").tempdir();
    let temporary = temporary.map_err(|error| failed(&std::env::temp_dir(), error))?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

/// A client for a kubeconfig; `program` is what it says it is, and what owns the fields it writes.
async fn connect(kubeconfig: &str, program: &'static str) -> Result<Client, Error> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Client(error);
    let file = Kubeconfig::from_yaml(kubeconfig).map_err(|error| failed(error.into()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| failed(error.into()))?;
    config.headers.push((axum::http::header::USER_AGENT, axum::http::HeaderValue::from_static(program)));
    Client::try_from(config).map_err(|error| failed(error.into()))
}
