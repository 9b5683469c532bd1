//! Metrics of this process, in `OpenMetrics` text.
//!
//! [`published`] is what others scale by; everything else here is about the controller's own health.

mod loads;
pub mod published;
mod zero;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use wva_api::Instance;

pub use self::loads::Loads;
pub use self::published::Published;
pub use self::zero::ZeroMetrics;

/// All metrics, and the registry they are encoded from.
#[derive(Clone, Debug)]
pub struct Metrics {
    health: Arc<Registry>,
    /// What only a leader may say.
    leaders: Arc<Registry>,
    /// What others scale by.
    pub published: Published,
    /// What the last decision saw.
    pub loads: Loads,
    /// The decision cycle.
    pub cycle: CycleMetrics,
    /// Queries to Prometheus.
    pub prometheus: PrometheusMetrics,
    /// Writes of status.
    pub status: WriteMetrics,
    /// Writes of events.
    pub events: WriteMetrics,
    /// Scaling to zero and from zero.
    pub zero: ZeroMetrics,
    leader: Gauge,
    silent: Arc<AtomicBool>,
}

/// Metrics of the decision cycle.
#[derive(Clone, Debug)]
pub struct CycleMetrics {
    /// Duration of a cycle, queries included.
    pub duration: Histogram,
    /// Decisions by class of their reason.
    pub decisions: Family<ReasonLabel, Counter>,
    /// Variants held because metrics allow no decision.
    pub safety_net: Gauge,
    /// Times a variant went from decided to held.
    pub safety_net_activations: Counter,
    /// Variants by what is done with them.
    pub variants: Family<ClaimLabel, Gauge>,
    /// Variants refused because of a conflict, by its kind.
    pub conflicts: Family<ConflictLabel, Gauge>,
    /// Time of the last cycle that ended, in seconds since 1970.
    pub last_success: Gauge<f64, AtomicU64>,
    /// Longest time for which the index of the cluster was locked, in seconds.
    pub longest_index_lock: Gauge<f64, AtomicU64>,
}

/// Metrics of queries to Prometheus.
#[derive(Clone, Debug)]
pub struct PrometheusMetrics {
    duration: Histogram,
    queries: Family<QueryLabel, Counter>,
    failures: Family<QueryLabel, Counter>,
}

/// Metrics of a task that writes to the API server.
#[derive(Clone, Debug)]
pub struct WriteMetrics {
    writes: Family<OutcomeLabel, Counter>,
}

/// Class of a decision's reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// From a closed set.
    pub reason: &'static str,
}

/// What is done with a variant: `managed`, or why it is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClaimLabel {
    /// From a closed set.
    pub claim: &'static str,
}

/// Kind of a conflict: over a `target`, or with another `instance`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConflictLabel {
    /// From a closed set.
    pub kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabel {
    query: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// 5 ms to 10 s: a quiet cycle takes a few milliseconds, a query is given up after ten seconds.
const BUCKETS: [f64; 9] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Metrics {
    /// Registers everything; an instance's id becomes a label of every series.
    pub fn new(instance: &Instance) -> Self {
        let constant = instance.metric_label().map(|(name, id)| (name.into(), id.to_owned().into()));
        let mut registry = Registry::with_labels(constant.clone().into_iter());
        let mut leaders = Registry::with_labels(constant.into_iter());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("wva_build", "Version of the controller", build);
        let leader = Gauge::default();
        registry.register("wva_leader", "1 while this process leads", leader.clone());
        Self {
            published: Published::register(&mut leaders),
            loads: Loads::register(&mut leaders),
            cycle: CycleMetrics::register(&mut registry),
            prometheus: PrometheusMetrics::register(&mut registry),
            status: WriteMetrics::register(&mut registry, "wva_status_writes", "Writes of status, by outcome"),
            events: WriteMetrics::register(&mut registry, "wva_event_writes", "Writes of events, by outcome"),
            zero: ZeroMetrics::register(&mut registry),
            leader,
            silent: Arc::default(),
            health: Arc::new(registry),
            leaders: Arc::new(leaders),
        }
    }

    /// Keeps back what others scale by, or shows it again.
    pub fn keep_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Whether what others scale by is kept back, at a [change of leader](crate::ownership::handover).
    pub fn are_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    /// Everything as `OpenMetrics` text. Who is not `leading` keeps to its own health: others would add up what it says
    /// and what the leader says.
    ///
    /// # Errors
    /// When a metric cannot be written as text, which would be a bug.
    pub fn encode(&self, leading: bool) -> Result<String, std::fmt::Error> {
        self.text(leading, leading)
    }

    /// The same, with or without the `numbers` that others scale by.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn text(&self, leading: bool, numbers: bool) -> Result<String, std::fmt::Error> {
        self.leader.set(leading.into());
        let mut text = String::new();
        if numbers {
            text::encode_registry(&mut text, &self.leaders)?;
        }
        text::encode_registry(&mut text, &self.health)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

impl CycleMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            duration: Histogram::new(BUCKETS),
            decisions: Family::default(),
            safety_net: Gauge::default(),
            safety_net_activations: Counter::default(),
            variants: Family::default(),
            conflicts: Family::default(),
            last_success: Gauge::default(),
            longest_index_lock: Gauge::default(),
        };
        let Self {
            duration,
            decisions,
            safety_net,
            safety_net_activations,
            variants,
            conflicts,
            last_success,
            longest_index_lock,
        } = metrics.clone();
        registry.register_with_unit("wva_cycle_duration", "Duration of a decision cycle", Unit::Seconds, duration);
        registry.register("wva_decisions", "Decisions by class of their reason", decisions);
        registry.register("wva_safety_net_active", "Variants held because metrics allow no decision", safety_net);
        registry.register(
            "wva_safety_net_activations",
            "Times a variant went from decided to held",
            safety_net_activations,
        );
        registry.register("wva_conflicts", "Variants refused because of a conflict, by its kind", conflicts);
        registry.register("wva_variants", "Variants seen, by whether they are managed", variants);
        registry.register_with_unit(
            "wva_last_cycle_timestamp",
            "Time of the last decision cycle that ended",
            Unit::Seconds,
            last_success,
        );
        registry.register_with_unit(
            "wva_longest_index_lock",
            "Longest time since the start for which the index of the cluster was locked",
            Unit::Seconds,
            longest_index_lock,
        );
        metrics
    }
}

impl PrometheusMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { duration: Histogram::new(BUCKETS), queries: Family::default(), failures: Family::default() };
        let Self { duration, queries, failures } = metrics.clone();
        registry.register_with_unit(
            "wva_prometheus_query_duration",
            "Duration of a query to Prometheus",
            Unit::Seconds,
            duration,
        );
        registry.register("wva_prometheus_queries", "Queries sent to Prometheus", queries);
        registry.register("wva_prometheus_query_failures", "Queries to Prometheus that failed", failures);
        metrics
    }

    /// Counts one query.
    pub fn observe(&self, query: &'static str, took: Duration, ok: bool) {
        self.duration.observe(took.as_secs_f64());
        self.queries.get_or_create(&QueryLabel { query }).inc();
        if !ok {
            self.failures.get_or_create(&QueryLabel { query }).inc();
        }
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The API server took it.
    Ok,
    /// The API server refused it.
    Failed,
    /// The object had changed meanwhile; it is written again over the new version.
    Conflict,
    /// The API server did not answer in time.
    TimedOut,
    /// It was not sent: this process does not lead, the object is gone, or too many were waiting.
    Dropped,
}

impl WriteMetrics {
    fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let metrics = Self { writes: Family::default() };
        registry.register(name, help, metrics.writes.clone());
        metrics
    }

    /// Counts one write.
    pub fn count(&self, outcome: WriteOutcome) {
        self.writes.get_or_create(&OutcomeLabel { outcome: outcome.name() }).inc();
    }

    /// Writes with this outcome so far.
    pub fn counted(&self, outcome: WriteOutcome) -> u64 {
        self.writes.get_or_create(&OutcomeLabel { outcome: outcome.name() }).get()
    }
}

impl WriteOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Conflict => "conflict",
            Self::TimedOut => "timed_out",
            Self::Dropped => "dropped",
        }
    }
}

#[cfg(test)]
mod tests;
