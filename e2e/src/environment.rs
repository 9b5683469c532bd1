//! The whole environment, started and stopped as one: a provider's cluster, Prometheus, external-metrics adapter; or a
//! connection to one that another process of the run has started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kubesim::apiserver::{Authorization, Control};

use crate::helm::Helm;
use crate::instances;
use crate::kubectl::{self, Kubectl};
use crate::monitoring::{self, Monitoring};
use crate::prometheus;
use crate::providers::{self, Capability, Choice, Cluster, Facts, Monitoring as Place, PodAccess};

/// The environment could not be started, or cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] providers::Error),
    /// Prometheus and the adapter.
    #[error(transparent)]
    Monitoring(#[from] monitoring::Error),
    /// kubectl.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// The work directory.
    #[error("making the work directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A pod does not do what it is told.
    #[error("telling pod {pod} {path}: {source}")]
    Pod {
        /// The pod.
        pod: String,
        /// What was posted to.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A test asks for what this cluster cannot do.
    #[error("the cluster of provider {provider} does not have {capability}")]
    Lacks {
        /// The provider.
        provider: String,
        /// What it lacks.
        capability: Capability,
    },
}

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the cluster comes from.
    pub provider: Choice,
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
    /// Settings for short waits on an embedded cluster, with files in `dir`.
    pub fn quick(dir: &Path) -> Self {
        Self {
            provider: Choice::Embedded,
            dir: dir.to_owned(),
            hpa_sync_period: Duration::from_secs(1),
            scrape_interval: Duration::from_secs(1),
            gpus_per_node: 8,
            controller: None,
            authorization: Authorization::AlwaysAllow,
            crash_backoff: Duration::from_secs(10),
        }
    }

    /// [`Settings::quick`] for many instances at once: roles are enforced, and there are GPUs for all of them.
    pub fn shared(dir: &Path) -> Self {
        Self { gpus_per_node: 128, authorization: Authorization::Rbac, ..Self::quick(dir) }
    }
}

/// A running environment. [`Environment::stop`] stops it in order; dropping it kills what is left. One that is connected
/// to stays as it is in both cases.
pub struct Environment {
    facts: Facts,
    client: kube::Client,
    kubectl: Kubectl,
    prometheus: prometheus::Client,
    /// For pods, which no proxy of this machine's user reaches.
    http: reqwest::Client,
    /// What this process has started.
    own: Option<Own>,
}

struct Own {
    monitoring: Monitoring,
    cluster: Box<dyn Cluster>,
}

impl Environment {
    /// Starts everything. `progress` hears of each step that is done.
    ///
    /// # Errors
    /// When a part cannot be started; the parts started before are stopped.
    pub async fn start(settings: &Settings, mut progress: impl FnMut(&str) + Send) -> Result<Self, Error> {
        let dir = &settings.dir;
        std::fs::create_dir_all(dir).map_err(|source| Error::Directory { path: dir.clone(), source })?;
        let cluster = settings.provider.provider().start(settings, &mut progress).await?;
        let started = async {
            let client = connect(&cluster.facts().kubeconfig).await?;
            let kubectl = Kubectl::new(&cluster.facts().kubeconfig)?;
            let monitoring = Monitoring::start(cluster.facts(), &client, &kubectl, settings, &mut progress).await?;
            Ok((client, kubectl, monitoring))
        };
        match started.await {
            Ok((client, kubectl, monitoring)) => {
                let (facts, prometheus) = (cluster.facts().clone(), monitoring.client());
                let http = direct();
                Ok(Self { facts, client, kubectl, prometheus, http, own: Some(Own { monitoring, cluster }) })
            }
            Err(error) => {
                cluster.stop().await;
                Err(error)
            }
        }
    }

    /// Connects to what another process has started.
    ///
    /// # Errors
    /// When the kubeconfig of the facts leads nowhere or kubectl is not there.
    pub async fn connect(facts: Facts) -> Result<Self, Error> {
        let client = connect(&facts.kubeconfig).await?;
        let kubectl = Kubectl::new(&facts.kubeconfig)?;
        let (Place::Beside { prometheus, .. } | Place::Inside { prometheus }) = facts.monitoring;
        let prometheus = prometheus::Client::new(format!("http://{prometheus}"));
        Ok(Self { facts, client, kubectl, prometheus, http: direct(), own: None })
    }

    /// What there is to know about the cluster.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// A client for the cluster.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Kubeconfig of the cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.facts.kubeconfig
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
        self.prometheus.clone()
    }

    /// Posts to a port of a pod, in the way that this cluster has for it.
    ///
    /// # Errors
    /// When the pod has no address yet, does not answer, or refuses.
    pub async fn tell(&self, pod: &Pod, port: u16, path: &str, body: &serde_json::Value) -> Result<(), Error> {
        let name = || format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        let failed = |source| Error::Pod { pod: name(), path: path.to_owned(), source };
        match self.facts.pods {
            PodAccess::Direct => {
                let ip = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
                let ip = ip.ok_or_else(|| failed("it has no address yet".into()))?;
                let answer = self.http.post(format!("http://{ip}:{port}{path}")).json(body).send().await;
                answer.and_then(reqwest::Response::error_for_status).map_err(|error| failed(error.into()))?;
            }
            PodAccess::ApiProxy => {
                let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
                let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}");
                let request = http::Request::post(uri).header("Content-Type", "application/json");
                let request = request.body(body.to_string().into_bytes()).map_err(|error| failed(error.into()))?;
                self.client.request_text(request).await.map_err(|error| failed(error.into()))?;
            }
        }
        Ok(())
    }

    /// The API server's record of requests, and faults on purpose.
    ///
    /// # Errors
    /// When the cluster has no such thing, or is another process's.
    pub fn control(&self) -> Result<Control, Error> {
        let control = self.own.as_ref().and_then(|own| own.cluster.control());
        control.ok_or_else(|| self.lacks(Capability::Faults))
    }

    /// Kills the process of Prometheus, until [`Environment::start_prometheus`].
    ///
    /// # Errors
    /// When the Prometheus is not this process's.
    pub async fn kill_prometheus(&self) -> Result<(), Error> {
        self.own_prometheus()?.kill().await;
        Ok(())
    }

    /// Starts Prometheus again, with what it knew.
    ///
    /// # Errors
    /// When it cannot be started, does not become ready, or is not this process's.
    pub async fn start_prometheus(&self) -> Result<(), Error> {
        let started = self.own_prometheus()?.start_again().await;
        Ok(started.map_err(monitoring::Error::from)?)
    }

    /// Writes what only the provider of the cluster can get at into `dir`; nothing where another process started it.
    pub async fn collect(&self, dir: &Path) {
        if let Some(own) = &self.own {
            own.cluster.collect(dir).await;
        }
    }

    /// Stops everything, pods first.
    pub async fn stop(self) {
        if let Some(Own { monitoring, cluster }) = self.own {
            if !self.facts.temporary
                && let Err(error) = instances::sweep(&self.client).await
            {
                tracing::error!("Removing what the run made from the cluster: {error}");
            }
            monitoring.leave().await;
            cluster.stop().await;
            monitoring.stop().await;
        }
    }

    fn own_prometheus(&self) -> Result<&prometheus::Prometheus, Error> {
        let own = self.own.as_ref().and_then(|own| own.monitoring.prometheus());
        own.ok_or_else(|| self.lacks(Capability::OwnCluster))
    }

    fn lacks(&self, capability: Capability) -> Error {
        Error::Lacks { provider: self.facts.provider.clone(), capability }
    }
}

fn direct() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

async fn connect(kubeconfig: &Path) -> Result<kube::Client, Error> {
    let failed = |source| providers::Error::Connect { kubeconfig: kubeconfig.to_owned(), source };
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| failed(error.into()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.map_err(|error| failed(error.into()))?);
    Ok(client.map_err(|error| failed(error.into()))?)
}
