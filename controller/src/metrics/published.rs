//! The series others scale by. An HPA sums whatever matches its selector, so a variant never has two series of one
//! name, and none at all once it is no longer this controller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wva_api::metrics;

use crate::cluster::index::ObjectKey;
use crate::lock::lock;

/// The published series.
#[derive(Clone, Debug)]
pub struct Published {
    desired: Family<VariantLabels, Gauge>,
    current: Family<VariantLabels, Gauge>,
    ratio: Family<VariantLabels, Gauge<f64, AtomicU64>>,
    paused: Family<PausedLabels, Gauge>,
    scalings: Family<ScalingLabels, Counter>,
    shown: Arc<Mutex<BTreeMap<ObjectKey, Shown>>>,
}

/// The series there are of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    labels: VariantLabels,
    scalings: BTreeSet<Scaling>,
}

/// One kind of change of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scaling {
    direction: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VariantLabels {
    variant_name: String,
    namespace: String,
    accelerator_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PausedLabels {
    variant_name: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScalingLabels {
    variant_name: String,
    namespace: String,
    direction: &'static str,
    reason: &'static str,
}

/// The numbers of one variant.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// Its accelerator.
    pub accelerator: &'a str,
    /// Replicas its target has.
    pub current: u32,
    /// Replicas it is to have.
    pub desired: u32,
    /// Replicas it was to have before; `None` when nobody had said so.
    pub before: Option<u32>,
    /// Class of the reason.
    pub reason: &'static str,
    /// Whether somebody holds it at a number.
    pub paused: bool,
}

impl Published {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let published = Self {
            desired: Family::default(),
            current: Family::default(),
            ratio: Family::default(),
            paused: Family::default(),
            scalings: Family::default(),
            shown: Arc::default(),
        };
        let Self { desired, current, ratio, paused, scalings, shown: _ } = published.clone();
        registry.register(metrics::DESIRED_REPLICAS, "Desired number of replicas for each variant", desired);
        registry.register(metrics::CURRENT_REPLICAS, "Current number of replicas for each variant", current);
        registry.register(
            metrics::DESIRED_RATIO,
            "Ratio of the desired number of replicas and the current number of replicas for each variant",
            ratio,
        );
        registry.register(metrics::VARIANT_PAUSED, "1 for each variant that somebody has paused", paused);
        // The encoder appends `_total` to the name of a counter.
        let scaling = metrics::REPLICA_SCALING_TOTAL.trim_end_matches("_total");
        registry.register(scaling, "Total number of replica scaling operations", scalings);
        published
    }

    /// Shows the numbers of a variant.
    pub fn publish(&self, variant: &ObjectKey, numbers: Numbers<'_>) {
        let Numbers { accelerator, current, desired, before, reason, paused } = numbers;
        let labels = VariantLabels {
            variant_name: variant.name.clone(),
            namespace: variant.namespace.clone(),
            accelerator_type: accelerator.to_owned(),
        };
        let mut shown = lock(&self.shown);
        let previous = shown.remove(variant);
        if let Some(previous) = previous.as_ref().filter(|previous| previous.labels != labels) {
            self.remove_gauges(&previous.labels);
        }
        self.desired.get_or_create(&labels).set(desired.into());
        self.current.get_or_create(&labels).set(current.into());
        self.ratio.get_or_create(&labels).set(ratio(desired, current));
        if paused {
            self.paused.get_or_create(&PausedLabels::of(variant)).set(1);
        } else {
            self.paused.remove(&PausedLabels::of(variant));
        }

        let mut scalings = previous.map(|previous| previous.scalings).unwrap_or_default();
        if let Some(direction) = direction(before.unwrap_or(current), desired) {
            let scaling = Scaling { direction, reason };
            self.scalings.get_or_create(&scaling.labels(variant)).inc();
            scalings.insert(scaling);
        }
        shown.insert(variant.clone(), Shown { labels, scalings });
    }

    /// Removes the series of a variant.
    pub fn remove(&self, variant: &ObjectKey) {
        let Some(Shown { labels, scalings }) = lock(&self.shown).remove(variant) else { return };
        self.remove_gauges(&labels);
        self.paused.remove(&PausedLabels::of(variant));
        for scaling in scalings {
            self.scalings.remove(&scaling.labels(variant));
        }
    }

    fn remove_gauges(&self, labels: &VariantLabels) {
        self.desired.remove(labels);
        self.current.remove(labels);
        self.ratio.remove(labels);
    }
}

impl PausedLabels {
    fn of(variant: &ObjectKey) -> Self {
        let ObjectKey { namespace, name } = variant.clone();
        Self { variant_name: name, namespace }
    }
}

impl Scaling {
    fn labels(self, variant: &ObjectKey) -> ScalingLabels {
        let Self { direction, reason } = self;
        let ObjectKey { namespace, name } = variant.clone();
        ScalingLabels { variant_name: name, namespace, direction, reason }
    }
}

/// Desired by current, e.g. 5/2 = 2.5; with no replicas there, the desired number itself.
fn ratio(desired: u32, current: u32) -> f64 {
    f64::from(desired) / f64::from(current.max(1))
}

fn direction(before: u32, after: u32) -> Option<&'static str> {
    match after.cmp(&before) {
        std::cmp::Ordering::Greater => Some("up"),
        std::cmp::Ordering::Less => Some("down"),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wva_api::Instance;

    use super::*;
    use crate::metrics::Metrics;

    fn numbers(accelerator: &str, current: u32, desired: u32) -> Numbers<'_> {
        Numbers { accelerator, current, desired, before: Some(current), reason: "saturation", paused: false }
    }

    fn series(metrics: &Metrics) -> Vec<String> {
        let text = metrics.encode(true).unwrap();
        let ours = ["wva_desired", "wva_current", "wva_replica_scaling"];
        text.lines().filter(|line| ours.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
    }

    #[test]
    fn the_series_of_a_variant_as_others_read_them() {
        let metrics = Metrics::new(&Instance::parse("team-a").unwrap());
        metrics.published.publish(&ObjectKey::new("ns", "llama"), numbers("A100", 2, 5));
        insta::assert_snapshot!(series(&metrics).join("\n"), @r#"
        wva_desired_replicas{controller_instance="team-a",variant_name="llama",namespace="ns",accelerator_type="A100"} 5
        wva_current_replicas{controller_instance="team-a",variant_name="llama",namespace="ns",accelerator_type="A100"} 2
        wva_desired_ratio{controller_instance="team-a",variant_name="llama",namespace="ns",accelerator_type="A100"} 2.5
        wva_replica_scaling_total{controller_instance="team-a",variant_name="llama",namespace="ns",direction="up",reason="saturation"} 1
        "#);
    }

    #[test]
    fn without_an_instance_there_is_no_instance_label() {
        let metrics = Metrics::new(&Instance::default());
        metrics.published.publish(&ObjectKey::new("ns", "llama"), numbers("A100", 1, 1));
        assert!(series(&metrics).iter().all(|line| !line.contains("controller_instance")));
    }

    #[test]
    fn a_new_accelerator_replaces_the_series() {
        let metrics = Metrics::new(&Instance::default());
        let variant = ObjectKey::new("ns", "llama");
        metrics.published.publish(&variant, numbers("unknown", 1, 1));
        metrics.published.publish(&variant, numbers("A100", 1, 1));
        assert_eq!(series(&metrics).len(), 3);
        assert!(series(&metrics).iter().all(|line| line.contains("A100")));
    }

    #[test]
    fn scalings_are_counted_when_the_published_target_changes() {
        let metrics = Metrics::new(&Instance::default());
        let variant = ObjectKey::new("ns", "llama");
        let mut before = None;
        for (current, desired) in [(1, 2), (1, 2), (2, 2), (2, 3), (3, 2)] {
            metrics.published.publish(&variant, Numbers { before, ..numbers("A100", current, desired) });
            before = Some(desired);
        }
        let counts: Vec<String> = series(&metrics).into_iter().filter(|line| line.contains("scaling")).collect();
        assert!(counts.iter().any(|line| line.contains(r#"direction="up""#) && line.ends_with(" 2")), "{counts:?}");
        assert!(counts.iter().any(|line| line.contains(r#"direction="down""#) && line.ends_with(" 1")), "{counts:?}");
    }

    #[test]
    fn a_pause_shows_while_it_lasts() {
        let metrics = Metrics::new(&Instance::default());
        let variant = ObjectKey::new("ns", "llama");
        let shown = || {
            metrics
                .encode(true)
                .unwrap()
                .lines()
                .filter(|line| line.starts_with("wva_variant_paused{"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        metrics.published.publish(&variant, Numbers { paused: true, ..numbers("A100", 1, 1) });
        assert_eq!(shown(), [r#"wva_variant_paused{variant_name="llama",namespace="ns"} 1"#]);
        metrics.published.publish(&variant, numbers("A100", 1, 1));
        assert!(shown().is_empty());
        metrics.published.publish(&variant, Numbers { paused: true, ..numbers("A100", 1, 1) });
        metrics.published.remove(&variant);
        assert!(shown().is_empty());
    }

    #[test]
    fn a_variant_that_goes_takes_all_its_series_along() {
        let metrics = Metrics::new(&Instance::default());
        let (stays, goes) = (ObjectKey::new("ns", "stays"), ObjectKey::new("ns", "goes"));
        metrics.published.publish(&stays, numbers("A100", 1, 1));
        metrics.published.publish(&goes, numbers("A100", 1, 2));
        metrics.published.remove(&goes);
        assert!(series(&metrics).iter().all(|line| line.contains("stays")));
    }

    #[rstest]
    #[case(5, 2, 2.5)]
    #[case(3, 0, 3.0)]
    #[case(4, 4, 1.0)]
    #[case(0, 0, 0.0)]
    fn the_ratio_of_a_workload_without_replicas_is_the_desired_number(
        #[case] desired: u32,
        #[case] current: u32,
        #[case] expect: f64,
    ) {
        assert_eq!(ratio(desired, current).total_cmp(&expect), std::cmp::Ordering::Equal);
    }
}
