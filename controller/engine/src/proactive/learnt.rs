//! How fast a model is, learnt from what its requests see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::max_batch;
use crate::accelerator::pool_of;
use crate::queueing::queue::narrow;
use crate::queueing::{Observation, RequestSize, ServiceTime, Tuner, real};
use crate::vllm::ServerArguments;

/// What was learnt of one model, by accelerator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt(BTreeMap<String, Tuner>);

impl Learnt {
    /// Learns from what the requests of a replica see. When nothing fits any more, it starts again.
    pub fn observe(&mut self, accelerator: &str, observation: &Observation) {
        let pool = pool_of(accelerator);
        let known = self.0.get_mut(&pool).filter(|tuner| !tuner.is_lost());
        match known {
            Some(tuner) => {
                tuner.observe(observation);
            }
            None => {
                if let Some(tuner) = Tuner::start(observation) {
                    self.0.insert(pool, tuner);
                }
            }
        }
    }

    /// How fast the model is on an accelerator, once enough observations agree.
    pub fn of(&self, accelerator: &str) -> Option<ServiceTime> {
        self.0.get(&pool_of(accelerator))?.trusted()
    }

    /// Requests per second that one replica completes on an accelerator, once enough observations agree: of a batch as large as its
    /// servers take, whose requests have these lengths of prompt and answer, and of this share of it.
    pub(crate) fn rates(
        &self,
        accelerator: &str,
        lengths: (f64, f64),
        server: Option<&ServerArguments>,
        kv_tokens: Option<i64>,
        share: f32,
    ) -> Option<[f64; 2]> {
        let service = self.of(accelerator)?;
        let batch = real(max_batch(server, kv_tokens, Some(lengths)));
        let request = RequestSize { input: narrow(lengths.0), output: narrow(lengths.1) };
        let rates = [batch, share * batch].map(|batch| 1000.0 * f64::from(service.rate(batch, request)));
        rates.iter().all(|rate| rate.is_finite() && *rate > 0.0).then_some(rates)
    }

    /// Whether nothing was learnt.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
