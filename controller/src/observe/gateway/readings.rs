//! What the pickers said last, with its age.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use wva_engine::snapshot::Reading;

use super::scrape::Answer;
use crate::cluster::pools::{PoolKey, Pools};

/// The last answer of each pool's picker.
#[derive(Clone, Debug, Default)]
pub struct Readings(BTreeMap<PoolKey, Last>);

#[derive(Clone, Debug)]
struct Last {
    answer: Answer,
    at: Timestamp,
}

impl Readings {
    /// Keeps an answer.
    pub fn put(&mut self, pool: PoolKey, answer: Answer, at: Timestamp) {
        self.0.insert(pool, Last { answer, at });
    }

    /// Drops what was read of pools that are gone.
    pub fn keep_only(&mut self, pools: &Pools) {
        self.0.retain(|key, _| pools.pools.contains_key(key));
    }

    /// Requests for a model that wait at a pool; `None` when its picker has not been read, or not completely.
    pub fn waiting(&self, pool: &PoolKey, model: &str, now: Timestamp) -> Option<Reading> {
        let Last { answer: Answer { queue, failure: None }, at } = self.0.get(pool)? else { return None };
        Some(Reading { value: queue.get(model).copied().unwrap_or(0.0), age: age(*at, now) })
    }

    /// Requests for a model that are known to wait at a pool, even if its picker was not read completely; `None` when
    /// none are known.
    pub fn known_waiting(&self, pool: &PoolKey, model: &str, now: Timestamp) -> Option<Reading> {
        let Last { answer, at } = self.0.get(pool)?;
        Some(Reading { value: *answer.queue.get(model)?, age: age(*at, now) })
    }

    /// When a pool's picker was asked last.
    pub fn asked_at(&self, pool: &PoolKey) -> Option<Timestamp> {
        self.0.get(pool).map(|last| last.at)
    }
}

fn age(at: Timestamp, now: Timestamp) -> SignedDuration {
    now.duration_since(at).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pools::Group;

    #[test]
    fn a_model_the_picker_does_not_mention_has_no_requests_and_a_failed_reading_says_nothing() {
        let pool = PoolKey { group: Group::Stable, namespace: "ns".to_owned(), name: "p".to_owned() };
        let at = Timestamp::UNIX_EPOCH;
        let now = at + SignedDuration::from_secs(4);
        let queue = || [("llama".to_owned(), 2.0)].into();
        let mut readings = Readings::default();
        assert_eq!(readings.waiting(&pool, "llama", now), None);
        readings.put(pool.clone(), Answer { queue: queue(), failure: None }, at);
        let age = SignedDuration::from_secs(4);
        assert_eq!(readings.waiting(&pool, "llama", now), Some(Reading { value: 2.0, age }));
        assert_eq!(readings.waiting(&pool, "qwen", now), Some(Reading { value: 0.0, age }));
        readings.put(pool.clone(), Answer { queue: queue(), failure: Some("one pod failed".to_owned()) }, at);
        assert_eq!(readings.waiting(&pool, "qwen", now), None);
        assert!(readings.known_waiting(&pool, "llama", now).is_some(), "what waits at another pod waits all the same");
        assert_eq!(readings.known_waiting(&pool, "qwen", now), None);
    }
}
