//! The emulated endpoint picker as a program of the cluster: it finds its servers by the labels of their pods.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use vllm_sim::epp::{Config, Epp};

use crate::endpoints;

/// How to run it. The flags of a real picker that mean the same have the same names.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Name of its `InferencePool`.
    #[arg(long)]
    pub pool_name: String,
    /// Namespace of the pool and its servers.
    #[arg(long)]
    pub pool_namespace: String,
    /// Label selector of the servers' pods.
    #[arg(long)]
    pub pod_selector: String,
    /// Port of the servers.
    #[arg(long, default_value_t = 8000)]
    pub target_port: u16,
    /// Port for requests.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Port for metrics.
    #[arg(long, default_value_t = 9090)]
    pub metrics_port: u16,
    /// Bearer token that the metrics require.
    #[arg(long)]
    pub metrics_token: Option<String>,
    /// Address to listen on; the environment variable `BIND_HOST` names it for a pod of the embedded cluster.
    #[arg(long, env = "BIND_HOST", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub host: IpAddr,
    /// Seconds for which a request is held while no server is ready.
    #[arg(long, default_value_t = 60)]
    pub hold_seconds: u64,
}

/// Runs until `stop` completes.
///
/// # Errors
/// When there is no cluster, or a port is taken.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Args {
        pool_name,
        pool_namespace,
        pod_selector,
        target_port,
        port,
        metrics_port,
        metrics_token,
        host,
        hold_seconds,
    } = args;
    let client = kube::Client::try_default().await.context("connecting to the API server")?;
    let servers = endpoints::follow_pods(client, &pool_namespace, &pod_selector, target_port);
    let config = Config {
        listen: SocketAddr::new(host, port),
        metrics: SocketAddr::new(host, metrics_port),
        token: metrics_token,
        pool: pool_name,
        hold: Duration::from_secs(hold_seconds),
    };
    let _epp = Epp::start(config, servers.urls()).await?;
    stop.await;
    Ok(())
}
