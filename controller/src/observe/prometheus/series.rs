//! From series to pods.
//!
//! One pod may stand behind many series. It may be scraped more than once: by a `ServiceMonitor` and a `PodMonitor`, by
//! two Prometheus servers that write to one store. And it may hold several engines, each with its own series, told apart
//! by the label `engine` (`--data-parallel-size`). So every query first takes the largest of the series that differ only
//! in who scraped them, and then, where numbers add up, the sum over the engines. Numbers of models are summed by us, over
//! the pods that we know: a model's name alone does not tell whose pods they are.

use std::collections::BTreeMap;

use super::response::Sample;
use super::selector::Selector;
use crate::cluster::index::ObjectKey;

/// The labels that name a pod's namespace, by whoever writes them: operators and their monitors, older examples of
/// annotation scraping, `OpenTelemetry`. The first that a series has counts.
const NAMESPACES: [&str; 3] = [super::selector::NAMESPACE, "kubernetes_namespace", "k8s_namespace_name"];
/// The same for its name; `pod_name` is that of configurations without relabelling.
pub(super) const PODS: [&str; 4] = ["pod", "pod_name", "kubernetes_pod_name", "k8s_pod_name"];
/// Label of the model's name.
const MODEL: &str = "model_name";
/// Label that tells the engines of a pod apart.
pub(super) const ENGINE: &str = "engine";

/// A grouping by the labels of pods and some more; labels that series do not have drop out of it.
pub(super) fn by(more: &[&str]) -> String {
    format!("by ({})", labels(more))
}

/// `on (…)` the labels of pods.
pub(super) fn on_pod() -> String {
    format!("on ({})", labels(&[]))
}

fn labels(more: &[&str]) -> String {
    let all: Vec<&str> = NAMESPACES.iter().chain(&PODS).chain(more).copied().collect();
    all.join(", ")
}

/// One series of each model that names no namespace, or no pod, with all its labels.
pub(super) fn nameless(metric: &str, selector: &Selector) -> String {
    let without = |labels: &[&str]| {
        let empty: Vec<String> = labels.iter().map(|label| format!("{label}=\"\"")).collect();
        let empty: Vec<&str> = empty.iter().map(String::as_str).collect();
        format!("topk by ({MODEL}) (1, {})", selector.with(metric, &empty))
    };
    format!("{} or {}", without(&PODS), without(&NAMESPACES))
}

/// The value of each engine of each pod, however often it is scraped.
pub(super) fn of_engines(series: &str) -> String {
    format!("max {} ({series})", by(&[MODEL, ENGINE]))
}

/// The largest value of each pod.
pub(super) fn peak_of_pods(series: &str) -> String {
    format!("max {} ({series})", by(&[MODEL]))
}

/// The sum over the engines of each pod.
pub(super) fn of_pods(series: &str) -> String {
    format!("sum {} ({})", by(&[MODEL]), of_engines(series))
}

/// A counter that has a series for each reason why requests end, each however often it is scraped.
pub(super) fn of_reasons(series: &str) -> String {
    format!("max {} ({series})", by(&[MODEL, ENGINE, "finished_reason"]))
}

/// The sum of what [`of_reasons`] gives over reasons and engines of each pod.
pub(super) fn sum_of_reasons(deduplicated: &str) -> String {
    format!("sum {} ({deduplicated})", by(&[MODEL]))
}

/// Pod of a series; `None` when it names none.
pub(super) fn pod(sample: &Sample) -> Option<ObjectKey> {
    let first = |labels: &[&str]| labels.iter().find_map(|label| sample.label(label));
    Some(ObjectKey::new(first(&NAMESPACES)?, first(&PODS)?))
}

/// Model of a series, or nothing.
pub(super) fn model(sample: &Sample) -> &str {
    sample.label(MODEL).unwrap_or_default()
}

/// Numbers of pods, by the name of the model that they report. A pod that is scraped under two spellings of its labels
/// comes twice; it counts once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OfPods(BTreeMap<ObjectKey, BTreeMap<String, f64>>);

impl OfPods {
    /// Reads an answer. What is not a number stays missing.
    pub(super) fn read<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut numbers = Self::default();
        for sample in samples.into_iter().filter(|sample| sample.value.is_finite()) {
            if let Some(pod) = pod(sample) {
                let models = numbers.0.entry(pod).or_default();
                match models.get_mut(model(sample)) {
                    Some(value) => *value = value.max(sample.value),
                    None => drop(models.insert(model(sample).to_owned(), sample.value)),
                }
            }
        }
        numbers
    }

    /// The number of a pod under the name of a model.
    pub(super) fn of(&self, pod: &ObjectKey, model: &str) -> Option<f64> {
        self.0.get(pod)?.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Sample { labels, evaluated_at: 0.0, value }
    }

    #[rstest]
    #[case::operator(&[("namespace", "ns"), ("pod", "a")])]
    #[case::no_relabelling(&[("namespace", "ns"), ("pod_name", "a")])]
    #[case::annotations(&[("kubernetes_namespace", "ns"), ("kubernetes_pod_name", "a")])]
    #[case::open_telemetry(&[("k8s_namespace_name", "ns"), ("k8s_pod_name", "a"), ("namespace", "")])]
    fn a_pod_is_known_by_each_spelling_of_its_labels(#[case] labels: &[(&str, &str)]) {
        assert_eq!(pod(&sample(labels, 1.0)), Some(ObjectKey::new("ns", "a")));
    }

    #[rstest]
    #[case::nothing(&[("instance", "10.0.0.1:8000")])]
    #[case::namespace_alone(&[("namespace", "ns")])]
    #[case::pod_alone(&[("pod", "a")])]
    fn a_series_without_namespace_or_pod_belongs_to_none(#[case] labels: &[(&str, &str)]) {
        assert_eq!(pod(&sample(labels, 1.0)), None);
    }

    #[test]
    fn a_pod_that_is_scraped_under_two_spellings_counts_once() {
        let numbers = OfPods::read(&[
            sample(&[("namespace", "ns"), ("pod", "a"), ("model_name", "m")], 2.0),
            sample(&[("kubernetes_namespace", "ns"), ("kubernetes_pod_name", "a"), ("model_name", "m")], 2.5),
            sample(&[("namespace", "ns"), ("pod", "b"), ("model_name", "m")], f64::NAN),
        ]);
        let of = |pod| numbers.of(&ObjectKey::new("ns", pod), "m");
        assert_eq!((of("a"), of("b")), (Some(2.5), None));
    }
}
