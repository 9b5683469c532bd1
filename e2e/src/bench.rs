//! Figures: how fast the environment is up, what a controller with two variants costs, what one with a large fleet costs
//! ([`scale`]), and how soon the plugin answers ([`plugin`]).

pub mod controller;
pub mod exporter;
pub mod fleet;
pub mod plugin;
pub mod scale;
pub mod summary;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wva_api::metrics;

use crate::environment::{self, Environment, Settings};
use crate::instance::{self, Controller, Model};
use crate::kubectl;
use crate::manifest;
use crate::prometheus;
use crate::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};
use crate::wait::{self, Look};
use crate::workload::{A100, H100, Vllm};

/// Namespace of the measured variants.
const NAMESPACE: &str = "bench";
/// Cycles to wait for before anything is read.
const CYCLES: f64 = 10.0;
/// How long that may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The figures could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment.
    #[error(transparent)]
    Environment(#[from] environment::Error),
    /// The controller.
    #[error(transparent)]
    Instance(#[from] instance::Error),
    /// The models.
    #[error(transparent)]
    Kubectl(#[from] kubectl::Error),
    /// A template.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The fleet.
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    /// The controller did not get going.
    #[error(transparent)]
    TimedOut(#[from] wait::TimedOut),
    /// The controller's process was not found.
    #[error("looking for the process of {}: it is not running", .0.display())]
    NoProcess(PathBuf),
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// From the start to a Kubernetes API that answers, nodes registered.
    pub cluster_ready: Duration,
    /// From the start to monitoring in place.
    pub environment_ready: Duration,
    /// Resident memory of the controller with two variants.
    pub controller_rss_kib: u64,
    /// Prometheus requests of one cycle.
    pub queries_per_cycle: f64,
    /// Mean duration of one cycle.
    pub cycle: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster_ready, environment_ready, controller_rss_kib, queries_per_cycle, cycle } = self;
        writeln!(f, "embedded cluster ready        {:.2} s", cluster_ready.as_secs_f64())?;
        writeln!(f, "environment ready             {:.2} s", environment_ready.as_secs_f64())?;
        writeln!(f, "controller RSS, 2 variants    {:.1} MiB", mib(*controller_rss_kib))?;
        writeln!(f, "Prometheus requests a cycle   {queries_per_cycle:.2}")?;
        write!(f, "cycle, mean                   {:.1} ms", cycle.as_secs_f64() * 1000.0)
    }
}

/// Takes the figures with files in `dir`, measuring the controller binary `controller`.
///
/// # Errors
/// When something cannot be started; the environment is stopped in any case.
pub async fn measure(dir: PathBuf, controller: PathBuf) -> Result<Figures, Error> {
    let settings = Settings { controller: Some(controller.clone()), ..Settings::quick(&dir) };
    let started = Instant::now();
    let mut steps = Vec::new();
    let environment = Environment::start(&settings, |_| steps.push(started.elapsed())).await?;
    let environment_ready = started.elapsed();
    let cluster_ready = steps.first().copied().unwrap_or(environment_ready);
    let outcome = controller_figures(&environment, controller).await;
    environment.stop().await;
    let (controller_rss_kib, queries_per_cycle, cycle) = outcome?;
    Ok(Figures { cluster_ready, environment_ready, controller_rss_kib, queries_per_cycle, cycle })
}

async fn controller_figures(environment: &Environment, program: PathBuf) -> Result<(u64, f64, Duration), Error> {
    let kubectl = environment.kubectl();
    let prometheus = environment.prometheus();
    Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url()).install(kubectl).await?;
    instance::make_namespace(kubectl, NAMESPACE).await?;
    for (name, gpu, cost) in [("llama-a100", A100, "40"), ("llama-h100", H100, "80")] {
        let server = Vllm::new(NAMESPACE, name, "meta-llama/Llama-3.1-8B", gpu);
        kubectl.apply(&server.manifest()?).await?;
        let model = Model { release: name, server: &server, accelerator: gpu.name, cost, max: 2, instance: "" };
        model.add(kubectl).await?;
    }
    let value = async |query: &str| -> Result<f64, prometheus::Error> {
        Ok(prometheus.query(query).await?.first().map_or(0.0, |series| series.value))
    };
    let published = format!("count({})", metrics::DESIRED_REPLICAS);
    wait::until("both variants published and ten cycles done", PATIENCE, || async {
        let seen = (value(&published).await, value("wva_cycle_duration_seconds_count").await);
        match seen {
            (Ok(variants), Ok(cycles)) if variants >= 2.0 && cycles >= CYCLES => Look::Done(()),
            seen => Look::NotYet(format!("{seen:?}")),
        }
    })
    .await?;
    let cycles = value("wva_cycle_duration_seconds_count").await?;
    // Asked before a cycle could be done: a standby's probes. They carry a query name of their own.
    let queries = value("sum(wva_prometheus_queries_total{query!=\"probe\"})").await?;
    let seconds = value("wva_cycle_duration_seconds_sum").await?;
    let rss = resident_kib(&program).ok_or(Error::NoProcess(program))?;
    Ok((rss, queries / cycles, Duration::from_secs_f64(seconds / cycles)))
}

/// `VmRSS` of the process that runs a program.
fn resident_kib(program: &PathBuf) -> Option<u64> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let process = processes
        .map(|entry| entry.path())
        .find(|path| fs::read_link(path.join("exe")).ok().as_ref() == Some(program))?;
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

/// For people: a fraction of a KiB does not matter.
fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
