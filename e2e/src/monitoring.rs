//! What a cluster with monitoring has: a Prometheus that scrapes what `ServiceMonitors` select, and an adapter that
//! answers `external.metrics.k8s.io` from it.

pub mod inside;
mod made;
mod route;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::made::Made;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use kubesim::serving::Identity;
use tokio::task::JoinHandle;

use crate::adapter::{self, Adapter};
use crate::environment::Settings;
use crate::kubectl::{self, Kubectl};
use crate::prometheus::{self, Prometheus};
use crate::providers::{Facts, Monitoring as Place};
use crate::{manifest, programs, scrape, wait};

/// Namespace of the monitoring stack.
pub const NAMESPACE: &str = "monitoring";
/// Service account Prometheus scrapes with.
pub const PROMETHEUS_ACCOUNT: &str = "kube-prometheus-stack-prometheus";

/// Service of the adapter.
const ADAPTER_SERVICE: &str = "external-metrics";
/// The name the API server asks the adapter by.
pub const ADAPTER: &str = "external-metrics.monitoring.svc";
/// How long the embedded cluster takes at most to reach the adapter.
const PATIENCE: Duration = Duration::from_secs(10);

/// Image of the pod that is all of monitoring where it runs inside the cluster.
pub const IMAGE: &str = concat!("localhost/wva-monitoring:", env!("CARGO_PKG_VERSION"));
/// Port of every node that leads to that Prometheus.
pub const NODE_PORT: u16 = 30_090;

/// Monitoring could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] adapter::Error),
    /// The API server does not come to the adapter.
    #[error(
        "the API server does not reach the external-metrics API at {address}, neither by the endpoints of Service \
         {NAMESPACE}/{ADAPTER_SERVICE} ({endpoints}) nor by an external name ({external_name}); it has to run on this \
         machine, or use PROVIDER=kind, which brings monitoring into the cluster"
    )]
    Unreachable {
        /// Where the adapter listens.
        address: SocketAddr,
        /// Why the endpoints lead nowhere.
        endpoints: String,
        /// Why the external name does not.
        external_name: String,
    },
    /// Its pod did not start.
    #[error(transparent)]
    NotReady(#[from] wait::TimedOut),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The chart's own definitions.
    #[error("reading the definitions of the chart: {0}")]
    Chart(#[from] Box<chart_render::Error>),
    /// Somebody else's adapter would answer our HPAs.
    #[error(
        "the cluster already has an API for external metrics, APIService v1beta1.external.metrics.k8s.io; the suites bring \
         their own and touch nobody else's: use a cluster without one"
    )]
    ForeignAdapter,
    /// A template.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The token Prometheus scrapes with.
    #[error("asking for a token of service account {NAMESPACE}/{PROMETHEUS_ACCOUNT}: {0}")]
    Token(#[source] kube::Error),
}

/// Running monitoring. [`Monitoring::stop`] stops it; dropping it kills it.
pub struct Monitoring {
    client: prometheus::Client,
    beside: Option<Beside>,
    made: Made,
}

/// What runs in this process or as its child.
struct Beside {
    prometheus: Arc<Prometheus>,
    _adapter: Adapter,
    follower: JoinHandle<()>,
}

impl Monitoring {
    /// Starts it where the facts say, and tells the cluster of it.
    ///
    /// # Errors
    /// When a part cannot be started or the cluster does not take the objects; what was started is stopped.
    pub async fn start(
        facts: &Facts,
        client: &Client,
        kubectl: &Kubectl,
        settings: &Settings,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, Error> {
        let (listen, adapter) = match facts.monitoring {
            Place::Beside { prometheus, adapter } => (prometheus, adapter),
            Place::Inside { prometheus } => {
                let made = Made::create(facts, kubectl, &inside::generated(settings.scrape_interval)?).await?;
                let client = inside::answers(prometheus).await?;
                progress(&format!("Prometheus and external metrics in the cluster; {}", client.url()));
                return Ok(Self { client, beside: None, made });
            }
        };
        let dir = settings.dir.join("prometheus");
        let prometheus = Prometheus::start(&programs::prometheus()?, &dir, listen, settings.scrape_interval).await?;
        let prometheus = Arc::new(prometheus);
        progress(&format!("Prometheus at {}", prometheus.client().url()));

        let identity = Identity::generate(ADAPTER).map_err(adapter::Error::from)?;
        let adapter = Adapter::start(adapter, prometheus.client(), &identity).await?;
        let made = Made::create(facts, kubectl, &platform(listen, adapter.address(), &identity)?).await?;
        progress("Monitoring: ServiceMonitors, external metrics");

        let complete = async {
            route::open(kubectl, adapter.address(), facts.patience(PATIENCE)).await?;
            prometheus_token(client).await
        };
        let token = match complete.await {
            Ok(token) => token,
            Err(error) => {
                made.remove().await;
                return Err(error);
            }
        };
        let follow = scrape::follow(client.clone(), Arc::clone(&prometheus), token);
        let follower = tokio::spawn(async move {
            if let Err(error) = follow.await {
                tracing::error!(%error, "Scrape targets no longer follow the cluster");
            }
        });
        let client = prometheus.client();
        Ok(Self { client, beside: Some(Beside { prometheus, _adapter: adapter, follower }), made })
    }

    /// A client for Prometheus.
    pub fn client(&self) -> prometheus::Client {
        self.client.clone()
    }

    /// The Prometheus that runs beside the cluster, if one does.
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.beside.as_ref().map(|beside| beside.prometheus.as_ref())
    }

    /// Removes from the cluster what it made there, if the cluster stays. While there is still a node for pods that have
    /// to end, and before [`Monitoring::stop`].
    pub async fn leave(&self) {
        self.made.remove().await;
    }

    /// Stops it.
    pub async fn stop(self) {
        let Some(Beside { prometheus, _adapter, follower }) = self.beside else { return };
        follower.abort();
        // The follower held the other reference; once it has ended the process can be stopped for good.
        let _ = follower.await;
        if let Some(prometheus) = Arc::into_inner(prometheus) {
            prometheus.stop().await;
        }
    }
}

fn platform(prometheus: SocketAddr, adapter: SocketAddr, identity: &Identity) -> Result<String, manifest::Error> {
    let place = |address: SocketAddr| serde_json::json!({ "ip": address.ip(), "port": address.port() });
    let data =
        serde_json::json!({ "prometheus": place(prometheus), "adapter": place(adapter), "bundle": identity.bundle() });
    manifest::render("platform.yaml", include_str!("../manifests/platform.yaml.hbs"), &data)
}

async fn prometheus_token(client: &Client) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest::default();
    let answer = accounts
        .create_token_request(PROMETHEUS_ACCOUNT, &PostParams::default(), &request)
        .await
        .map_err(Error::Token)?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}
