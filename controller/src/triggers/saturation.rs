//! Looking out between two cycles, so that a model that runs short gets its decision at once and not when the interval
//! ends.
//!
//! Once a second one query asks Prometheus for the replicas above a limit up to which no model can need capacity. Its answer
//! is empty while all is well, whatever the size of the fleet. A replica that appears in it wakes the cycle, and so does
//! one whose load has risen since; one that only stays in it does not, because what a decision makes of it has been
//! decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wva_engine::settings::{Analyzer, PerModel, Settings, Thresholds, TokenThresholds};

use crate::cluster::index::ObjectKey;
use crate::observe::pods;
use crate::observe::prometheus::Prometheus;
use crate::ownership::leader::Leadership;
use crate::shared::Shared;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A look may take this share of the time at most: a Prometheus that needs long is asked less often.
const BUSY_AT_MOST: u32 = 10;
/// Longest pause: one look that took long, as when the machine stood still, must not blind us for minutes.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a replica stays known after it was last near a limit: one that swings about it wakes no cycle each time.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// A load has risen when it is this much higher than when the cycle was woken for it: a twentieth of the KV cache, or a
/// request that waits.
const KV_RISE: f64 = 0.05;
/// The same for waiting requests.
const QUEUE_RISE: f64 = 1.0;

/// What of a replica is near its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// Used share of the KV cache.
    KvUsage,
    /// Waiting requests.
    QueueLength,
}

impl Load {
    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::KvUsage => "kv_usage",
            Self::QueueLength => "queue_length",
        }
    }

    /// The load of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::KvUsage, Self::QueueLength].into_iter().find(|load| load.name() == name)
    }

    fn rise(self) -> f64 {
        match self {
            Self::KvUsage => KV_RISE,
            Self::QueueLength => QUEUE_RISE,
        }
    }
}

/// Load of a replica up to which its model needs no capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Used share of the KV cache.
    pub kv_usage: f64,
    /// Waiting requests.
    pub queue_length: f64,
}

impl Limits {
    /// The limits up to which no model needs capacity, whatever its entry says.
    ///
    /// A model scales up when the mean of `threshold - usage` over its replicas falls below the trigger. Then at least
    /// one replica is above `threshold - trigger`: with 0.80 and 0.10, one that uses more than 0.70.
    pub fn of(settings: &Settings) -> Self {
        let Settings { thresholds, analyzer, .. } = settings;
        // Demand above this share of the capacity asks for more, and a replica's capacity is at most its threshold's.
        let share = values(analyzer).map(|analyzer| match analyzer {
            Analyzer::Threshold => 1.0,
            Analyzer::Saturation(TokenThresholds { scale_up_threshold, .. }) => *scale_up_threshold,
        });
        let share = share.fold(1.0, f64::min);
        let least = |limit: &dyn Fn(&Thresholds) -> f64| values(thresholds).map(limit).fold(f64::INFINITY, f64::min);
        let kv_usage = least(&|t| (t.kv_cache_threshold * share).min(t.kv_cache_threshold - t.kv_spare_trigger));
        let queue_length = least(&|t| t.queue_length_threshold - t.queue_spare_trigger);
        Self { kv_usage: kv_usage.max(0.0), queue_length: queue_length.max(0.0) }
    }
}

fn values<T: Default>(per_model: &PerModel<T>) -> impl Iterator<Item = &T> {
    let PerModel { default, namespaces, models } = per_model;
    [default].into_iter().chain(namespaces.values()).chain(models.values())
}

/// The task that looks out.
#[derive(Debug)]
pub struct SaturationWatcher {
    prometheus: Prometheus,
    shared: Arc<Shared>,
    leadership: Leadership,
}

impl SaturationWatcher {
    /// A task that has not begun.
    pub fn new(prometheus: Prometheus, shared: Arc<Shared>, leadership: Leadership) -> Self {
        Self { prometheus, shared, leadership }
    }

    /// Looks whenever this process leads, by the settings of the last decision; there is nothing to look out for before
    /// the first, or while decisions are paused.
    pub async fn run(mut self) {
        let mut known = Known::default();
        loop {
            self.leadership.acquired().await;
            let started = Instant::now();
            let limits = {
                let last = self.shared.last_cycle();
                last.as_ref().filter(|cycle| cycle.settings.enabled).map(|cycle| Limits::of(&cycle.settings))
            };
            if let Some(limits) = limits {
                self.look(&mut known, &limits).await;
            }
            sleep(pause_after(started.elapsed())).await;
        }
    }

    async fn look(&self, known: &mut Known, limits: &Limits) {
        match self.prometheus.near_limits(limits).await {
            Ok(mut near) => {
                if !near.is_empty() {
                    let mine = pods::serving(&self.shared.index());
                    near.retain(|(pod, _), _| mine.contains(pod));
                }
                let new = known.take(near, Instant::now());
                if !new.is_empty() {
                    tracing::debug!(pods = new.len(), first = ?new.first(), "Deciding early: replicas near their limits");
                    self.shared.wake.notify_one();
                }
            }
            // The cycle reports an outage; this query alone is no reason to.
            Err(error) => tracing::debug!(%error, "Could not look out"),
        }
    }
}

/// Pause after a look that took so long.
fn pause_after(took: Duration) -> Duration {
    (took * BUSY_AT_MOST).clamp(PAUSE, LONGEST_PAUSE)
}

/// Loads that were above a limit not long ago.
#[derive(Debug, Default)]
struct Known(BTreeMap<(ObjectKey, Load), Seen>);

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When last.
    at: Instant,
    /// What it was when the cycle was woken for it last.
    value: f64,
}

impl Known {
    /// Takes note of loads above a limit; returns those that were not before, or were lower.
    fn take(&mut self, near: BTreeMap<(ObjectKey, Load), f64>, now: Instant) -> Vec<(ObjectKey, Load)> {
        self.0.retain(|_, seen| now.duration_since(seen.at) < FORGET_AFTER);
        let mut news = Vec::new();
        for ((pod, load), value) in near {
            let key = (pod, load);
            match self.0.get_mut(&key) {
                Some(seen) if value < seen.value + load.rise() => seen.at = now,
                _ => {
                    self.0.insert(key.clone(), Seen { at: now, value });
                    news.push(key);
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests;
