//! `kubesim`: an embedded cluster for use from a shell.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Parser;
use kubesim::{
    apiserver::{AuditLevel, AuditOptions, Authorization, Gates},
    cluster::{Cluster, Options},
    node::{Images, Mapping, NodeConfig},
    supervision,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A Kubernetes cluster on loopback, without containers
///
/// Starts an API server, workload controllers and nodes in one process. Pods run as local processes. All objects are
/// gone when the cluster stops.
#[derive(Parser, Debug)]
#[command(name = "kubesim", version)]
struct Args {
    /// A node, as name=NAME[,gpus=N,product=NAME,memory=MIB,resource=nvidia.com/gpu,cpu=N,ram=SIZE,pods=N,label.KEY=VALUE];
    /// may be given several times. Without any there is one plain node
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<NodeConfig>,

    /// No node at all: for node agents of another process
    #[arg(long, conflicts_with = "nodes")]
    no_nodes: bool,

    /// Bind no pod to a node, like a control plane without kube-scheduler
    #[arg(long)]
    no_scheduler: bool,

    /// The local program, with leading arguments, that stands for an image repository; may be given several times
    #[arg(long = "image", value_name = "REPO=PROGRAM")]
    images: Vec<Mapping>,

    /// Also write the kubeconfig to this file
    #[arg(long, value_name = "FILE")]
    kubeconfig_out: Option<PathBuf>,

    /// Keep volumes and logs below this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,

    /// Who may do what: everybody everything, or what the roles of the cluster say. With RBAC a request without a
    /// certificate or a token is refused
    #[arg(long, value_name = "MODE", default_value = "AlwaysAllow")]
    authorization_mode: Mode,

    /// Features to turn on that are off by default: `HPAScaleToZero=true`
    #[arg(long, value_name = "NAME=BOOL", value_parser = feature_gate)]
    feature_gates: Vec<Gates>,

    /// Append one JSON object for each request to this file, in the format of kube-apiserver
    #[arg(long, value_name = "FILE")]
    audit_log_path: Option<PathBuf>,

    /// What the audit log holds: who asked for what, or also what was sent and answered
    #[arg(long, value_name = "LEVEL", default_value = "Metadata", requires = "audit_log_path")]
    audit_level: Audit,

    /// How often horizontal pod autoscalers are evaluated
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    hpa_sync_period: Duration,

    /// Serve metrics.k8s.io, as metrics-server does: kubectl top, and autoscalers on processor time and memory
    #[arg(long)]
    metrics_server: bool,

    /// How often the metrics server asks the nodes
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    metric_resolution: Duration,

    /// First wait of a container that keeps failing; it doubles up to 30 times that
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    crash_backoff: Duration,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    #[value(name = "AlwaysAllow")]
    AlwaysAllow,
    #[value(name = "RBAC")]
    Rbac,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Audit {
    #[value(name = "Metadata")]
    Metadata,
    #[value(name = "RequestResponse")]
    RequestResponse,
}

/// Reads `HPAScaleToZero=true`.
fn feature_gate(text: &str) -> Result<Gates, String> {
    match text.split_once('=').map(|(name, value)| (name, value.parse())) {
        Some(("HPAScaleToZero", Ok(hpa_scale_to_zero))) => Ok(Gates { hpa_scale_to_zero }),
        Some((_, Err(_))) => Err(format!("`{text}` is neither true nor false")),
        Some((name, Ok(_))) => Err(format!("there is no feature gate `{name}` here; known: HPAScaleToZero")),
        None => Err("a feature gate looks like HPAScaleToZero=true".to_owned()),
    }
}

/// Reads `500ms`, `15s`, `2m` or a sum of such.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is not a duration; examples: 500ms, 15s, 2m"))?;
    let duration = Duration::try_from(span).map_err(|_| format!("`{text}` is negative"))?;
    if duration.is_zero() { Err("a duration above zero is needed".to_owned()) } else { Ok(duration) }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,kubesim=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Before anything starts, so that no signal and no failure is lost.
    let failure = supervision::failure();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;

    let nodes = if args.nodes.is_empty() && !args.no_nodes { vec![NodeConfig::new("node-0")] } else { args.nodes };
    let images =
        args.images.into_iter().fold(Images::default(), |images, mapping| images.with(mapping.image, mapping.program));
    let cluster = Cluster::start(Options {
        nodes,
        images,
        hpa_sync_period: args.hpa_sync_period,
        scheduler: !args.no_scheduler,
        crash_backoff: args.crash_backoff,
        work_dir: args.work_dir,
        metrics_resolution: args.metrics_server.then_some(args.metric_resolution),
        authorization: match args.authorization_mode {
            Mode::AlwaysAllow => Authorization::AlwaysAllow,
            Mode::Rbac => Authorization::Rbac,
        },
        audit: args.audit_log_path.map(|path| AuditOptions {
            path,
            level: match args.audit_level {
                Audit::Metadata => AuditLevel::Metadata,
                Audit::RequestResponse => AuditLevel::RequestResponse,
            },
        }),
        gates: args.feature_gates.last().copied().unwrap_or_default(),
        ..Options::default()
    })
    .await
    .context("starting the cluster")?;
    let mut outcome = announce(&cluster, args.kubeconfig_out.as_deref());
    if outcome.is_ok() {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            what = failure => outcome = Err(anyhow::anyhow!("{what}; the cluster ends with it")),
        }
    }
    cluster.shutdown().await;
    outcome
}

/// Tells the shell how to reach the cluster.
fn announce(cluster: &Cluster, out: Option<&std::path::Path>) -> anyhow::Result<()> {
    use std::io::Write;
    let mut path = cluster.kubeconfig_path().to_owned();
    if let Some(out) = out {
        std::fs::copy(&path, out).with_context(|| format!("writing the kubeconfig to {}", out.display()))?;
        out.clone_into(&mut path);
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "export KUBECONFIG={}", path.display()).context("printing the kubeconfig's path")?;
    stdout.flush().context("printing the kubeconfig's path")
}
