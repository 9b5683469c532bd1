//! The whole environment, started and stopped as one: embedded cluster, Prometheus, external-metrics adapter.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kubesim::apiserver::{Authorization, Control};
use kubesim::cluster::{self, Cluster};
use kubesim::node::{Images, NodeConfig, Program};
use tokio::task::JoinHandle;

use crate::adapter::{self, Adapter};
use crate::helm::Helm;
use crate::kubectl::{self, Kubectl};
use crate::prometheus::{self, Prometheus};
use crate::workload::{A100, Gpu, H100};
use crate::{manifest, programs, scrape};

/// Namespace of the monitoring stack.
const MONITORING: &str = "monitoring";
/// Service account Prometheus scrapes with.
const PROMETHEUS_ACCOUNT: &str = "kube-prometheus-stack-prometheus";
/// Port Prometheus is known by.
const PROMETHEUS_PORT: u16 = 9090;
/// Port of the adapter.
const ADAPTER_PORT: u16 = 6443;

/// Kinds of others that a cluster with monitoring and KEDA has: the Prometheus operator's and KEDA's.
const DEFINITIONS: [&str; 3] = [
    include_str!("../manifests/definitions/servicemonitors.yaml"),
    include_str!("../manifests/definitions/prometheusrules.yaml"),
    include_str!("../manifests/definitions/scaledobjects.yaml"),
];

/// The environment could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] adapter::Error),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// A template.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The token Prometheus scrapes with.
    #[error("asking for a token of service account {MONITORING}/{PROMETHEUS_ACCOUNT}: {0}")]
    Token(#[source] kube::Error),
    /// The work directory.
    #[error("making the work directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything keeps its files.
    pub dir: PathBuf,
    /// How often HPAs look.
    pub hpa_sync_period: Duration,
    /// How often Prometheus scrapes where a monitor does not say.
    pub scrape_interval: Duration,
    /// GPUs of each kind.
    pub gpus_per_node: u32,
    /// Controller binary to run instead of the one beside this program.
    pub controller: Option<PathBuf>,
    /// Whether requests are authorised by roles; if not, everybody may do everything.
    pub authorization: Authorization,
    /// The first wait of a container that keeps failing.
    pub crash_backoff: Duration,
}

impl Settings {
    /// Settings for short waits, with files in `dir`.
    pub fn quick(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            hpa_sync_period: Duration::from_secs(1),
            scrape_interval: Duration::from_secs(1),
            gpus_per_node: 8,
            controller: None,
            authorization: Authorization::AlwaysAllow,
            crash_backoff: Duration::from_secs(10),
        }
    }
}

/// A running environment. [`Environment::stop`] stops it in order; dropping it kills what is left.
pub struct Environment {
    cluster: Cluster,
    kubectl: Kubectl,
    prometheus: Arc<Prometheus>,
    _adapter: Adapter,
    follower: JoinHandle<()>,
}

impl Environment {
    /// Starts everything. `progress` hears of each step that is done.
    ///
    /// # Errors
    /// When a part cannot be started; the parts started before are stopped.
    pub async fn start(settings: &Settings, mut progress: impl FnMut(&str)) -> Result<Self, Error> {
        let Settings { dir, hpa_sync_period, scrape_interval, gpus_per_node, controller, authorization, crash_backoff } =
            settings;
        std::fs::create_dir_all(dir).map_err(|source| Error::Directory { path: dir.clone(), source })?;
        let controller = match controller {
            Some(program) => program.clone(),
            None => programs::ours("wva-controller")?,
        };
        let images = Images::default()
            .with("localhost/wva-controller", Program::new(controller))
            .with("vllm/vllm-openai", Program::new(programs::ours("vllm-sim")?))
            .with("ghcr.io/llm-d/llm-d-inference-scheduler", picker()?);
        let cluster = Cluster::start(cluster::Options {
            nodes: vec![node(A100, *gpus_per_node), node(H100, *gpus_per_node)],
            images,
            hpa_sync_period: *hpa_sync_period,
            crash_backoff: *crash_backoff,
            authorization: *authorization,
            work_dir: Some(dir.join("cluster")),
            ..cluster::Options::default()
        })
        .await?;
        let [a, b] = cluster.network();
        progress(&format!("Kubernetes API at {}", cluster.url()));

        let own = |host: u8, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, host)), port);
        let prometheus = Prometheus::start(
            &programs::prometheus()?,
            &dir.join("prometheus"),
            own(2, PROMETHEUS_PORT),
            *scrape_interval,
        )
        .await?;
        let prometheus = Arc::new(prometheus);
        progress(&format!("Prometheus at {}", prometheus.client().url()));

        let adapter = Adapter::start(own(3, ADAPTER_PORT), prometheus.client()).await?;
        let kubectl = Kubectl::new(cluster.kubeconfig_path())?;
        kubectl.apply(&DEFINITIONS.join("\n---\n")).await?;
        kubectl.apply(&platform(own(2, PROMETHEUS_PORT), adapter.address())?).await?;
        progress("Monitoring: ServiceMonitors, external metrics");

        let token = prometheus_token(&cluster).await?;
        let follow = scrape::follow(cluster.client(), Arc::clone(&prometheus), token);
        let follower = tokio::spawn(async move {
            if let Err(error) = follow.await {
                tracing::error!(%error, "Scrape targets no longer follow the cluster");
            }
        });
        Ok(Self { cluster, kubectl, prometheus, _adapter: adapter, follower })
    }

    /// A client for the cluster.
    pub fn client(&self) -> kube::Client {
        self.cluster.client()
    }

    /// Kubeconfig of the cluster.
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig_path()
    }

    /// kubectl and the plugin, bound to the cluster.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// helm, bound to the cluster.
    ///
    /// # Errors
    /// When it is not there.
    pub fn helm(&self) -> Result<Helm, kubectl::Error> {
        Helm::new(self.kubeconfig())
    }

    /// A client for Prometheus.
    pub fn prometheus(&self) -> prometheus::Client {
        self.prometheus.client()
    }

    /// The API server's record of requests, and faults on purpose.
    pub fn control(&self) -> Control {
        self.cluster.control()
    }

    /// Kills the process of Prometheus, until [`Environment::start_prometheus`].
    pub async fn kill_prometheus(&self) {
        self.prometheus.kill().await;
    }

    /// Starts Prometheus again, with what it knew.
    ///
    /// # Errors
    /// When it cannot be started or does not become ready.
    pub async fn start_prometheus(&self) -> Result<(), Error> {
        Ok(self.prometheus.start_again().await?)
    }

    /// Stops everything, pods first.
    pub async fn stop(self) {
        let Self { cluster, kubectl: _, prometheus, _adapter, follower } = self;
        follower.abort();
        // The follower held the other reference; once it has ended the process can be stopped for good.
        let _ = follower.await;
        cluster.shutdown().await;
        if let Some(prometheus) = Arc::into_inner(prometheus) {
            prometheus.stop().await;
        }
    }
}

/// The endpoint picker: this framework's own program, which knows the cluster.
fn picker() -> Result<Program, programs::Error> {
    Ok(Program { path: programs::ours("wva-e2e")?, args: vec!["epp".to_owned()] })
}

fn node(gpu: Gpu, count: u32) -> NodeConfig {
    NodeConfig::new(format!("gpu-{}", gpu.name.to_lowercase())).with_gpus(count, gpu.product, gpu.memory_mib)
}

fn platform(prometheus: SocketAddr, adapter: SocketAddr) -> Result<String, manifest::Error> {
    let place = |address: SocketAddr| serde_json::json!({ "ip": address.ip(), "port": address.port() });
    let data = serde_json::json!({ "prometheus": place(prometheus), "adapter": place(adapter) });
    manifest::render("platform.yaml", include_str!("../manifests/platform.yaml.hbs"), &data)
}

async fn prometheus_token(cluster: &Cluster) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), MONITORING);
    let request = TokenRequest::default();
    let answer = accounts
        .create_token_request(PROMETHEUS_ACCOUNT, &PostParams::default(), &request)
        .await
        .map_err(Error::Token)?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
