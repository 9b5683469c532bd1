//! How fast a model is, learnt from what its requests see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::accelerator::pool_of;
use crate::queueing::{Observation, ServiceTime, Tuner};

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

    /// Whether nothing was learnt.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
