//! Lines to compare with: a fleet that never changes, and two that know the load.

use std::time::Duration;

use super::{Act, Autoscaler, View};
use crate::number::{ceil, index, seconds};

/// As many replicas as the highest rate needs, all the time.
#[derive(Debug, Default)]
pub(super) struct Static {
    /// Replicas of the cheapest variants in all, instead of those that the peak needs.
    pub(super) replicas: Option<u32>,
    done: bool,
}

impl Static {
    pub(super) fn new(replicas: Option<u32>) -> Self {
        Self { replicas, done: false }
    }
}

impl Autoscaler for Static {
    fn next(&self) -> Option<Duration> {
        (!self.done).then_some(Duration::ZERO)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.done = true;
        let wanted = match self.replicas {
            None => for_rate(view, view.workload.peak()),
            Some(replicas) => {
                let mut left = replicas;
                let mut wanted: Vec<u32> = view.scenario.variants.iter().map(|it| it.min).collect();
                left = left.saturating_sub(wanted.iter().sum());
                for place in by_cost(view) {
                    let more = left.min(view.scenario.variants[place].max - wanted[place]);
                    wanted[place] += more;
                    left -= more;
                }
                wanted
            }
        };
        Act { scale: wanted.iter().copied().enumerate().collect(), wanted: Some(wanted), reasons: Vec::new() }
    }
}

/// Knows the expected rate: that of now, or all that is to come, so that replicas are ready when they are needed.
#[derive(Debug)]
pub(super) struct Informed {
    foresight: bool,
    next: Duration,
}

impl Informed {
    /// One that knows the load of now and not what comes.
    pub(super) fn of_now() -> Self {
        Self { foresight: false, next: Duration::ZERO }
    }

    /// One that knows what comes, and how long a start takes.
    pub(super) fn of_the_future() -> Self {
        Self { foresight: true, next: Duration::ZERO }
    }
}

impl Autoscaler for Informed {
    fn next(&self) -> Option<Duration> {
        Some(self.next)
    }

    fn act(&mut self, view: &View<'_>) -> Act {
        self.next = view.now + Duration::from_secs(1);
        // A replica that is given up has to be started again: who gives it up for less than a start gains nothing.
        let ahead = if self.foresight { view.scenario.start_up_seconds + 1.0 } else { 0.0 };
        let from = index(view.now.as_secs_f64());
        let to = index((view.now + seconds(ahead)).as_secs_f64());
        let rates = view.workload.rates.get(from..=to.min(view.workload.rates.len().saturating_sub(1)));
        let rate = rates.unwrap_or_default().iter().copied().fold(0.0, f64::max);
        let wanted = for_rate(view, rate);
        Act { scale: wanted.iter().copied().enumerate().collect(), wanted: Some(wanted), reasons: Vec::new() }
    }
}

/// Variants from the one with the least cost per request on.
fn by_cost(view: &View<'_>) -> Vec<usize> {
    let cost = |place: &usize| view.scenario.variants[*place].cost / view.capacity[*place].max(f64::MIN_POSITIVE);
    let mut places: Vec<usize> = (0..view.scenario.variants.len()).collect();
    places.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    places
}

/// The cheapest replicas that take a rate.
pub(crate) fn for_rate(view: &View<'_>, rate: f64) -> Vec<u32> {
    let mut wanted: Vec<u32> = view.scenario.variants.iter().map(|it| it.min).collect();
    let mut left = rate - wanted.iter().zip(view.capacity).map(|(n, each)| f64::from(*n) * each).sum::<f64>();
    for place in by_cost(view) {
        if left <= 1e-9 {
            break;
        }
        let each = view.capacity[place].max(f64::MIN_POSITIVE);
        let more = ceil(left / each - 1e-9).min(view.scenario.variants[place].max - wanted[place]);
        wanted[place] += more;
        left -= f64::from(more) * each;
    }
    wanted
}
