//! Readings per pod, put together from the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use wva_engine::snapshot::{Reading, Sample};

use super::arrivals::Arrivals;
use super::completed::{Completed, Lookbacks};
use super::latencies::Latencies;
use super::response;
use super::series::{self, ENGINE};
use super::tokens::PodTokens;
use crate::cluster::index::ObjectKey;
use crate::observe::members::Member;

/// What Prometheus knows of each pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// By pod, then by model name. A pod may report under several names.
    pods: BTreeMap<ObjectKey, BTreeMap<String, Numbers>>,
    completed: Completed,
    lookbacks: Lookbacks,
    tokens: PodTokens,
    arrivals: Option<Arrivals>,
    latencies: Latencies,
    /// Labels of series that name no pod, by model.
    unlabelled: BTreeMap<String, Vec<String>>,
    /// Whether loads are those of a moment instead of peaks.
    pub momentary: bool,
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

/// What a pod says of one model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Numbers {
    /// Its engines, one in most pods.
    engines: Vec<Engine>,
    running: Option<Reading>,
}

/// What one engine says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Engine {
    /// The value of the label; empty where there is none.
    name: String,
    kv_usage: Option<Reading>,
    queue_length: Option<Reading>,
}

impl Numbers {
    fn engine(&mut self, name: &str) -> &mut Engine {
        let at = self.engines.iter().position(|engine| engine.name == name).unwrap_or_else(|| {
            self.engines.push(Engine { name: name.to_owned(), ..Engine::default() });
            self.engines.len() - 1
        });
        &mut self.engines[at]
    }
}

/// The larger of two readings of one thing: a pod that is scraped under two spellings of its labels comes twice.
fn keep_larger(slot: &mut Option<Reading>, reading: Reading) {
    match slot {
        Some(known) if known.value >= reading.value => known.age = known.age.min(reading.age),
        _ => *slot = Some(reading),
    }
}

/// The largest of the engines' readings.
fn fullest(readings: impl Iterator<Item = Option<Reading>>) -> Option<Reading> {
    readings.flatten().max_by(|a, b| a.value.total_cmp(&b.value))
}

impl Readings {
    /// Puts the answers together. A value without a time of scrape comes from a series that has ended within
    /// `window`, so it may be as old as that.
    pub fn assemble(answers: Answers<'_>, window: Duration) -> Self {
        let Answers { kv_usage, queue_length, running, scraped_at } = answers;
        let mut scraped: BTreeMap<(ObjectKey, String), f64> = BTreeMap::new();
        for sample in scraped_at {
            if let Some(key) = of_series(sample) {
                let age = sample.evaluated_at - sample.value;
                scraped.entry(key).and_modify(|known| *known = known.min(age)).or_insert(age);
            }
        }
        let mut readings = Self::default();
        for sample in kv_usage {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                keep_larger(&mut numbers.engine(engine(sample)).kv_usage, reading);
            }
        }
        for sample in queue_length {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                keep_larger(&mut numbers.engine(engine(sample)).queue_length, reading);
            }
        }
        for sample in running {
            if let Some((numbers, reading)) = readings.entry(sample, &scraped, window) {
                keep_larger(&mut numbers.running, reading);
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
        Self { arrivals: Some(arrivals), ..self }
    }

    /// With what requests see of the pods.
    #[must_use]
    pub fn with_latencies(self, latencies: Latencies) -> Self {
        Self { latencies, ..self }
    }

    /// With loads of a moment instead of peaks, or not.
    #[must_use]
    pub fn of_a_moment(self, momentary: bool) -> Self {
        Self { momentary, ..self }
    }

    /// With series that name no pod.
    #[must_use]
    pub fn with_unlabelled(mut self, samples: &[response::Sample]) -> Self {
        let nameless = samples.iter().filter(|sample| series::pod(sample).is_none());
        let of = |sample: &response::Sample| {
            let labels = sample.labels.keys().filter(|name| *name != "__name__").cloned().collect();
            (series::model(sample).to_owned(), labels)
        };
        self.unlabelled = nameless.map(of).collect();
        self
    }

    /// Labels of a series of this model that names no pod, if there is one and it was looked for.
    pub fn unlabelled(&self, model: &str) -> Option<Vec<String>> {
        self.unlabelled.get(model).cloned()
    }

    /// Rates of requests, if they were asked for.
    pub fn arrivals(&self) -> Option<&Arrivals> {
        self.arrivals.as_ref()
    }

    /// Requests for a model that pods completed within a retention, or a little longer.
    pub fn completed<'a>(
        &self,
        members: impl Iterator<Item = Member<'a>>,
        model: &str,
        retention: SignedDuration,
    ) -> Option<f64> {
        self.completed.over(members, model, self.lookbacks.of(retention)?)
    }

    /// Requests for a model that a pod computes now.
    pub fn running(&self, pod: &ObjectKey, model: &str) -> Option<Reading> {
        self.pods.get(pod)?.get(model)?.running
    }

    /// Requests for a model that wait in a pod, over all its engines.
    pub fn waiting(&self, pod: &ObjectKey, model: &str) -> Option<Reading> {
        let engines = &self.pods.get(pod)?.get(model)?.engines;
        let queues = engines.iter().filter_map(|engine| engine.queue_length);
        queues.reduce(|a, b| Reading { value: a.value + b.value, age: a.age.max(b.age) })
    }

    /// The readings of a pod: those under the given model name, or else under the first name it reports. Of several
    /// engines the fullest speaks for the pod, and what their caches hold adds up.
    pub fn of(&self, pod: &ObjectKey, model: &str) -> Option<Sample> {
        let models = self.pods.get(pod)?;
        let (model_id, Numbers { engines, running: _ }) =
            models.get_key_value(model).or_else(|| models.first_key_value())?;
        let usage = engines.iter().filter_map(|it| Some((&*it.name, it.kv_usage?.value)));
        let mut tokens = self.tokens.get(pod).map(|tokens| tokens.over(usage)).unwrap_or_default();
        tokens.engines = u32::try_from(engines.len()).unwrap_or(u32::MAX);
        tokens.queued = self.waiting(pod, model_id).map(|waiting| waiting.value);
        Some(Sample {
            model_id: model_id.clone(),
            kv_usage: fullest(engines.iter().map(|engine| engine.kv_usage)),
            queue_length: fullest(engines.iter().map(|engine| engine.queue_length)),
            tokens,
            pace: self.latencies.get(pod).copied().unwrap_or_default(),
        })
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
        let key = of_series(sample)?;
        let age = scraped.get(&key).map_or(window.as_secs_f64(), |age| age.max(0.0));
        let age = SignedDuration::try_from_secs_f64(age).ok()?;
        let (pod, model) = key;
        let numbers = self.pods.entry(pod).or_default().entry(model).or_default();
        Some((numbers, Reading { value: sample.value, age }))
    }
}

/// Pod and model of a series; `None` when it names no pod.
fn of_series(sample: &response::Sample) -> Option<(ObjectKey, String)> {
    Some((series::pod(sample)?, series::model(sample).to_owned()))
}

fn engine(sample: &response::Sample) -> &str {
    sample.label(ENGINE).unwrap_or_default()
}

#[cfg(test)]
mod tests;
