//! Counts probe results until they mean something.

/// Consecutive results needed to change one's mind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    success_threshold: u32,
    failure_threshold: u32,
    run: u32,
    last: Option<bool>,
}

impl Tally {
    pub(super) fn new(success_threshold: u32, failure_threshold: u32) -> Self {
        Self { success_threshold, failure_threshold, run: 0, last: None }
    }

    /// The verdict, once as many results in a row agree as the threshold asks for; it repeats with each further one.
    pub(super) fn count(&mut self, success: bool) -> Option<bool> {
        self.run = if self.last == Some(success) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let threshold = if success { self.success_threshold } else { self.failure_threshold };
        (self.run >= threshold).then_some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_results_in_a_row_count() {
        let mut tally = Tally::new(1, 3);
        let verdicts: Vec<_> = [false, false, true, false, false, false].map(|result| tally.count(result)).into();
        assert_eq!(verdicts, [None, None, Some(true), None, None, Some(false)]);
    }

    #[test]
    fn a_success_threshold_above_one_delays_readiness() {
        let mut tally = Tally::new(2, 1);
        assert_eq!([true, true].map(|result| tally.count(result)), [None, Some(true)]);
    }
}
