//! The early trigger of the controller: a decision at once when a replica comes near its limits, and not when the interval
//! ends.

use std::collections::BTreeMap;
use std::time::Duration;

use wva_engine::QuietLimits;

use super::View;

/// Pause between two looks.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How long a replica stays known after it was last near a limit.
const FORGET_AFTER: Duration = Duration::from_secs(30);
/// A load has risen when it is this much higher than when a decision was made for it: a share of the KV cache, and requests.
const RISE: [f64; 2] = [0.05, 1.0];

/// Replicas near their limits.
#[derive(Debug, Default)]
pub(super) struct Early {
    known: BTreeMap<(u32, usize), (Duration, f64)>,
}

impl Early {
    /// Whether a replica is near its limits that was not before, or has risen since.
    pub(super) fn look(&mut self, view: &View<'_>, limits: &QuietLimits) -> bool {
        let limits = [limits.kv_usage, limits.queue_length];
        self.known.retain(|_, (at, _)| view.now.saturating_sub(*at) < FORGET_AFTER);
        let mut news = false;
        for pod in view.fleet.pods().iter().filter(|pod| !pod.is_draining()) {
            let Some(scrape) = view.monitoring.of(pod.serial).and_then(|history| history.at(view.now)) else {
                continue;
            };
            let loads = [scrape.kv_usage, f64::from(scrape.waiting)];
            for (which, load) in loads.into_iter().enumerate().filter(|(which, load)| *load > limits[*which]) {
                match self.known.get_mut(&(pod.serial, which)) {
                    Some((at, value)) if load < *value + RISE[which] => *at = view.now,
                    _ => {
                        self.known.insert((pod.serial, which), (view.now, load));
                        news = true;
                    }
                }
            }
        }
        news
    }
}
