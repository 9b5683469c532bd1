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
use wva_engine::QuietLimits;

use crate::cluster::index::ObjectKey;
use crate::observe::pods;
use crate::observe::prometheus::{Load, Prometheus};
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

/// Whether a load has risen when it is this much higher.
fn rise(load: Load) -> f64 {
    match load {
        Load::KvUsage => KV_RISE,
        Load::QueueLength => QUEUE_RISE,
    }
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
                last.as_ref()
                    .filter(|cycle| cycle.settings.enabled)
                    .map(|cycle| QuietLimits::of(&cycle.settings, &cycle.memory))
            };
            if let Some(limits) = limits {
                self.look(&mut known, &limits).await;
            }
            sleep(pause_after(started.elapsed())).await;
        }
    }

    async fn look(&self, known: &mut Known, limits: &QuietLimits) {
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
    /// When it was above the limit last.
    at: Instant,
    /// What it was when the cycle was woken for it last, or what it has fallen to since.
    value: f64,
    /// When it was about that high last.
    high_at: Instant,
}

impl Known {
    /// Takes note of loads above a limit; returns those that were not before, or were lower.
    fn take(&mut self, near: BTreeMap<(ObjectKey, Load), f64>, now: Instant) -> Vec<(ObjectKey, Load)> {
        self.0.retain(|_, seen| now.duration_since(seen.at) < FORGET_AFTER);
        let mut news = Vec::new();
        for (key, value) in near {
            let rise = rise(key.1);
            let fresh = Seen { at: now, value, high_at: now };
            match self.0.get_mut(&key) {
                Some(seen) if value >= seen.value + rise => {
                    *seen = fresh;
                    news.push(key);
                }
                Some(seen) if value > seen.value - rise => (seen.at, seen.high_at) = (now, now),
                // One that swings about it wakes no cycle each time; one that stays lower has to rise from there.
                Some(seen) if now.duration_since(seen.high_at) < FORGET_AFTER => seen.at = now,
                Some(seen) => *seen = fresh,
                None => {
                    self.0.insert(key.clone(), fresh);
                    news.push(key);
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests;
