//! Load, limits and cost of each variant as the last decision saw them: for dashboards. Nobody scales by these.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wva_engine::snapshot::Variant;
use wva_engine::{Settings, Snapshot, Thresholds};

use crate::lock::lock;

/// What a series is called, what it means, and where its value comes from; `None` is not known.
type Series = (&'static str, &'static str, fn(&Variant, &Thresholds) -> Option<f64>);

/// The series of every variant.
const SERIES: [Series; 6] = [
    ("wva_variant_kv_cache_usage", "Mean used share of the KV cache of a variant's replicas, 0 to 1", |variant, _| {
        Some(variant.load()?.kv_usage)
    }),
    ("wva_variant_queue_length", "Mean number of requests that wait in a variant's replica", |variant, _| {
        Some(variant.load()?.queue_length)
    }),
    (
        "wva_variant_kv_cache_threshold",
        "Share of the KV cache from which a replica of the variant is saturated",
        |_, thresholds| Some(thresholds.kv_cache_threshold),
    ),
    (
        "wva_variant_queue_length_threshold",
        "Waiting requests from which a replica of the variant is saturated",
        |_, thresholds| Some(thresholds.queue_length_threshold),
    ),
    ("wva_variant_max_replicas", "Most replicas that the autoscaler of the variant allows", |variant, _| {
        variant.bounds.max.map(f64::from)
    }),
    (
        "wva_variant_replica_cost",
        "Cost of one replica of the variant for an hour, in the currency of variantCost",
        |variant, _| Some(variant.cost),
    ),
];

/// The published loads.
#[derive(Clone, Debug)]
pub struct Loads {
    families: [Family<Labels, Gauge<f64, AtomicU64>>; SERIES.len()],
    /// The variants that have series.
    shown: Arc<Mutex<BTreeSet<Labels>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Labels {
    variant_name: String,
    namespace: String,
}

impl Loads {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let loads = Self { families: std::array::from_fn(|_| Family::default()), shown: Arc::default() };
        for (family, (name, help, _)) in loads.families.iter().zip(SERIES) {
            registry.register(name, help, family.clone());
        }
        loads
    }

    /// Shows what a decision saw, in the place of what the one before did.
    pub fn show(&self, snapshot: &Snapshot, settings: &Settings) {
        let mut now = BTreeSet::new();
        for model in &snapshot.models {
            let thresholds = settings.thresholds_of(&model.key);
            for variant in &model.variants {
                let labels = Labels { variant_name: variant.name.clone(), namespace: model.key.namespace.clone() };
                for (family, (_, _, value)) in self.families.iter().zip(SERIES) {
                    match value(variant, thresholds) {
                        Some(value) => {
                            family.get_or_create(&labels).set(value);
                        }
                        None => {
                            family.remove(&labels);
                        }
                    }
                }
                now.insert(labels);
            }
        }
        let mut shown = lock(&self.shown);
        for gone in shown.difference(&now) {
            for family in &self.families {
                family.remove(gone);
            }
        }
        *shown = now;
    }

    /// Shows nothing more.
    pub fn clear(&self) {
        self.show(&Snapshot::default(), &Settings::default());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use wva_api::Instance;

    use super::*;
    use crate::metrics::Metrics;

    /// One variant of one model, with this use of its KV cache.
    pub(crate) fn snapshot(kv: Option<f64>) -> Snapshot {
        let reading = |value: f64| json!({"value": value, "age": "PT5S"});
        let sample = kv.map(|kv| json!({"model_id": "m", "kv_usage": reading(kv), "queue_length": reading(3.0)}));
        let pod = json!({"name": "llama-1", "ready": {"ready": {"since": "2026-01-02T03:00:00Z"}}, "sample": sample});
        let variant = json!({
            "name": "llama", "accelerator": "A100", "cost": 40.0, "spec_replicas": 1, "current": 1, "desired": 1,
            "bounds": {"min": 1, "max": 8}, "gpus_per_replica": 1, "pods": [pod],
        });
        let key = json!({"namespace": "ns", "model_id": "m"});
        serde_json::from_value(json!({"models": [{"key": key, "source": "answered", "variants": [variant]}]})).unwrap()
    }

    fn series(metrics: &Metrics) -> Vec<String> {
        let text = metrics.encode(true).unwrap();
        text.lines().filter(|line| line.starts_with("wva_variant_")).map(str::to_owned).collect()
    }

    #[test]
    fn load_thresholds_limit_and_cost_of_a_variant_as_a_dashboard_reads_them() {
        let metrics = Metrics::new(&Instance::parse("team-a").unwrap());
        metrics.loads.show(&snapshot(Some(0.55)), &Settings::default());
        insta::assert_snapshot!(series(&metrics).join("\n"), @r#"
        wva_variant_kv_cache_usage{controller_instance="team-a",variant_name="llama",namespace="ns"} 0.55
        wva_variant_queue_length{controller_instance="team-a",variant_name="llama",namespace="ns"} 3.0
        wva_variant_kv_cache_threshold{controller_instance="team-a",variant_name="llama",namespace="ns"} 0.8
        wva_variant_queue_length_threshold{controller_instance="team-a",variant_name="llama",namespace="ns"} 5.0
        wva_variant_max_replicas{controller_instance="team-a",variant_name="llama",namespace="ns"} 8.0
        wva_variant_replica_cost{controller_instance="team-a",variant_name="llama",namespace="ns"} 40.0
        "#);
    }

    #[test]
    fn a_load_that_is_not_known_is_no_zero_and_what_is_gone_is_gone() {
        let metrics = Metrics::new(&Instance::default());
        metrics.loads.show(&snapshot(Some(0.55)), &Settings::default());
        metrics.loads.show(&snapshot(None), &Settings::default());
        assert!(!series(&metrics).iter().any(|line| line.contains("usage") || line.contains("queue_length{")));
        assert_eq!(series(&metrics).len(), 4, "{:?}", series(&metrics));
        metrics.loads.clear();
        assert_eq!(series(&metrics), Vec::<String>::new());
    }
}
