//! Monitoring as one pod of the cluster, for clusters whose pods cannot reach this machine: the pod runs what otherwise
//! runs beside the cluster, by the same code.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kubesim::serving::Identity;
use serde_json::json;

use super::{ADAPTER, Error, IMAGE, NODE_PORT, prometheus_token};
use crate::adapter::{self, Adapter};
use crate::prometheus::{self, Prometheus};
use crate::wait::{self, Look};
use crate::{manifest, programs, scrape};

/// How long the pod may take until Prometheus answers.
const PATIENCE: Duration = Duration::from_mins(2);

/// The pod and what it needs, with a new certificate.
pub(super) fn generated(scrape_interval: Duration) -> Result<String, Error> {
    let identity = Identity::generate(ADAPTER).map_err(adapter::Error::from)?;
    Ok(manifests(&identity, scrape_interval)?)
}

/// Waits until its Prometheus answers at `address`.
pub(super) async fn answers(address: SocketAddr) -> Result<prometheus::Client, Error> {
    let client = prometheus::Client::new(format!("http://{address}"));
    wait::until("the Prometheus of the cluster to answer", PATIENCE, || async {
        match client.query("vector(1)").await {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await?;
    Ok(client)
}

/// The pod and what it needs; its adapter becomes the cluster's external-metrics API, whose certificate the API server
/// verifies.
///
/// # Errors
/// When the template is wrong, which would be a bug.
pub fn manifests(identity: &Identity, scrape_interval: Duration) -> Result<String, manifest::Error> {
    let data = json!({
        "image": IMAGE,
        "interval": u64::try_from(scrape_interval.as_millis()).unwrap_or(u64::MAX),
        "nodePort": NODE_PORT,
        "tls": { "certificate": identity.certificate, "key": identity.key, "bundle": identity.bundle() },
    });
    manifest::render("monitoring.yaml", include_str!("../../manifests/monitoring.yaml.hbs"), &data)
}

/// What the pod is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address to listen on; the environment variable `BIND_HOST` names it for a pod of the embedded cluster.
    #[arg(long, env = "BIND_HOST", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub host: IpAddr,
    /// Milliseconds between two scrapes where a monitor does not say.
    #[arg(long, default_value_t = 1000)]
    pub scrape_interval_ms: u64,
    /// The Prometheus program; in the image it lies beside this one.
    #[arg(long)]
    pub prometheus: Option<PathBuf>,
    /// Certificate of the external-metrics API, PEM.
    #[arg(long, env = "TLS_CERTIFICATE", hide_env_values = true)]
    pub tls_certificate: String,
    /// Its key, PEM.
    #[arg(long, env = "TLS_KEY", hide_env_values = true)]
    pub tls_key: String,
}

/// The pod: runs until `stop` completes.
///
/// # Errors
/// When there is no cluster, a port is taken, or the scrape targets can no longer be followed.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Args { host, scrape_interval_ms, prometheus, tls_certificate, tls_key } = args;
    let dir = tempfile::tempdir().context("making a folder for Prometheus; is there a writable /tmp?")?;
    let client = kube::Client::try_default().await.context("connecting to the API server")?;
    let program = prometheus.map_or_else(|| programs::ours("prometheus"), Ok)?;
    let interval = Duration::from_millis(scrape_interval_ms);
    let prometheus = Prometheus::start(&program, dir.path(), SocketAddr::new(host, 9090), interval).await?;
    let prometheus = Arc::new(prometheus);
    let identity = Identity { certificate: tls_certificate, key: tls_key };
    let _adapter = Adapter::start(SocketAddr::new(host, 6443), prometheus.client(), &identity).await?;
    let token = prometheus_token(&client).await?;
    tokio::select! {
        followed = scrape::follow(client, Arc::clone(&prometheus), token) => followed?,
        () = stop => {}
    }
    if let Some(prometheus) = Arc::into_inner(prometheus) {
        prometheus.stop().await;
    }
    Ok(())
}
