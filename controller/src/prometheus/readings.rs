//! Readings per pod, put together from the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use wva_engine::snapshot::{Reading, Sample};

use super::arrivals::Arrivals;
use super::completed::{Completed, Lookbacks};
use super::paces::Paces;
use super::response;
use super::tokens::PodTokens;
use crate::index::ObjectKey;

/// What Prometheus knows of each pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// By pod, then by model name. A pod may report under several names.
    pods: BTreeMap<ObjectKey, BTreeMap<String, Numbers>>,
    completed: Completed,
    lookbacks: Lookbacks,
    tokens: PodTokens,
    arrivals: Arrivals,
    paces: Paces,
}

/// Answers to the queries about pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers<'a> {
    /// Used share of the KV cache.
    pub kv_usage: &'a [response::Sample],
    /// Requests that wait.
    pub queue_length: &'a [response::Sample],
    /// Requests that are computed.
    pub running: &'a [response::Sample],
    /// Times of the last scrape.
    pub scraped_at: &'a [response::Sample],
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Numbers {
    kv_usage: Option<Reading>,
    queue_length: Option<Reading>,
    running: Option<Reading>,
}

impl Readings {
    /// Puts the answers together. A value without a time of scrape comes from a series that has ended within
    /// `window`, so it may be as old as that.
    pub fn assemble(answers: Answers<'_>, window: Duration) -> Self {
        let Answers { kv_usage, queue_length, running, scraped_at } = answers;
        let scraped: BTreeMap<(ObjectKey, String), f64> = scraped_at
            .iter()
            .filter_map(|sample| Some((series(sample)?, sample.evaluated_at - sample.value)))
            .collect();
        let mut readings = Self::default();
        for sample in kv_usage {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                numbers.kv_usage = Some(reading);
            }
        }
        for sample in queue_length {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                numbers.queue_length = Some(reading);
            }
        }
        for sample in running {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                numbers.running = Some(reading);
            }
        }
        readings
    }

    /// With what was completed within some look-backs.
    #[must_use]
    pub fn with_completed(self, completed: Completed, lookbacks: Lookbacks) -> Self {
        Self { completed, lookbacks, ..self }
    }

    /// With token counts.
    #[must_use]
    pub fn with_tokens(self, tokens: PodTokens) -> Self {
        Self { tokens, ..self }
    }

    /// With the rates at which requests arrive.
    #[must_use]
    pub fn with_arrivals(self, arrivals: Arrivals) -> Self {
        Self { arrivals, ..self }
    }

    /// With what requests see of the pods.
    #[must_use]
    pub fn with_paces(self, paces: Paces) -> Self {
        Self { paces, ..self }
    }

    /// Requests that arrive for a model per second.
    pub fn arrivals(&self, namespace: &str, model: &str) -> Option<f64> {
        self.arrivals.of(namespace, model)
    }

    /// Requests for a model that were completed within a retention, or a little longer.
    pub fn completed(&self, namespace: &str, model: &str, retention: SignedDuration) -> Option<f64> {
        self.completed.of(namespace, model, self.lookbacks.of(retention)?)
    }

    /// Requests for a model that a pod computes now.
    pub fn running(&self, pod: &ObjectKey, model: &str) -> Option<Reading> {
        self.pods.get(pod)?.get(model)?.running
    }

    /// The readings of a pod: those under the given model name, or else under the first name it reports.
    pub fn of(&self, pod: &ObjectKey, model: &str) -> Option<Sample> {
        let models = self.pods.get(pod)?;
        let (model_id, numbers) = models.get_key_value(model).or_else(|| models.first_key_value())?;
        let Numbers { kv_usage, queue_length, running: _ } = *numbers;
        let tokens = self.tokens.get(pod).copied().unwrap_or_default();
        let pace = self.paces.get(pod).copied().unwrap_or_default();
        Some(Sample { model_id: model_id.clone(), kv_usage, queue_length, tokens, pace })
    }

    fn entry(
        &mut self,
        sample: &response::Sample,
        scraped: &BTreeMap<(ObjectKey, String), f64>,
        window: Duration,
    ) -> Option<(&mut Numbers, Reading)> {
        if !sample.value.is_finite() {
            return None;
        }
        let (pod, model) = series(sample)?;
        let key = (pod, model);
        let age = scraped.get(&key).map_or(window.as_secs_f64(), |age| age.max(0.0));
        let age = SignedDuration::try_from_secs_f64(age).ok()?;
        let (pod, model) = key;
        let numbers = self.pods.entry(pod).or_default().entry(model).or_default();
        Some((numbers, Reading { value: sample.value, age }))
    }
}

/// Pod and model of a series; `None` when it names no pod.
fn series(sample: &response::Sample) -> Option<(ObjectKey, String)> {
    Some((pod(sample)?, sample.label("model_name").unwrap_or_default().to_owned()))
}

/// Pod of a series; `None` when it names none.
pub(super) fn pod(sample: &response::Sample) -> Option<ObjectKey> {
    let name = sample.label("pod").or_else(|| sample.label("pod_name"))?;
    Some(ObjectKey::new(sample.label("namespace")?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1_700_000_000.0;
    const WINDOW: Duration = Duration::from_mins(1);

    fn sample(labels: &[(&str, &str)], value: f64) -> response::Sample {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        response::Sample { labels, evaluated_at: NOW, value }
    }

    fn of_pod(pod: &str, value: f64) -> response::Sample {
        sample(&[("namespace", "ns"), ("pod", pod), ("model_name", "llama")], value)
    }

    fn assemble(
        kv_usage: &[response::Sample],
        queue_length: &[response::Sample],
        scraped_at: &[response::Sample],
    ) -> Readings {
        Readings::assemble(Answers { kv_usage, queue_length, scraped_at, running: &[] }, WINDOW)
    }

    fn age(reading: Option<Reading>) -> Option<i64> {
        reading.map(|reading| reading.age.as_secs())
    }

    #[test]
    fn a_missing_or_non_finite_number_stays_missing() {
        let readings = assemble(&[of_pod("a", 0.5), of_pod("b", f64::NAN)], &[of_pod("b", 3.0)], &[]);
        let a = readings.of(&ObjectKey::new("ns", "a"), "llama").unwrap();
        let b = readings.of(&ObjectKey::new("ns", "b"), "llama").unwrap();
        assert_eq!((a.kv_usage.map(|r| r.value), a.queue_length), (Some(0.5), None));
        assert_eq!((b.kv_usage, b.queue_length.map(|r| r.value)), (None, Some(3.0)));
        assert_eq!(readings.of(&ObjectKey::new("ns", "c"), "llama"), None);
    }

    #[test]
    fn age_is_measured_by_the_clock_of_prometheus() {
        let readings = assemble(&[of_pod("a", 0.5), of_pod("gone", 0.9)], &[], &[of_pod("a", NOW - 12.0)]);
        let of = |pod| age(readings.of(&ObjectKey::new("ns", pod), "llama").unwrap().kv_usage);
        assert_eq!(of("a"), Some(12));
        assert_eq!(of("gone"), Some(60), "its series has ended, somewhere within the window");
    }

    #[test]
    fn the_pod_may_be_named_by_its_older_label_and_must_be_named() {
        let old = sample(&[("namespace", "ns"), ("pod_name", "a"), ("model_name", "llama")], 0.5);
        let nameless = sample(&[("namespace", "ns"), ("model_name", "llama")], 0.5);
        let readings = assemble(&[old, nameless], &[], &[]);
        assert!(readings.of(&ObjectKey::new("ns", "a"), "llama").is_some());
        assert_eq!(readings.pods.len(), 1);
    }

    #[test]
    fn a_pod_that_serves_another_model_is_reported_under_that_name() {
        let readings = assemble(&[of_pod("a", 0.5)], &[], &[]);
        assert_eq!(readings.of(&ObjectKey::new("ns", "a"), "qwen").unwrap().model_id, "llama");
    }
}
