//! Wiring: which tasks there are and how the process ends. Nothing is decided here.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wva_api::{config_keys as name, config_maps};

use crate::config::sources::Sources;
use crate::config::{Config, Early};
use crate::cycle::{Cycle, Partners};
use crate::events::{EventWriter, Reporter};
use crate::leader::elector::Elector;
use crate::leader::lease::LeaseApi;
use crate::leader::{Election, Leadership};
use crate::lookout::Lookout;
use crate::metrics::Metrics;
use crate::pools::scrape::Scraper;
use crate::prometheus::{Prometheus, Queries, Transport};
use crate::scale::Scales;
use crate::server::{self, auth::Authenticator, certificate, health};
use crate::settings::{self, LiveSettings, watch::Follow};
use crate::shared::Shared;
use crate::status_writer::StatusWriter;
use crate::targets::Targets;
use crate::telemetry;
use crate::teller::Teller;
use crate::zero::listen::Listener;
use crate::zero::wake::{self, WakeTask};
use crate::{inventory, pools, trust, watch};

/// Longest a graceful stop may take.
const STOP_WITHIN: Duration = Duration::from_millis(1500);

/// The controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    /// There is no way to the API server.
    #[error(
        "cannot find out how to reach the API server: {0}; run inside a cluster, or set KUBECONFIG to a kubeconfig file"
    )]
    Kubeconfig(#[source] Box<kube::config::InferConfigError>),
    /// The way to the API server cannot be used.
    #[error("cannot connect to the API server with this kubeconfig: {0}")]
    Client(#[source] Box<kube::Error>),
    /// Prometheus cannot be asked with this configuration.
    #[error(transparent)]
    Prometheus(#[from] crate::prometheus::SetupError),
    /// Endpoint pickers cannot be asked with this configuration.
    #[error(transparent)]
    Pickers(#[from] crate::pools::scrape::SetupError),
    /// A port cannot be served.
    #[error(transparent)]
    Server(#[from] server::Error),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the controller until it is asked to stop.
///
/// # Errors
/// When it cannot start.
pub async fn run(early: Early, mut sources: Sources) -> Result<ExitCode, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let shared = Arc::new(Shared::default());
    let mut probes = Probes::default();
    probes.serve(early.probes.socket(early.bind_host), &shared).await?;
    let client = client().await?;
    let config = tokio::select! {
        config = configure(&early, &mut sources, &client, &shared, &mut probes) => config?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    let metrics = Metrics::new(&config.scope.instance);
    announce(&config);

    let transport = Transport::new(&config.prometheus)?;
    let queries = Queries::new(config.metrics_window, &config.scope.namespaces);
    let prometheus = Prometheus::new(transport, queries, metrics.prometheus.clone());
    let from_zero = &config.from_zero;
    let scraper = Scraper::new(from_zero.epp_token.as_ref())?;
    let mut watches = watch::start(&client, &config.scope, &shared);
    let scales = Arc::new(Scales::new(client.clone()));
    watches.spawn(Targets::new(client.clone(), Arc::clone(&scales), &config.scope, Arc::clone(&shared)).run());
    watches.spawn(inventory::watch::run(client.clone(), config.node_selector.clone(), Arc::clone(&shared)));
    let gateways = pools::watch::start(&client, &config.scope, from_zero.pool_group, &shared);
    let stop = CancellationToken::new();
    let manager = config.scope.instance.field_manager();
    let (leadership, election) = match &config.election {
        None => (Leadership::always(), None),
        Some(election) => {
            let lease = LeaseApi::new(client.clone(), &config.pod_namespace, &election.lease_name, manager.clone());
            let (leadership, election) = Election::new(Elector::new(identity(), election), lease);
            (leadership, Some(election))
        }
    };
    let source = server::metrics::Source { metrics: metrics.clone(), leadership: leadership.clone() };
    serve_metrics(&config, source, &client).await?;
    let reporter = Reporter { manager: manager.clone(), identity: host() };
    let (events, event_writer) =
        EventWriter::new(client.clone(), reporter, config.rest_timeout, leadership.clone(), metrics.events.clone());
    let event_writer = tokio::spawn(event_writer.run());
    let parts = wake::Parts {
        scales,
        manager: manager.clone(),
        timeout: config.rest_timeout,
        concurrency: from_zero.concurrency,
        leadership: leadership.clone(),
        shared: Arc::clone(&shared),
        events: events.clone(),
        metrics: metrics.zero.clone(),
    };
    let (waker, wake_task) = WakeTask::new(parts);
    tokio::spawn(wake_task.run());
    let listener = Listener::new(
        config.scope.clone(),
        Arc::clone(&shared),
        scraper,
        from_zero.concurrency,
        leadership.clone(),
        metrics.zero.clone(),
    );
    tokio::spawn(listener.run(stop.child_token()));
    let settings = LiveSettings::new(&config, sources, events.clone());
    let follow = Follow { settings: settings.clone(), shared: Arc::clone(&shared) };
    settings::watch::start(&mut watches, &client, &config, &early.config_map, &follow);
    let (status, writer) = StatusWriter::new(
        client,
        config.scope.clone(),
        config.rest_timeout,
        leadership.clone(),
        Arc::clone(&shared),
        metrics.status.clone(),
    );
    let writer = tokio::spawn(writer.run());
    tokio::spawn(Lookout::new(prometheus.clone(), Arc::clone(&shared), leadership.clone()).run());
    let partners = Partners { prometheus, settings, teller: Teller::new(status, events), waker };
    let cycle = Cycle::new(&config, partners, shared, metrics, leadership);
    let cycle = tokio::spawn(cycle.run(stop.child_token()));

    let elected = stop.child_token();
    let election = election.map(|election| tokio::spawn(election.run(elected)));
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "Stopping");
    stop.cancel();
    drop((watches, gateways));
    // The cycle first, which ends the writer's input; the Lease is given up beside it, because a successor may begin
    // as soon as this process has stopped deciding.
    let stopping = async {
        let _ended = cycle.await;
        let written = futures::future::join(writer, event_writer);
        let _ended = tokio::time::timeout(Duration::from_millis(300), written).await;
        if let Some(election) = election {
            let _ended = election.await;
        }
    };
    if tokio::time::timeout(STOP_WITHIN, stopping).await.is_err() {
        tracing::warn!("Not everything ended in time");
    }
    Ok(ExitCode::SUCCESS)
}

/// Completes the configuration by the main ConfigMap, which is waited for.
async fn configure(
    early: &Early,
    sources: &mut Sources,
    client: &Client,
    shared: &Arc<Shared>,
    probes: &mut Probes,
) -> Result<Config, Error> {
    sources.config_map = settings::start::main_config_map(client, early, &shared.lists).await?;
    let config = Config::resolve(sources)?;
    telemetry::set_level(config.live.level);
    probes.serve(config.probes.socket(config.bind_host), shared).await?;
    Ok(config)
}

/// The server of probes. It answers from the first second, and moves when the main ConfigMap says where to.
#[derive(Default)]
struct Probes {
    address: Option<SocketAddr>,
    server: Option<JoinHandle<()>>,
}

impl Probes {
    async fn serve(&mut self, address: Option<SocketAddr>, shared: &Arc<Shared>) -> Result<(), Error> {
        if self.address == address {
            return Ok(());
        }
        if let Some(server) = self.server.take() {
            server.abort();
        }
        if let Some(address) = address {
            let listener = server::bind(name::HEALTH_PROBE_BIND_ADDRESS, address).await?;
            self.server = Some(tokio::spawn(health::serve(listener, Arc::clone(shared))));
        }
        self.address = address;
        Ok(())
    }
}

fn announce(config: &Config) {
    let instance = &config.scope.instance;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %instance,
        namespaces = ?config.scope.namespaces,
        interval = crate::config::value::format_duration(config.live.interval),
        prometheus = %config.prometheus.url,
        "Starting"
    );
    if config.prometheus.url.scheme() == "http" {
        tracing::warn!(url = %config.prometheus.url, "Prometheus is asked without TLS; use https:// outside of tests");
    }
    if config.prometheus.skip_verify {
        tracing::warn!("The certificate of Prometheus is not verified");
    }
    if config.proactive {
        tracing::info!(configmap = config_maps::SERVICE_CLASS, "Hybrid mode is on: the rate of requests has its say");
    }
    if config.scope.manage_all {
        if instance.id().is_none() {
            tracing::warn!("Taking variants of all instances; make sure that no other controller runs");
        } else {
            tracing::warn!("{} has no effect together with an instance id", name::MANAGE_ALL_INSTANCES);
        }
    }
}

/// A client for the API server of the cluster this process runs in, or of the kubeconfig.
///
/// # Errors
/// When neither is there.
pub async fn client() -> Result<Client, Error> {
    let mut config = kube::Config::infer().await.map_err(|error| Error::Kubeconfig(Box::new(error)))?;
    // A kubeconfig without a CA, for plain HTTP too, must not depend on authorities of the system.
    if config.root_cert.is_none() {
        config.root_cert = Some(trust::authorities().into_iter().map(|der| der.to_vec()).collect());
    }
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}

async fn serve_metrics(config: &Config, source: server::metrics::Source, client: &Client) -> Result<(), Error> {
    let endpoint = &config.metrics;
    let Some(address) = endpoint.bind.socket(config.bind_host) else { return Ok(()) };
    let listener = server::bind(name::METRICS_BIND_ADDRESS, address).await?;
    if endpoint.secure {
        let tls = certificate::load(endpoint.certificate.clone(), endpoint.http2).await.map_err(server::Error::from)?;
        let authenticator = Authenticator::new(client.clone());
        tokio::spawn(server::metrics::serve_secure(listener, source, tls, authenticator));
    } else {
        tokio::spawn(server::metrics::serve_plain(listener, source));
    }
    Ok(())
}

/// Identity in the Lease: the pod's name says who it is, the suffix keeps a restarted pod apart from its predecessor.
fn identity() -> String {
    format!("{}_{}", host(), uuid::Uuid::new_v4())
}

/// Name of the pod.
fn host() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "wva-controller".to_owned())
}
