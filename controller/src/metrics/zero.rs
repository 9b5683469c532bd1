//! Metrics of scaling to zero and from zero.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Metrics of scaling to zero and from zero.
#[derive(Clone, Debug)]
pub struct ZeroMetrics {
    /// Models all of whose variants ask for no replicas.
    pub asleep: Gauge,
    scrapes: Family<OutcomeLabel, Counter>,
    scrape_duration: Histogram,
    wakes: Family<OutcomeLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A picker of the same cluster answers within milliseconds; it is given up after five seconds.
const BUCKETS: [f64; 6] = [0.005, 0.02, 0.1, 0.5, 2.0, 5.0];

impl ZeroMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            asleep: Gauge::default(),
            scrapes: Family::default(),
            scrape_duration: Histogram::new(BUCKETS),
            wakes: Family::default(),
        };
        let Self { asleep, scrapes, scrape_duration, wakes } = metrics.clone();
        registry.register("wva_models_at_zero", "Models without replicas that a request can wake", asleep);
        registry.register("wva_endpoint_picker_scrapes", "Readings of endpoint pickers' queues", scrapes);
        registry.register_with_unit(
            "wva_endpoint_picker_scrape_duration",
            "Duration of one reading of an endpoint picker's queue",
            Unit::Seconds,
            scrape_duration,
        );
        registry.register("wva_scale_from_zero", "Workloads scaled from zero for waiting requests", wakes);
        metrics
    }

    /// Counts one reading.
    pub fn scraped(&self, ok: bool, took: Duration) {
        self.scrape_duration.observe(took.as_secs_f64());
        self.scrapes.get_or_create(&outcome(ok)).inc();
    }

    /// Counts one workload scaled, or not.
    pub fn woken(&self, ok: bool) {
        self.wakes.get_or_create(&outcome(ok)).inc();
    }
}

fn outcome(ok: bool) -> OutcomeLabel {
    OutcomeLabel { outcome: if ok { "ok" } else { "failed" } }
}
