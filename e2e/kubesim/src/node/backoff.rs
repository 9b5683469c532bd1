//! How long a container that keeps failing waits before its next start.

use std::time::Duration;

/// The first wait and the rule for the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    base: Duration,
    /// The wait before the next restart.
    next: Duration,
}

/// The longest wait, in multiples of the first: 10 s and 5 min.
const LONGEST: u32 = 30;

impl Backoff {
    pub(super) fn new(base: Duration) -> Self {
        Self { base, next: Duration::ZERO }
    }

    /// The wait after a run of `ran`. The first restart is immediate, then the wait doubles; a container that ran for
    /// twice the longest wait (10 min) starts over.
    pub(super) fn after_run(&mut self, ran: Duration) -> Duration {
        let longest = self.base * LONGEST;
        if ran >= longest * 2 {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = if wait.is_zero() { self.base } else { (wait * 2).min(longest) };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_ten_seconds_to_five_minutes_and_reset_after_a_long_run() {
        let mut backoff = Backoff::new(Duration::from_secs(10));
        let waits: Vec<u64> = (0..8).map(|_| backoff.after_run(Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after_run(Duration::from_mins(10)), Duration::ZERO);
        assert_eq!(backoff.after_run(Duration::from_secs(1)), Duration::from_secs(10));
    }
}
