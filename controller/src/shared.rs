//! State that several tasks look at.
//!
//! Who takes several of its locks takes them in this order: the index, pools, readings of pickers, what of them is wanted,
//! GPUs, variants that are left alone, the last cycle, the history. None is held across an await, and the index only for as
//! long as it takes to copy from it what is needed.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wva_engine::{History, Memory, Plan, Settings, Snapshot};

use crate::cluster::index::Index;
use crate::cluster::inventory::GpuInventory;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::observe::gateway::Gateway;
use crate::ownership::conflict::Refusals;
use crate::pulse::Pulse;
use crate::readiness::Readiness;
use crate::trouble::Troubles;

/// Shared by the watches, the cycle, the status writer and the server.
#[derive(Debug, Default)]
pub struct Shared {
    index: Mutex<Index>,
    /// Nanoseconds of the longest hold of the index.
    longest_hold: AtomicU64,
    last_cycle: Mutex<Option<LastCycle>>,
    history: Mutex<History>,
    refused: Mutex<Refusals>,
    /// What is known of gateways.
    pub gateway: Gateway,
    /// What is known of GPUs.
    pub gpu_inventory: GpuInventory,
    /// Wakes the cycle before its interval ends.
    pub wake: Notify,
    /// Told when variants change, and with them what is a target.
    pub targets: Notify,
    /// First lists of the watches; nothing is decided on an index that is half filled.
    pub lists: Readiness,
    /// First answers of what the controller depends on besides.
    pub answers: Readiness,
    /// Whether the cycle still beats.
    pub pulse: Pulse,
    /// What was said last of each variant.
    pub ledger: Ledger,
    /// What does not work at the moment.
    pub troubles: Troubles,
}

/// The index, locked. How long it was is remembered when it is let go.
#[derive(Debug)]
pub struct IndexGuard<'a> {
    guard: MutexGuard<'a, Index>,
    since: Instant,
    longest: &'a AtomicU64,
}

impl Deref for IndexGuard<'_> {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.guard
    }
}

impl DerefMut for IndexGuard<'_> {
    fn deref_mut(&mut self) -> &mut Index {
        &mut self.guard
    }
}

impl Drop for IndexGuard<'_> {
    fn drop(&mut self) {
        let held = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.longest.fetch_max(held, Ordering::Relaxed);
    }
}

/// Everything the last decision was made of and led to; enough to take it again elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastCycle {
    /// When it was decided.
    pub at: Timestamp,
    /// How it was decided.
    pub settings: Settings,
    /// What was observed.
    pub snapshot: Snapshot,
    /// Memory before the decision: with the three above, what led to it.
    pub before: Memory,
    /// Memory after the decision.
    pub memory: Memory,
    /// The decision.
    pub plan: Plan,
}

impl LastCycle {
    /// In how long the next decision is asked for, where that may be before the interval ends: when the first pause ends that does
    /// so by itself, or as soon as a load that has just jumped is known better.
    pub fn again_in(&self, now: Timestamp) -> Option<SignedDuration> {
        let pause = self.snapshot.next_end_of_a_pause(now).map(|end| end.duration_since(now));
        let jumped = self.plan.again_after().map(|after| (self.at + after).duration_since(now));
        pause.into_iter().chain(jumped).min()
    }
}

impl Shared {
    /// The index. Held for the length of a computation, never across an await.
    pub fn index(&self) -> IndexGuard<'_> {
        let guard = lock(&self.index);
        IndexGuard { guard, since: Instant::now(), longest: &self.longest_hold }
    }

    /// The longest time for which anybody held the index since the start.
    pub fn longest_hold_of_index(&self) -> Duration {
        Duration::from_nanos(self.longest_hold.load(Ordering::Relaxed))
    }

    /// Variants that the cycle leaves alone because of another instance.
    pub fn refused(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refused)
    }

    /// The last cycle; `None` before the first.
    pub fn last_cycle(&self) -> MutexGuard<'_, Option<LastCycle>> {
        lock(&self.last_cycle)
    }

    /// What was decided in this term of leadership.
    pub fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wva_engine::ModelKey;
    use wva_engine::plan::{Evidence, ModelOutcome};
    use wva_engine::snapshot::{Model, Pause, PauseRequest, Variant};

    use super::*;

    #[rstest]
    #[case::of_nothing(None, &[], None)]
    #[case::of_a_load_that_has_jumped(Some(5), &[], Some(4))]
    #[case::of_a_pause_that_ends(None, &[3], Some(2))]
    #[case::of_what_comes_first(Some(5), &[9, 3], Some(2))]
    fn a_decision_is_asked_for_again(
        #[case] after: Option<i64>,
        #[case] pauses: &[i64],
        #[case] expected: Option<i64>,
    ) {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let paused = |(number, until): (usize, &i64)| {
            let pause = PauseRequest::Asked(Pause { until: Some(at(*until)), ..Pause::default() });
            Variant { name: number.to_string(), pause: Some(pause), ..Variant::default() }
        };
        let key = ModelKey { namespace: "ns".to_owned(), model_id: "llama".to_owned() };
        let variants = pauses.iter().enumerate().map(paused).collect();
        let outcome = ModelOutcome {
            key: key.clone(),
            evidence: Evidence::Complete,
            analysis: None,
            tokens: None,
            forecast: None,
            again_after: after.map(SignedDuration::from_secs),
        };
        let cycle = LastCycle {
            at: at(0),
            settings: Settings::default(),
            snapshot: Snapshot { models: vec![Model { key, variants, ..Model::default() }], ..Snapshot::default() },
            before: Memory::default(),
            memory: Memory::default(),
            plan: Plan { targets: Vec::new(), models: vec![outcome] },
        };
        assert_eq!(cycle.again_in(at(1)), expected.map(SignedDuration::from_secs));
    }

    #[test]
    fn the_longest_hold_of_the_index_is_remembered() {
        let shared = Shared::default();
        assert_eq!(shared.longest_hold_of_index(), Duration::ZERO, "nobody held it yet");
        let (guard, taken) = (shared.index(), Instant::now());
        let held = loop {
            let held = taken.elapsed();
            if held >= Duration::from_millis(2) {
                break held;
            }
        };
        drop(guard);
        let longest = shared.longest_hold_of_index();
        assert!(longest >= held, "{longest:?} of {held:?}");
        drop(shared.index());
        assert!(shared.longest_hold_of_index() >= longest, "a shorter one changes nothing");
    }
}
