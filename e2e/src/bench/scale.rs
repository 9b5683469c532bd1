//! Figures of one controller with a fleet of a given size: memory, time and processor per cycle, traffic, reaction.
//!
//! The API server and Prometheus are real ones; the pods are objects only, and one exporter reports for all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use kubesim::apiserver::{self, Server};
use wva_api::{VariantAutoscaling, conditions, metrics};

use super::controller::{self, Controller, Metrics};
use super::exporter::{Exporter, Load};
use super::fleet::{self, Fleet, namespaced};
use super::summary::Summary;
use crate::programs;
use crate::prometheus::{self, Prometheus};
use crate::scrape::{Job, Target};
use crate::wait::{self, Look};

/// Interval while cycles are measured: long enough for a pause between two of them that is worth measuring.
const INTERVAL: &str = "15s";
/// How long processor time is taken between two cycles.
const PAUSE: Duration = Duration::from_secs(8);
/// Quiet cycles that are measured.
const CYCLES: f64 = 3.0;
/// Targets that are created to see how soon the condition says so.
const CREATIONS: usize = 20;
/// Models that are saturated to see how soon the gauge says so.
const SATURATIONS: usize = 5;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// The figures could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error(transparent)]
    Server(#[from] apiserver::Error),
    /// A file or an address.
    #[error("preparing the measurement ({what}): {source}")]
    Prepare {
        /// What was done.
        what: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fleet.
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
    /// Prometheus.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    /// A program is missing.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The controller.
    #[error(transparent)]
    Controller(#[from] controller::Error),
    /// Something did not happen.
    #[error(transparent)]
    TimedOut(#[from] wait::TimedOut),
    /// The API server refused to tell.
    #[error("reading the fleet back: {0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What was measured with one fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// The fleet.
    pub fleet: Fleet,
    /// Resident memory after the first cycles, in KiB.
    pub resident_kib: u64,
    /// Mean duration of a quiet cycle.
    pub cycle: Duration,
    /// Mean processor time of a quiet cycle.
    pub cycle_cpu: Duration,
    /// Share of one core used between two cycles.
    pub idle_cores: f64,
    /// Prometheus queries of a cycle.
    pub queries: f64,
    /// `VariantAutoscaling` objects written in a quiet cycle, as their resourceVersions tell.
    pub writes: f64,
    /// Longest time for which the controller's index was locked, from its start on.
    pub index_lock: Duration,
    /// From the creation of a Deployment to `Ready=True` of its variant.
    pub condition: Summary,
    /// From saturation visible in Prometheus to the changed gauge, at the default interval.
    pub gauge: Summary,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fleet, resident_kib, cycle, cycle_cpu, idle_cores, queries, writes, index_lock, condition, gauge } =
            self;
        let Fleet { variants, pods } = fleet;
        let mib = f64::from(u32::try_from(*resident_kib).unwrap_or(u32::MAX)) / 1024.0;
        writeln!(f, "{variants} variants with {pods} pods each")?;
        writeln!(f, "  controller RSS                      {mib:.1} MiB")?;
        writeln!(f, "  quiet cycle, wall                   {:.1} ms", cycle.as_secs_f64() * 1e3)?;
        writeln!(f, "  quiet cycle, processor              {:.1} ms", cycle_cpu.as_secs_f64() * 1e3)?;
        writeln!(f, "  between cycles                      {idle_cores:.4} cores")?;
        writeln!(f, "  Prometheus queries a cycle          {queries:.2}")?;
        writeln!(f, "  variants written in a quiet cycle   {writes:.2}")?;
        writeln!(f, "  index locked, longest               {:.1} ms", index_lock.as_secs_f64() * 1e3)?;
        writeln!(f, "  target created to Ready             {condition} (median / p90 / max of {CREATIONS})")?;
        write!(f, "  saturation in Prometheus to gauge   {gauge} (median / p90 / max of {SATURATIONS})")
    }
}

/// Everything that runs beside the controller.
struct Stage {
    fleet: Fleet,
    server: Server,
    client: Client,
    prometheus: Prometheus,
    exporter: Exporter,
    program: PathBuf,
    hybrid: bool,
    dir: PathBuf,
}

/// Measures `program` with `fleet`, with files in `dir`; in hybrid mode too, if asked for.
///
/// # Errors
/// When something cannot be started or does not happen in time; nothing is left running.
pub async fn measure(dir: &Path, program: &Path, fleet: Fleet, hybrid: bool) -> Result<Figures, Error> {
    let stage = Stage::set(dir, program, fleet, hybrid).await?;
    let figures = stage.figures().await;
    let Stage { server, prometheus, .. } = stage;
    prometheus.stop().await;
    server.shutdown().await;
    figures
}

impl Stage {
    async fn set(dir: &Path, program: &Path, fleet: Fleet, hybrid: bool) -> Result<Self, Error> {
        let prepare = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| Error::Prepare {
            what: what.to_owned(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(|error| prepare("making its folder", error.into()))?;
        let server = Server::start(apiserver::Options::default()).await?;
        let kubeconfig = dir.join("kubeconfig");
        std::fs::write(&kubeconfig, server.kubeconfig(None))
            .map_err(|e| prepare("writing the kubeconfig", e.into()))?;
        let client = client(&kubeconfig).await?;
        let crd = wva_api::crd::crd().map_err(|error| prepare("reading the CRD", error.into()))?;
        let crd: CustomResourceDefinition =
            serde_json::from_value(crd).map_err(|error| prepare("reading the CRD", error.into()))?;
        let crds = Api::all(client.clone());
        crds.create(&PostParams::default(), &crd).await.map_err(|error| prepare("installing the CRD", error.into()))?;
        fleet.create(&client).await?;
        let [a, b] = server.network();
        let own = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 2)), port);
        // Variants that get their target later have load from the start: that is not what is measured.
        let reported = Fleet { variants: fleet.variants + CREATIONS, ..fleet };
        if hybrid {
            reported.promise(&client).await?;
        }
        let exporter =
            Exporter::start(own(8000), reported, hybrid).await.map_err(|e| prepare("serving metrics", e.into()))?;
        let prometheus =
            Prometheus::start(&programs::prometheus()?, &dir.join("prometheus"), own(9090), scrape_interval(fleet))
                .await?;
        prometheus.set_jobs(&[job(exporter.address())]).await?;
        let all = fleet.variants * fleet.pods;
        let stage = Self {
            fleet,
            server,
            client,
            prometheus,
            exporter,
            program: program.to_owned(),
            hybrid,
            dir: dir.to_owned(),
        };
        let seen = if hybrid {
            // A rate takes two scrapes; what is not known yet is said once, which is no quiet cycle.
            format!("count(rate({}[10s]))", metrics::VLLM_REQUEST_SUCCESS_TOTAL)
        } else {
            format!("count({})", metrics::VLLM_KV_CACHE_USAGE)
        };
        wait::until("all series in Prometheus", PATIENCE, || async {
            match stage.value(&seen).await {
                Ok(count) if count >= to_f64(all) => Look::Done(()),
                seen => Look::NotYet(format!("{seen:?}")),
            }
        })
        .await?;
        Ok(stage)
    }

    async fn figures(&self) -> Result<Figures, Error> {
        let controller = self.start(Some(INTERVAL))?;
        self.settled(&controller).await?;
        let resident_kib = controller.resident_kib()?;
        let (idle_cores, quiet) = self.quiet_cycles(&controller).await?;
        let condition = self.conditions().await?;
        controller.stop().await;
        let controller = self.start(None)?;
        self.settled(&controller).await?;
        let gauge = self.gauges(&controller).await?;
        controller.stop().await;
        let Quiet { cycle, cycle_cpu, queries, writes, index_lock } = quiet;
        Ok(Figures {
            fleet: self.fleet,
            resident_kib,
            cycle,
            cycle_cpu,
            idle_cores,
            queries,
            writes,
            index_lock,
            condition,
            gauge,
        })
    }

    fn start(&self, interval: Option<&str>) -> Result<Controller, Error> {
        let [a, b] = self.server.network();
        Ok(Controller::start(controller::Settings {
            program: &self.program,
            kubeconfig: &self.dir.join("kubeconfig"),
            prometheus: self.prometheus.client().url(),
            metrics: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 3)), 8080),
            interval,
            hybrid_in: self.hybrid.then(|| self.fleet.namespace(0)),
            log: self.dir.join("controller.log"),
        })?)
    }

    /// Waits until every variant is published and every status written.
    async fn settled(&self, controller: &Controller) -> Result<(), Error> {
        wait::until("all variants published and reported", PATIENCE, || async {
            let published = match controller.metrics().await {
                Ok(metrics) => metrics.count(metrics::DESIRED_REPLICAS),
                Err(error) => return Look::NotYet(error.to_string()),
            };
            match self.variants().await {
                Ok(variants) => {
                    let reported = variants.values().filter(|(_, reported)| *reported).count();
                    if published >= self.fleet.variants && reported >= self.fleet.variants {
                        Look::Done(())
                    } else {
                        Look::NotYet(format!("{published} published, {reported} reported"))
                    }
                }
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }

    async fn quiet_cycles(&self, controller: &Controller) -> Result<(f64, Quiet), Error> {
        let next = async |after: f64| {
            wait::until("the next cycle", PATIENCE, || async {
                match controller.metrics().await {
                    Ok(metrics) if cycles(&metrics) > after => Look::Done(metrics),
                    seen => Look::NotYet(format!("{:?} cycles", seen.map(|metrics| cycles(&metrics)))),
                }
            })
            .await
        };
        let first = next(cycles(&controller.metrics().await?)).await?;
        let (cpu, at, objects) = (controller.cpu()?, Instant::now(), self.variants().await?);
        tokio::time::sleep(PAUSE).await;
        let idle_cores = controller.cpu()?.saturating_sub(cpu).as_secs_f64() / at.elapsed().as_secs_f64();
        let last = next(cycles(&first) + CYCLES - 1.0).await?;
        let busy = controller.cpu()?.saturating_sub(cpu).as_secs_f64() - idle_cores * at.elapsed().as_secs_f64();
        let now = self.variants().await?;
        let written =
            now.iter().filter(|(name, (version, _))| objects.get(*name).is_some_and(|(before, _)| before != version));
        let written = to_f64(written.count());
        let done = cycles(&last) - cycles(&first);
        let grew = |name: &str, labels: &[&str]| last.sum(name, labels) - first.sum(name, labels);
        let aside = ["query=\"probe\"", "query=\"near_limits\""];
        let queries = grew("wva_prometheus_queries_total", &[])
            - aside.iter().map(|label| grew("wva_prometheus_queries_total", &[label])).sum::<f64>();
        let quiet = Quiet {
            cycle: seconds(grew("wva_cycle_duration_seconds_sum", &[]) / done),
            cycle_cpu: seconds(busy / done),
            queries: queries / done,
            writes: written / done,
            index_lock: seconds(last.sum("wva_longest_index_lock_seconds", &[])),
        };
        Ok((idle_cores, quiet))
    }

    /// Creates targets of variants that wait for them.
    async fn conditions(&self) -> Result<Summary, Error> {
        let mut took = Vec::new();
        for variant in self.fleet.variants..self.fleet.variants + CREATIONS {
            self.fleet.watched(&self.client, variant).await?;
            self.ready(variant, "False").await?;
            let ready = self.ready(variant, "True");
            let started = Instant::now();
            let (created, seen) = tokio::join!(self.fleet.target(&self.client, variant), ready);
            created?;
            seen?;
            took.push(started.elapsed());
        }
        Ok(Summary::of(took))
    }

    /// Waits until the condition `Ready` of a variant has a status.
    async fn ready(&self, variant: usize, status: &str) -> Result<(), Error> {
        let api = namespaced::<VariantAutoscaling>(&self.client, &self.fleet.namespace(variant));
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.fleet.name(variant)));
        let mut seen = std::pin::pin!(watcher(api, config).default_backoff().applied_objects());
        let found = async {
            while let Some(variant) = seen.next().await {
                let variant = variant.map_err(|error| Error::Read(error.into()))?;
                let conditions = variant.status.map(|status| status.conditions).unwrap_or_default();
                if conditions::find(&conditions, conditions::READY).is_some_and(|ready| ready.status == status) {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, found).await.map_err(|error| Error::Read(error.into()))?
    }

    /// Saturates models one after the other.
    async fn gauges(&self, controller: &Controller) -> Result<Summary, Error> {
        let mut took = Vec::new();
        for variant in 0..SATURATIONS.min(self.fleet.variants) {
            self.exporter.set(variant, Load::SATURATED);
            let pod = format!("max({}{{model_name=\"{}\"}})", metrics::VLLM_KV_CACHE_USAGE, self.fleet.model(variant));
            wait::until("saturation visible in Prometheus", PATIENCE, || async {
                match self.value(&pod).await {
                    Ok(value) if value >= Load::SATURATED.kv_usage => Look::Done(()),
                    seen => Look::NotYet(format!("{seen:?}")),
                }
            })
            .await?;
            let started = Instant::now();
            let name = format!("variant_name=\"{}\"", self.fleet.name(variant));
            wait::until("the gauge to ask for a replica", PATIENCE, || async {
                match controller.metrics().await {
                    Ok(metrics) => match metrics.sum(metrics::DESIRED_REPLICAS, &[&name]) {
                        desired if desired > to_f64(self.fleet.pods) => Look::Done(()),
                        desired => Look::NotYet(format!("desired {desired}")),
                    },
                    Err(error) => Look::NotYet(error.to_string()),
                }
            })
            .await?;
            took.push(started.elapsed());
        }
        Ok(Summary::of(took))
    }

    /// Version of each variant, and whether the controller has said something about its metrics.
    async fn variants(&self) -> Result<BTreeMap<String, (String, bool)>, Error> {
        let api = Api::<VariantAutoscaling>::all(self.client.clone());
        let list = api.list(&ListParams::default()).await.map_err(|error| Error::Read(error.into()))?;
        let entry = |variant: VariantAutoscaling| {
            let conditions = variant.status.map(|status| status.conditions).unwrap_or_default();
            let reported = conditions::find(&conditions, conditions::METRICS_AVAILABLE).is_some();
            let metadata = variant.metadata;
            let name = format!("{}/{}", metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
            (name, (metadata.resource_version.unwrap_or_default(), reported))
        };
        Ok(list.into_iter().map(entry).collect())
    }

    async fn value(&self, promql: &str) -> Result<f64, prometheus::Error> {
        Ok(self.prometheus.client().query(promql).await?.first().map_or(0.0, |series| series.value))
    }
}

/// Figures of cycles in which nothing changes.
struct Quiet {
    cycle: Duration,
    cycle_cpu: Duration,
    queries: f64,
    writes: f64,
    index_lock: Duration,
}

/// A second, but longer for more pods than two cores can report, scrape and decide on within one.
fn scrape_interval(fleet: Fleet) -> Duration {
    if fleet.variants * fleet.pods > 2000 { Duration::from_secs(5) } else { Duration::from_secs(1) }
}

fn cycles(metrics: &Metrics) -> f64 {
    metrics.sum("wva_cycle_duration_seconds_count", &[])
}

async fn client(kubeconfig: &Path) -> Result<Client, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Prepare {
        what: "connecting to the API server".to_owned(),
        source,
    };
    let file = kube::config::Kubeconfig::read_from(kubeconfig).map_err(|error| failed(error.into()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await;
    Client::try_from(config.map_err(|error| failed(error.into()))?).map_err(|error| failed(error.into()))
}

fn job(address: SocketAddr) -> Job {
    Job {
        name: "fleet".to_owned(),
        interval: None,
        scheme: "http".to_owned(),
        path: "/metrics".to_owned(),
        insecure_skip_verify: false,
        metric_relabelings: Vec::new(),
        bearer: None,
        targets: vec![Target { address: address.to_string(), labels: Vec::new() }],
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Counts here are far below 2^32.
fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
