//! What came of the faults, as a table.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::INTERVAL;

/// Cycles in which the controller has to be right again.
const CYCLES: u64 = 2;
/// Intervals that are as good as those: news wakes the controller before its interval ends, and such cycles come in quick
/// succession; and a request that was held up may still be on its way when a fault is over.
const INTERVALS: u32 = 4;

/// What came of one fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The fault.
    pub fault: &'static str,
    /// What really happened, counted.
    pub happened: String,
    /// Replicas below what the load needs.
    pub wrong: BTreeSet<String>,
    /// Writes of a pod that did not lead.
    pub doubles: BTreeSet<String>,
    /// Variants deleted, or without a series.
    pub lost: BTreeSet<String>,
    /// Cycles from the end of the fault to the right answer; `None` if it never came.
    pub cycles: Option<u64>,
    /// The same as time.
    pub took: Duration,
    /// Whether the HPA carried the answer out and the status tells it.
    pub scaled: bool,
}

impl Outcome {
    /// Whether nothing happened that must not.
    pub fn passed(&self) -> bool {
        let in_time = self.cycles.is_some_and(|cycles| cycles <= CYCLES || self.took <= INTERVAL * INTERVALS);
        self.wrong.is_empty() && self.doubles.is_empty() && self.lost.is_empty() && in_time && self.scaled
    }

    fn convergence(&self) -> String {
        let seconds = self.took.as_secs_f64();
        match self.cycles {
            Some(cycles) => format!("{cycles} cycles, {seconds:.1} s"),
            None => format!("not in {seconds:.0} s"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, happened, wrong, doubles, lost, cycles: _, took: _, scaled } = self;
        write!(
            f,
            "{mark} {fault:<34} {happened:<46} {wrong:>6} {doubles:>7} {lost:>5}  {convergence}",
            mark = if self.passed() { "ok  " } else { "FAIL" },
            wrong = wrong.len(),
            doubles = doubles.len(),
            lost = lost.len(),
            convergence = self.convergence(),
        )?;
        for problem in wrong.iter().chain(doubles).chain(lost) {
            write!(f, "\n       {problem}")?;
        }
        if !scaled {
            write!(f, "\n       the Deployment was not scaled, or the status does not say so")?;
        }
        Ok(())
    }
}

/// What came of all faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Report(Vec<Outcome>);

impl Report {
    pub(super) fn new(outcomes: Vec<Outcome>) -> Self {
        Self(outcomes)
    }

    /// Whether every fault was borne.
    pub fn passed(&self) -> bool {
        self.0.iter().all(Outcome::passed)
    }

    /// One for each fault.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "     {:<34} {:<46} {:>6} {:>7} {:>5}  right after",
            "fault", "happened", "wrong", "doubles", "lost"
        )?;
        for outcome in &self.0 {
            writeln!(f, "{outcome}")?;
        }
        let passed = self.0.iter().filter(|outcome| outcome.passed()).count();
        write!(f, "{passed} of {} faults borne", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            fault: "watch dropped",
            happened: "5 watches".to_owned(),
            wrong: BTreeSet::new(),
            doubles: BTreeSet::new(),
            lost: BTreeSet::new(),
            cycles: Some(1),
            took: Duration::from_millis(800),
            scaled: true,
        }
    }

    #[test]
    fn a_fault_is_borne_when_nothing_happened_and_the_answer_came_in_time() {
        assert!(outcome().passed());
        assert!(Outcome { cycles: Some(4), ..outcome() }.passed());
        let wrong = BTreeSet::from(["gauge of a-va in p: 1".to_owned()]);
        for bad in [
            Outcome { wrong, ..outcome() },
            Outcome { cycles: None, ..outcome() },
            Outcome { cycles: Some(3), took: Duration::from_secs(5), ..outcome() },
            Outcome { scaled: false, ..outcome() },
        ] {
            assert!(!bad.passed(), "{bad}");
        }
    }
}
