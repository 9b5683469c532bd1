//! The looks over time, and the moves in them.

use std::time::{Duration, Instant};

use super::observe::Row;

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Record {
    looks: Vec<Look>,
    moves: Vec<Move>,
    phases: Vec<(Phase, Duration)>,
    begun: Option<Instant>,
}

/// All variants at one time.
#[derive(Clone, Debug)]
pub struct Look {
    /// Time since the first look or phase.
    pub at: Duration,
    /// One row per variant.
    pub rows: Vec<Row>,
}

/// A change of a variant's published replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at: Duration,
    /// In which phase.
    pub phase: Phase,
    /// Instance that published it.
    pub instance: String,
    /// Variant, by its Deployment.
    pub variant: String,
    /// Before.
    pub from: i32,
    /// After.
    pub to: i32,
    /// The controller's reason.
    pub reason: String,
}

/// Part of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Before the load.
    #[default]
    Idle,
    /// Under load.
    Load,
    /// After the load.
    After,
}

impl Move {
    /// Whether it is a growth.
    pub fn is_up(&self) -> bool {
        self.to > self.from
    }
}

impl Record {
    /// Marks the start of the load.
    pub fn load_started(&mut self) {
        self.begin(Phase::Load);
    }

    /// Marks the end of the load.
    pub fn load_stopped(&mut self) {
        self.begin(Phase::After);
    }

    fn begin(&mut self, phase: Phase) {
        let at = self.now();
        self.phases.push((phase, at));
    }

    fn now(&mut self) -> Duration {
        self.begun.get_or_insert_with(Instant::now).elapsed()
    }

    /// Adds a look and says how many variants moved since the one before.
    pub fn add(&mut self, rows: Vec<Row>) -> usize {
        let at = self.now();
        self.add_at(at, rows)
    }

    fn add_at(&mut self, at: Duration, rows: Vec<Row>) -> usize {
        let phase = self.phase();
        let before = self.moves.len();
        for row in &rows {
            let published = |row: &Row| row.desired;
            let from =
                self.looks.iter().rev().flat_map(|look| &look.rows).filter(|r| r.is_same(row)).find_map(published);
            if let (Some(from), Some(to)) = (from, row.desired)
                && from != to
            {
                self.moves.push(Move {
                    at,
                    phase,
                    instance: row.instance.clone(),
                    variant: row.variant.clone(),
                    from,
                    to,
                    reason: row.reason.clone(),
                });
            }
        }
        self.looks.push(Look { at, rows });
        self.moves.len() - before
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.phases.last().map(|(phase, _)| *phase).unwrap_or_default()
    }

    /// Start of each phase.
    pub fn phases(&self) -> &[(Phase, Duration)] {
        &self.phases
    }

    /// All looks.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// All moves.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Moves of one instance in the current phase.
    pub fn moves_of_phase(&self, instance: &str) -> Vec<Move> {
        let phase = self.phase();
        self.moves.iter().filter(|m| m.phase == phase && m.instance == instance).cloned().collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Phase, second, and the published replicas of (instance, variant).
    type Step<'a> = (Phase, u64, &'a [(&'a str, &'a str, i32)]);

    /// A record from a script.
    pub(in crate::demo) fn script(steps: &[Step<'_>]) -> Record {
        let mut record = Record::default();
        for (phase, second, rows) in steps {
            let at = Duration::from_secs(*second);
            if record.phase() != *phase {
                record.phases.push((*phase, at));
            }
            let rows =
                rows.iter().map(|(instance, variant, desired)| Row::example(instance, variant, *desired)).collect();
            record.add_at(at, rows);
        }
        record
    }

    #[test]
    fn a_move_is_a_change_of_the_published_number_of_one_variant() {
        let record = script(&[
            (Phase::Load, 0, &[("a", "x", 1), ("b", "x", 1)]),
            (Phase::Load, 1, &[("a", "x", 2), ("b", "x", 1)]),
            (Phase::After, 2, &[("a", "x", 2), ("b", "x", 1)]),
            (Phase::After, 3, &[("a", "x", 1), ("b", "x", 1)]),
        ]);
        let moves: Vec<_> =
            record.moves().iter().map(|m| (m.at.as_secs(), m.phase, m.instance.as_str(), m.to)).collect();
        assert_eq!(moves, [(1, Phase::Load, "a", 2), (3, Phase::After, "a", 1)]);
        assert_eq!(record.moves_of_phase("a").len(), 1);
    }

    #[test]
    fn a_gap_in_what_was_seen_is_no_move() {
        let mut record = script(&[(Phase::Load, 0, &[("a", "x", 1)])]);
        let unseen = Row { desired: None, ..Row::example("a", "x", 0) };
        assert_eq!(record.add_at(Duration::from_secs(1), vec![unseen]), 0);
        assert_eq!(record.add_at(Duration::from_secs(2), vec![Row::example("a", "x", 1)]), 0);
        assert_eq!(record.add_at(Duration::from_secs(3), vec![Row::example("a", "x", 2)]), 1);
    }
}
