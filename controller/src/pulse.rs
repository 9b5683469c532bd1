//! Whether the cycle still beats: what `/healthz` answers.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::value::format_duration;
use crate::lock::lock;

/// Intervals that may pass without a cycle.
const INTERVALS: u32 = 3;
/// What a cycle may take besides: the time limit of a query.
const BESIDES: Duration = Duration::from_secs(10);

/// The heartbeat of the decision cycle.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Beat>>);

#[derive(Clone, Copy, Debug)]
struct Beat {
    at: Instant,
    interval: Duration,
}

impl Pulse {
    /// A cycle ended, or is about to begin for the first time; the next is due after `interval`.
    pub fn beat(&self, interval: Duration) {
        *lock(&self.0) = Some(Beat { at: Instant::now(), interval });
    }

    /// No cycle is due: this process does not lead.
    pub fn rest(&self) {
        *lock(&self.0) = None;
    }

    /// What is late, in words for a person; `None` when nothing is.
    pub fn late(&self) -> Option<String> {
        let Beat { at, interval } = (*lock(&self.0))?;
        let since = at.elapsed();
        let allowed = interval * INTERVALS + BESIDES;
        (since > allowed).then(|| {
            let [since, interval, allowed] =
                [Duration::from_secs(since.as_secs()), interval, allowed].map(format_duration);
            format!("the decision cycle: none has ended for {since}, at an interval of {interval} ({allowed} allowed)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_cycle_is_late_after_three_intervals_and_ten_seconds_and_never_while_it_stands_by() {
        let pulse = Pulse::default();
        assert_eq!(pulse.late(), None);
        pulse.beat(Duration::from_secs(20));
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(pulse.late(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        let late = pulse.late().unwrap();
        assert_eq!(late, "the decision cycle: none has ended for 1m11s, at an interval of 20s (1m10s allowed)");
        pulse.beat(Duration::from_secs(20));
        assert_eq!(pulse.late(), None);
        tokio::time::advance(Duration::from_hours(1)).await;
        pulse.rest();
        assert_eq!(pulse.late(), None);
    }
}
