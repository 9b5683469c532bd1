//! How busy the pods of a variant are, on average.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::Variant;

/// Mean load of the pods of a variant that report one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Used share of the KV cache, 0 to 1.
    pub kv_usage: f64,
    /// Requests that wait in a pod.
    pub queue_length: f64,
    /// Pods that report both.
    pub pods: usize,
    /// Age of the oldest reading.
    pub age: SignedDuration,
}

impl Variant {
    /// The mean load of its pods; `None` when none reports both KV cache and queue.
    pub fn load(&self) -> Option<Load> {
        let samples = self.pods.iter().filter_map(|pod| pod.sample.as_ref());
        let readings: Vec<_> = samples.filter_map(|sample| sample.kv_usage.zip(sample.queue_length)).collect();
        let (pods, age) = (readings.len(), readings.iter().map(|(kv, queue)| kv.age.max(queue.age)).max()?);
        #[expect(clippy::cast_precision_loss, reason = "a count of pods")]
        let count = pods as f64;
        Some(Load {
            kv_usage: readings.iter().map(|(kv, _)| kv.value).sum::<f64>() / count,
            queue_length: readings.iter().map(|(_, queue)| queue.value).sum::<f64>() / count,
            pods,
            age,
        })
    }
}
