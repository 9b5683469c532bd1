//! Wiring: which tasks there are and how the process ends. Nothing is decided here.

mod ending;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;
use wva_api::{config_keys as name, config_maps};

use self::ending::{CYCLE, ELECTION, EVENTS, METRICS, PROBES, Running, STATUS, Signals, fails};
use crate::actuate::wake::{self, WakeTask, Waker};
use crate::cluster::scale::Scales;
use crate::cluster::targets::Targets;
use crate::cluster::{inventory, keda, pools, watch};
use crate::config::live::watch::Follow;
use crate::config::live::{self, LiveSettings};
use crate::config::sources::Sources;
use crate::config::{Config, Early};
use crate::cycle::{Cycle, Partners};
use crate::metrics::Metrics;
use crate::observe::gateway::scrape::Scraper;
use crate::observe::prometheus::{Prometheus, Queries, Selector, Transport};
use crate::ownership::handover::farewell::Scrapers;
use crate::ownership::leader::elector::Elector;
use crate::ownership::leader::lease::LeaseApi;
use crate::ownership::leader::{Election, Leadership};
use crate::report::events::{EventSender, EventWriter, ReportingController};
use crate::report::reporter::Reporter;
use crate::report::status_writer::StatusWriter;
use crate::serve;
use crate::serve::auth::Authenticator;
use crate::serve::{certificate, health};
use crate::shared::Shared;
use crate::tasks::Tasks;
use crate::telemetry;
use crate::triggers::gateway::Listener;
use crate::triggers::saturation::SaturationWatcher;
use crate::trust;

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
    Prometheus(#[from] crate::observe::prometheus::SetupError),
    /// Endpoint pickers cannot be asked with this configuration.
    #[error(transparent)]
    Pickers(#[from] crate::observe::gateway::scrape::SetupError),
    /// A port cannot be served.
    #[error(transparent)]
    Server(#[from] serve::Error),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the controller until it is asked to stop, or until one of its tasks ends: a controller that lacks one looks alive
/// and is not, and a standby or its next start does better.
///
/// # Errors
/// When it cannot start.
pub async fn run(early: Early, mut sources: Sources) -> Result<ExitCode, Error> {
    let mut signals = Signals::new().map_err(Error::Signals)?;
    let (shared, mut tasks) = (Arc::new(Shared::default()), Tasks::default());
    // All gates are closed before anybody can ask: a first "ready" would let a roll-out replace a working controller.
    let watching = shared.lists.gate("configuration, and what is to be watched");
    let prometheus_answers = shared.answers.gate("first answer of Prometheus");
    let mut probes = Probes::default();
    probes.serve(&mut tasks, early.probes.socket(early.bind_host), &shared).await?;
    let client = client().await?;
    let config = tokio::select! {
        config = configure(&early, &mut sources, &client, &shared) => config?,
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
        ended = tasks.next_end() => return Ok(fails(&ended)),
    };
    probes.serve(&mut tasks, config.probes.socket(config.bind_host), &shared).await?;
    let metrics = Metrics::new(&config.scope.instance);
    announce(&config);

    let transport = Transport::new(&config.prometheus)?;
    let queries =
        Queries::new(config.metrics_window, Selector::new(&config.scope.namespaces, &config.prometheus.matchers));
    let prometheus = Prometheus::new(transport, queries, metrics.prometheus.clone());
    let from_zero = &config.from_zero;
    let scraper = Scraper::new(from_zero.epp_token.as_ref())?;
    watch::start(&mut tasks, &client, &config.scope, &shared);
    keda::start(&mut tasks, &client, &config.scope, &shared);
    let scales = Arc::new(Scales::new(client.clone()));
    let targets = Targets::new(client.clone(), Arc::clone(&scales), &config.scope, Arc::clone(&shared));
    tasks.spawn("targets", targets.run());
    tasks.spawn("inventory", inventory::watch::run(client.clone(), config.node_selector.clone(), Arc::clone(&shared)));
    pools::watch::start(&mut tasks, &client, &config.scope, from_zero.pool_group, &shared);
    let stop = CancellationToken::new();
    let manager = config.scope.instance.field_manager();
    let lease = config.election.as_ref().map(|election| {
        let lease = LeaseApi::new(client.clone(), &config.pod_namespace, &election.lease_name, manager.clone());
        (election, identity(), lease)
    });
    let (leadership, election) = match &lease {
        None => (Leadership::always(), None),
        Some((election, identity, lease)) => {
            let elector = Elector::new(identity.clone(), election);
            let (leadership, election) = Election::new(elector, lease.clone(), Arc::clone(&shared));
            (leadership, Some(election))
        }
    };
    let scrapers = Arc::new(Scrapers::default());
    let source = serve::metrics::Source {
        metrics: metrics.clone(),
        leadership: leadership.clone(),
        scrapers: Arc::clone(&scrapers),
    };
    serve_metrics(&mut tasks, &config, source, &client).await?;
    let reporter = ReportingController { manager: manager.clone(), identity: telemetry::host() };
    let (events, event_writer) =
        EventWriter::new(client.clone(), reporter, config.rest_timeout, leadership.clone(), metrics.events.clone());
    tasks.spawn_fed(EVENTS, CYCLE, event_writer.run());
    let asleep = Asleep { scales, scraper, leadership: &leadership, events: &events, metrics: &metrics };
    let waker = asleep.start(&mut tasks, &config, &shared, &stop);
    let settings = LiveSettings::new(&config, sources, events.clone());
    let follow = Follow { settings: settings.clone(), shared: Arc::clone(&shared) };
    live::watch::start(&mut tasks, &client, &config, &early.config_map, &follow);
    let (status, writer) = StatusWriter::new(
        client,
        config.scope.clone(),
        config.rest_timeout,
        leadership.clone(),
        Arc::clone(&shared),
        metrics.status.clone(),
    );
    tasks.spawn_fed(STATUS, CYCLE, writer.run());
    tasks
        .spawn("saturation", SaturationWatcher::new(prometheus.clone(), Arc::clone(&shared), leadership.clone()).run());
    let partners = Partners {
        prometheus: prometheus.clone(),
        prometheus_answers,
        settings: settings.clone(),
        reporter: Reporter::new(status, events, Arc::clone(&shared), metrics.cycle.safety_net_activations.clone()),
        waker,
    };
    let cycle = Cycle::new(&config, partners, Arc::clone(&shared), metrics.clone(), leadership.clone());
    tasks.spawn_on_a_thread(CYCLE, cycle.run(stop.child_token()));
    if let (Some(election), Some((_, _, lease))) = (election, &lease) {
        let good = settings.clone();
        lease.remembers(move || good.last_good());
        tasks.spawn(ELECTION, election.run(stop.child_token()));
    }
    watching.open();

    let running = Running {
        tasks,
        signals,
        stop,
        metrics,
        prometheus,
        instance: config.scope.instance.clone(),
        scrapers,
        leadership,
        lease: lease.map(|(_, identity, lease)| (identity, lease)),
    };
    Ok(running.until_end().await)
}

/// What waking sleeping models needs.
struct Asleep<'a> {
    scales: Arc<Scales>,
    scraper: Scraper,
    leadership: &'a Leadership,
    events: &'a EventSender,
    metrics: &'a Metrics,
}

impl Asleep<'_> {
    /// Starts listening at gateways, and scaling what is to wake.
    fn start(self, tasks: &mut Tasks, config: &Config, shared: &Arc<Shared>, stop: &CancellationToken) -> Waker {
        let Self { scales, scraper, leadership, events, metrics } = self;
        let parts = wake::Parts {
            scales,
            manager: config.scope.instance.field_manager(),
            timeout: config.rest_timeout,
            concurrency: config.from_zero.concurrency,
            leadership: leadership.clone(),
            shared: Arc::clone(shared),
            events: events.clone(),
            metrics: metrics.zero.clone(),
        };
        let (waker, wake_task) = WakeTask::new(parts);
        tasks.spawn_fed("wake", CYCLE, wake_task.run());
        let listener = Listener::new(
            config.scope.clone(),
            Arc::clone(shared),
            scraper,
            config.from_zero.concurrency,
            leadership.clone(),
            metrics.zero.clone(),
        );
        tasks.spawn("gateway", listener.run(stop.child_token()));
        waker
    }
}

/// Completes the configuration by the main ConfigMap, which is waited for.
async fn configure(
    early: &Early,
    sources: &mut Sources,
    client: &Client,
    shared: &Arc<Shared>,
) -> Result<Config, Error> {
    let read = live::start::main_config_map(client, early, &shared.lists).await;
    let config = live::last_good::resolve(client, early, sources, read).await?;
    telemetry::set_level(config.live.level);
    Ok(config)
}

/// The server of probes. It answers from the first second, and moves when the main ConfigMap says where to.
#[derive(Default)]
struct Probes {
    address: Option<SocketAddr>,
}

impl Probes {
    async fn serve(
        &mut self,
        tasks: &mut Tasks,
        address: Option<SocketAddr>,
        shared: &Arc<Shared>,
    ) -> Result<(), Error> {
        if self.address == address {
            return Ok(());
        }
        tasks.cancel(PROBES);
        if let Some(address) = address {
            let listener = serve::bind(name::HEALTH_PROBE_BIND_ADDRESS, address).await?;
            tasks.spawn(PROBES, health::serve(listener, Arc::clone(shared)));
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
    if config.prometheus.url.expose().scheme() == "http" {
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

async fn serve_metrics(
    tasks: &mut Tasks,
    config: &Config,
    source: serve::metrics::Source,
    client: &Client,
) -> Result<(), Error> {
    let endpoint = &config.metrics;
    let Some(address) = endpoint.bind.socket(config.bind_host) else { return Ok(()) };
    let listener = serve::bind(name::METRICS_BIND_ADDRESS, address).await?;
    if endpoint.secure {
        let tls =
            certificate::load(tasks, endpoint.certificate.clone(), endpoint.http2).await.map_err(serve::Error::from)?;
        let authenticator = Authenticator::new(client.clone());
        tasks.spawn(METRICS, serve::metrics::serve_secure(listener, source, tls, authenticator));
    } else {
        tasks.spawn(METRICS, serve::metrics::serve_plain(listener, source));
    }
    Ok(())
}

/// Identity in the Lease: the pod's name says who it is, the suffix keeps a restarted pod apart from its predecessor.
fn identity() -> String {
    format!("{}_{}", telemetry::host(), uuid::Uuid::new_v4())
}
