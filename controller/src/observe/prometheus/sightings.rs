//! What Prometheus shows of the numbers that this instance published, whoever of its processes exposed them.

use wva_api::Instance;
use wva_api::metrics::{
    DESIRED_REPLICAS, LABEL_CONTROLLER_INSTANCE, LABEL_EXPORTED_NAMESPACE, LABEL_NAMESPACE, LABEL_VARIANT_NAME,
};

use super::response::Sample;
use crate::cluster::index::ObjectKey;

/// One of this instance's numbers, as Prometheus shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Of which variant.
    pub variant: ObjectKey,
    /// Which process exposed it; `None` where the labels do not tell, so that all processes share one series.
    pub source: Option<String>,
    /// When it was scraped, in seconds since 1970.
    pub scraped_at: f64,
}

/// Labels that tell which process was scraped, the most telling first.
const SOURCES: [&str; 4] = ["pod", "pod_name", "kubernetes_pod_name", "instance"];

/// The query: when each number was scraped last. No label matches like an empty one; an id needs no escaping, because it is
/// a label value of Kubernetes.
pub(super) fn query(instance: &Instance) -> String {
    let id = instance.id().unwrap_or_default();
    format!("timestamp({DESIRED_REPLICAS}{{{LABEL_CONTROLLER_INSTANCE}=\"{id}\"}})")
}

pub(super) fn read(sample: &Sample) -> Option<Sighting> {
    // Where the scrape honours our labels, there is no exported one.
    let namespace = sample.label(LABEL_EXPORTED_NAMESPACE).or_else(|| sample.label(LABEL_NAMESPACE))?;
    let variant = ObjectKey::new(namespace, sample.label(LABEL_VARIANT_NAME)?);
    let source = SOURCES.iter().find_map(|name| sample.label(name)).map(str::to_owned);
    Some(Sighting { variant, source, scraped_at: sample.value })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_query_asks_for_the_numbers_of_one_instance() {
        let team = Instance::parse("team-a").unwrap();
        assert_eq!(query(&team), r#"timestamp(wva_desired_replicas{controller_instance="team-a"})"#);
        assert_eq!(query(&Instance::default()), r#"timestamp(wva_desired_replicas{controller_instance=""})"#);
    }

    #[rstest]
    #[case::pod(&[("exported_namespace", "ns"), ("namespace", "wva"), ("pod", "wva-1"), ("instance", "10.0.0.1:8443")], Some("wva-1"))]
    #[case::address(&[("exported_namespace", "ns"), ("instance", "10.0.0.1:8443")], Some("10.0.0.1:8443"))]
    #[case::one_series_for_all(&[("exported_namespace", "ns"), ("namespace", "wva"), ("service", "wva-metrics")], None)]
    #[case::labels_honoured(&[("namespace", "ns"), ("instance", "10.0.0.1:8443")], Some("10.0.0.1:8443"))]
    fn the_labels_of_the_scrape_tell_the_process(#[case] labels: &[(&str, &str)], #[case] source: Option<&str>) {
        let labels = labels.iter().chain(&[("variant_name", "llama")]);
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let sighting = read(&Sample { labels, evaluated_at: 20.0, value: 15.0 }).unwrap();
        assert_eq!(sighting.variant, ObjectKey::new("ns", "llama"));
        assert_eq!(sighting.source.as_deref(), source);
    }
}
