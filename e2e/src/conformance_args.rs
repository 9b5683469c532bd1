//! `wva-e2e conformance`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kubesim::apiserver::Authorization;
use kubesim::cluster::{Cluster, Options};
use kubesim::node::NodeConfig;
use wva_e2e::conformance::{self, Metrics, Script, Server};

/// Which server, and which scripts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kubeconfig of the API server's administrator; without it an embedded cluster with roles is started.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Another address of the same server.
    #[arg(long, requires = "kubeconfig")]
    server: Option<String>,
    /// Folder of the scripts.
    #[arg(long, default_value = "e2e/kubesim/tests/conformance")]
    scripts: PathBuf,
    /// Only scripts whose name contains this text.
    #[arg(long)]
    only: Option<String>,
    /// How many scripts are sent at the same time.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Also send the scripts that need an external metrics API, which is served at this address of this machine without
    /// TLS; the embedded cluster always gets one
    #[arg(long, value_name = "IP")]
    metrics: Option<IpAddr>,
}

impl Args {
    fn scripts(&self) -> anyhow::Result<Vec<Script>> {
        let mut scripts = conformance::scripts(&self.scripts)?;
        scripts.retain(|script| {
            (self.metrics.is_some() || self.kubeconfig.is_none() || !script.needs.iter().any(|need| need == "metrics"))
                && self.only.as_ref().is_none_or(|only| script.name.contains(only.as_str()))
        });
        Ok(scripts)
    }

    /// The server, and the cluster behind it if it is ours.
    async fn server(&self) -> anyhow::Result<(Server, Option<Cluster>)> {
        if let Some(kubeconfig) = &self.kubeconfig {
            let mut server = Server::of_kubeconfig(kubeconfig, self.server.as_deref())?;
            if let Some(ip) = self.metrics {
                let metrics = Metrics::start(&server, ip).await?;
                server = server.with_metrics(metrics);
            }
            return Ok((server, None));
        }
        let cluster = embedded().await?;
        let server = Server::of_kubeconfig(cluster.kubeconfig_path(), None)?;
        let [a, b] = cluster.network();
        let metrics = Metrics::start(&server, Ipv4Addr::new(a, b, 0, 3).into()).await?;
        Ok((server.with_metrics(metrics), Some(cluster)))
    }
}

async fn embedded() -> anyhow::Result<Cluster> {
    let options = Options {
        nodes: vec![NodeConfig::new("node-0")],
        authorization: Authorization::Rbac,
        hpa_sync_period: std::time::Duration::from_secs(5),
        ..Options::default()
    };
    Cluster::start(options).await.context("starting the embedded cluster")
}

/// Checks and tells; true if every difference is a known one.
pub(crate) async fn check(args: &Args, all: bool) -> anyhow::Result<bool> {
    let scripts = args.scripts()?;
    let accepted = if all { Vec::new() } else { accepted(&args.scripts)? };
    let (server, cluster) = args.server().await?;
    let report = conformance::check(&server, &scripts, args.jobs).await?;
    if let Some(cluster) = cluster {
        cluster.shutdown().await;
    }
    let surprises = report.surprises(&accepted, &scripts);
    for line in &surprises {
        anstream::println!("{line}");
    }
    let (different, requests) = (report.different(), report.requests);
    let equal = report.scripts - report.differences.len();
    anstream::println!(
        "{equal} of {} scripts and {} of {requests} requests equal",
        report.scripts,
        requests - different
    );
    Ok(surprises.is_empty())
}

fn accepted(folder: &Path) -> anyhow::Result<Vec<conformance::Accepted>> {
    Ok(conformance::accepted(folder)?)
}

/// Records the answers of a server as the truth.
pub(crate) async fn record(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.kubeconfig.is_some(), "record needs --kubeconfig: what is recorded becomes the truth");
    let scripts = args.scripts()?;
    let (server, _) = args.server().await?;
    let recorded = conformance::record(&server, &scripts, &args.scripts, args.jobs).await?;
    anstream::println!("{recorded} scripts recorded in {}", args.scripts.display());
    Ok(())
}
