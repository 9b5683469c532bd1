//! Scaling a woken workload to one replica, and one that goes to sleep to none, through its scale subresource.
//!
//! What is published already says so; but an autoscaler may not look for a while, an HPA that found its target at zero does
//! not touch it at all, and one with a lower limit of 1 never takes it there.
//!
//! The two directions are not alike. A request waits for a replica, so waking is tried again here; nobody waits for a
//! workload to end, so a sleep that somebody gets in the way of is left to the next decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;
use wva_api::{ScaleTargetRef, events};

use crate::cluster::index::{ObjectKey, TargetKind};
use crate::cluster::scale::{Scales, Slept, Woken};
use crate::lock::lock;
use crate::metrics::ZeroMetrics;
use crate::ownership::leader::Leadership;
use crate::report::events::{Event, EventSender};
use crate::report::reporter;
use crate::shared::Shared;
use crate::tasks::joined;

/// Pause after the first failure of a variant; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Variants that may wait to be scaled.
const CAPACITY: usize = 1024;

/// Takes variants to wake, and to put to sleep.
#[derive(Clone, Debug)]
pub struct Waker {
    sender: mpsc::Sender<(ObjectKey, Order)>,
    state: Arc<Mutex<State>>,
}

/// What is to be done with a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// One replica, from none.
    Wake,
    /// None, from no more replicas than these.
    Sleep {
        /// What it had when that was decided. Who scales it up after that knows better.
        from: u32,
    },
}

/// Wakes them, and puts them to sleep.
pub struct WakeTask {
    parts: Parts,
    variants: mpsc::Receiver<(ObjectKey, Order)>,
    state: Arc<Mutex<State>>,
}

/// What waking needs.
pub struct Parts {
    /// Scale subresources.
    pub scales: Arc<Scales>,
    /// Field manager.
    pub manager: String,
    /// Time limit of one write.
    pub timeout: Duration,
    /// Workloads scaled at the same time, at most.
    pub concurrency: usize,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Variants and their targets; and what is published: nothing is put to sleep that is meant to run by now.
    pub shared: Arc<Shared>,
    /// Where failures are told.
    pub events: EventSender,
    /// Where they are counted.
    pub metrics: ZeroMetrics,
}

#[derive(Debug, Default)]
struct State {
    /// Variants that are being scaled.
    busy: BTreeSet<ObjectKey>,
    /// Variants that could not be woken: how often in a row, and when to try again.
    failing: BTreeMap<ObjectKey, (u32, Instant)>,
    /// Those that could not be put to sleep. They can be woken all the same.
    restless: BTreeMap<ObjectKey, (u32, Instant)>,
}

/// What became of an order.
type Outcome<T> = Result<T, Error>;

/// The outcome of either.
enum Done {
    Woken(Outcome<Woken>),
    Slept(Outcome<Slept>),
}

/// A workload could not be scaled.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Scale(#[from] crate::cluster::scale::Error),
    #[error(transparent)]
    NotWritten(#[from] crate::ownership::leader::NotWritten),
}

impl Waker {
    /// One that nobody listens to.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self { sender: mpsc::channel(1).0, state: Arc::default() }
    }

    /// Hands a variant over, unless it is being scaled already or could not be woken a moment ago. Never blocks.
    pub fn wake(&self, variant: &ObjectKey) {
        if !self.is_failing(variant) {
            self.hand_over(variant, Order::Wake);
        }
    }

    /// Hands over a variant of `from` replicas that is to have none, unless it is being scaled already or could not be put to
    /// sleep a moment ago. Never blocks.
    pub fn sleep(&self, variant: &ObjectKey, from: u32) {
        let until = state(&self.state).restless.get(variant).map(|(_, until)| *until);
        if until.is_none_or(|until| Instant::now() >= until) {
            self.hand_over(variant, Order::Sleep { from });
        }
    }

    fn hand_over(&self, variant: &ObjectKey, order: Order) {
        if state(&self.state).busy.insert(variant.clone()) && self.sender.try_send((variant.clone(), order)).is_err() {
            // The caller will call again.
            state(&self.state).busy.remove(variant);
        }
    }

    /// Forgets what could not be scaled: who leads next begins anew.
    pub fn forget_failures(&self) {
        let mut state = state(&self.state);
        state.failing.clear();
        state.restless.clear();
    }

    /// Whether a variant could not be woken a moment ago. Another one of its model may stand in.
    pub fn is_failing(&self, variant: &ObjectKey) -> bool {
        state(&self.state).failing.get(variant).is_some_and(|(_, until)| Instant::now() < *until)
    }
}

impl WakeTask {
    /// A task that has not begun, and the way to reach it.
    pub fn new(parts: Parts) -> (Waker, Self) {
        let (sender, variants) = mpsc::channel(CAPACITY);
        let state = Arc::new(Mutex::new(State::default()));
        (Waker { sender, state: Arc::clone(&state) }, Self { parts, variants, state })
    }

    /// Wakes until nobody can hand anything over any longer.
    pub async fn run(self) {
        self.serve().instrument(tracing::info_span!("wake")).await;
    }

    async fn serve(mut self) {
        let allowance = Arc::new(Semaphore::new(self.parts.concurrency));
        let mut writes = JoinSet::new();
        loop {
            tokio::select! {
                variant = self.variants.recv() => {
                    let Some((variant, order)) = variant else { return };
                    let Some(target) = self.target(&variant) else {
                        state(&self.state).busy.remove(&variant);
                        continue;
                    };
                    if order == Order::Wake {
                        tracing::info!(
                            variant = variant.name,
                            namespace = variant.namespace,
                            target = target.name,
                            "Target workload has pending requests, scaling up from zero"
                        );
                    }
                    let (kind, object) = (TargetKind::of(&target), ObjectKey::new(&*variant.namespace, &*target.name));
                    let scales = Arc::clone(&self.parts.scales);
                    let (allowance, leadership) = (Arc::clone(&allowance), self.parts.leadership.clone());
                    let (manager, timeout) = (self.parts.manager.clone(), self.parts.timeout);
                    let shared = Arc::clone(&self.parts.shared);
                    writes.spawn(async move {
                        // The allowance is never closed.
                        let _permit = allowance.acquire_owned().await;
                        let done = match order {
                            Order::Wake => {
                                let write = scales.wake(&kind, &object, &manager);
                                Done::Woken(flat(leadership.write(timeout, write).await))
                            }
                            Order::Sleep { from } => {
                                let still = || shared.ledger.published(&variant) == Some(0);
                                let write = scales.sleep(&kind, &object, &manager, from, still);
                                Done::Slept(flat(leadership.write(timeout, write).await))
                            }
                        };
                        (variant, target, done)
                    });
                }
                Some(done) = writes.join_next() => if let Some((variant, target, done)) = joined(done) {
                    match done {
                        Done::Woken(outcome) => self.conclude(&variant, &target, outcome),
                        Done::Slept(outcome) => self.conclude_sleep(&variant, &target, outcome),
                    }
                },
            }
        }
    }

    fn target(&self, variant: &ObjectKey) -> Option<ScaleTargetRef> {
        self.parts.shared.index().variants.get(variant).map(|found| found.target.clone())
    }

    fn conclude(&self, variant: &ObjectKey, target: &ScaleTargetRef, outcome: Outcome<Woken>) {
        self.parts.metrics.woken(outcome.is_ok());
        let mut state = state(&self.state);
        state.busy.remove(variant);
        let ObjectKey { namespace, name } = variant;
        let error = match outcome {
            Ok(Woken::Up) => {
                state.failing.remove(variant);
                tracing::info!(
                    variant = name,
                    namespace,
                    target = target.name,
                    from = 0,
                    to = 1,
                    "Successfully updated ScaleTarget"
                );
                return;
            }
            Ok(Woken::AlreadyAt(replicas)) => {
                state.failing.remove(variant);
                tracing::info!(
                    variant = name,
                    namespace,
                    target = target.name,
                    replicas,
                    "The workload was scaled up by somebody else"
                );
                return;
            }
            Err(error) => error,
        };
        let pause = fail(&mut state.failing, variant);
        drop(state);
        tracing::warn!(variant = name, namespace, target = target.name, %error, retryIn = ?pause, "Cannot scale a workload up from zero");
        let says = format!(
            "Requests wait for the model, but {} {} could not be scaled from 0 to 1: {error}",
            target.kind, target.name
        );
        self.warn(variant, events::SCALE_FROM_ZERO_FAILED, says);
    }

    fn conclude_sleep(&self, variant: &ObjectKey, target: &ScaleTargetRef, outcome: Outcome<Slept>) {
        let mut state = state(&self.state);
        state.busy.remove(variant);
        let ObjectKey { namespace, name } = variant;
        let error = match outcome {
            Ok(slept) => {
                state.restless.remove(variant);
                let (variant, target) = (name, &target.name);
                match slept {
                    Slept::Down { from } => {
                        tracing::info!(variant, namespace, target, from, to = 0, "Scaled an idle workload to zero");
                    }
                    Slept::Already => tracing::debug!(variant, namespace, target, "The workload is at zero already"),
                    Slept::Overtaken => {
                        tracing::info!(
                            variant,
                            namespace,
                            target,
                            "An idle workload was scaled by others; deciding again"
                        );
                    }
                }
                return;
            }
            Err(error) => error,
        };
        let pause = fail(&mut state.restless, variant);
        drop(state);
        tracing::warn!(variant = name, namespace, target = target.name, %error, retryIn = ?pause, "Cannot scale an idle workload to zero");
        let says = format!(
            "The model is idle, but {} {} could not be scaled to 0: {error}; it keeps its replicas until that works",
            target.kind, target.name
        );
        self.warn(variant, events::SCALE_TO_ZERO_FAILED, says);
    }

    fn warn(&self, variant: &ObjectKey, reason: &'static str, message: String) {
        if let Some(found) = self.parts.shared.index().variants.get(variant) {
            self.parts.events.send(Event {
                on: reporter::reference(variant, &found.uid),
                warning: true,
                reason,
                message,
            });
        }
    }
}

/// Notes one more failure in a row, and returns the pause before the next attempt.
fn fail(failing: &mut BTreeMap<ObjectKey, (u32, Instant)>, variant: &ObjectKey) -> Duration {
    let failures = failing.get(variant).map_or(0, |(failures, _)| *failures);
    let pause = (FIRST_PAUSE * 2_u32.saturating_pow(failures.min(8))).min(LONGEST_PAUSE);
    failing.insert(variant.clone(), (failures.saturating_add(1), Instant::now() + pause));
    pause
}

/// One error of two.
fn flat<T>(
    outcome: Result<Result<T, crate::cluster::scale::Error>, crate::ownership::leader::NotWritten>,
) -> Outcome<T> {
    match outcome {
        Ok(outcome) => outcome.map_err(Error::from),
        Err(error) => Err(error.into()),
    }
}

fn state(state: &Mutex<State>) -> MutexGuard<'_, State> {
    lock(state)
}

#[cfg(test)]
mod tests;
