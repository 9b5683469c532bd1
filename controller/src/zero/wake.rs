//! Scaling a woken workload to one replica, through its scale subresource.
//!
//! What is published already says so; but an autoscaler may not look for a while, and an HPA that found its target at
//! zero does not touch it at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;
use wva_api::{ScaleTargetRef, events};

use crate::events::{Event, EventSender};
use crate::index::{ObjectKey, TargetKind};
use crate::leader::Leadership;
use crate::lock::lock;
use crate::metrics::ZeroMetrics;
use crate::scale::{Scales, Woken};
use crate::shared::Shared;
use crate::tasks::joined;
use crate::teller;

/// Pause after the first failure of a variant; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Variants that may wait to be scaled.
const CAPACITY: usize = 1024;

/// Takes variants to wake.
#[derive(Clone, Debug)]
pub struct Waker {
    sender: mpsc::Sender<ObjectKey>,
    state: Arc<Mutex<State>>,
}

/// Wakes them.
pub struct WakeTask {
    parts: Parts,
    variants: mpsc::Receiver<ObjectKey>,
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
    /// Variants and their targets.
    pub shared: Arc<Shared>,
    /// Where failures are told.
    pub events: EventSender,
    /// Where they are counted.
    pub metrics: ZeroMetrics,
}

#[derive(Debug, Default)]
struct State {
    /// Variants that are being woken.
    busy: BTreeSet<ObjectKey>,
    /// Variants that could not be woken: how often in a row, and when to try again.
    failing: BTreeMap<ObjectKey, (u32, Instant)>,
}

/// A workload could not be scaled.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Scale(#[from] crate::scale::Error),
    #[error(transparent)]
    NotWritten(#[from] crate::leader::NotWritten),
}

impl Waker {
    /// One that nobody listens to.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self { sender: mpsc::channel(1).0, state: Arc::default() }
    }

    /// Hands a variant over, unless it is being woken already or could not be a moment ago. Never blocks.
    pub fn wake(&self, variant: &ObjectKey) {
        if self.is_failing(variant) || !state(&self.state).busy.insert(variant.clone()) {
            return;
        }
        if self.sender.try_send(variant.clone()).is_err() {
            // The listener will call again.
            state(&self.state).busy.remove(variant);
        }
    }

    /// Forgets what could not be woken: who leads next begins anew.
    pub fn forget_failures(&self) {
        state(&self.state).failing.clear();
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
                    let Some(variant) = variant else { return };
                    let Some(target) = self.target(&variant) else {
                        state(&self.state).busy.remove(&variant);
                        continue;
                    };
                    tracing::info!(
                        variant = variant.name,
                        namespace = variant.namespace,
                        target = target.name,
                        "Target workload has pending requests, scaling up from zero"
                    );
                    let (kind, object) = (TargetKind::of(&target), ObjectKey::new(&*variant.namespace, &*target.name));
                    let scales = Arc::clone(&self.parts.scales);
                    let (allowance, leadership) = (Arc::clone(&allowance), self.parts.leadership.clone());
                    let (manager, timeout) = (self.parts.manager.clone(), self.parts.timeout);
                    writes.spawn(async move {
                        // The allowance is never closed.
                        let _permit = allowance.acquire_owned().await;
                        let outcome = match leadership.write(timeout, scales.wake(&kind, &object, &manager)).await {
                            Ok(outcome) => outcome.map_err(Error::from),
                            Err(error) => Err(error.into()),
                        };
                        (variant, target, outcome)
                    });
                }
                Some(done) = writes.join_next() => if let Some((variant, target, outcome)) = joined(done) {
                    self.conclude(&variant, &target, outcome);
                },
            }
        }
    }

    fn target(&self, variant: &ObjectKey) -> Option<ScaleTargetRef> {
        self.parts.shared.index().variants.get(variant).map(|found| found.target.clone())
    }

    fn conclude(&self, variant: &ObjectKey, target: &ScaleTargetRef, outcome: Result<Woken, Error>) {
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
        let failures = state.failing.get(variant).map_or(0, |(failures, _)| *failures);
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(failures.min(8))).min(LONGEST_PAUSE);
        state.failing.insert(variant.clone(), (failures.saturating_add(1), Instant::now() + pause));
        drop(state);
        tracing::warn!(variant = name, namespace, target = target.name, %error, retryIn = ?pause, "Cannot scale a workload up from zero");
        if let Some(found) = self.parts.shared.index().variants.get(variant) {
            self.parts.events.send(Event {
                on: teller::reference(variant, &found.uid),
                warning: true,
                reason: events::SCALE_FROM_ZERO_FAILED,
                message: format!(
                    "Requests wait for the model, but {} {} could not be scaled from 0 to 1: {error}",
                    target.kind, target.name
                ),
            });
        }
    }
}

fn state(state: &Mutex<State>) -> MutexGuard<'_, State> {
    lock(state)
}

#[cfg(test)]
mod tests;
