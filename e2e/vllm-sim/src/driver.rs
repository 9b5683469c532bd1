//! Moves the engine along the real clock.
//!
//! One lock guards the engine, its statistics and the listeners. Whoever takes it first advances the engine to the
//! present, so that a scrape or a new request never sees a stale engine however late the driver's timer fires. The
//! driver task sleeps until the next iteration ends, and for good while the engine is idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use crate::engine::{Engine, Event, Finished, Load, NewRequest, Refused, RequestId, Settings};
use crate::stats::Stats;

/// A handle to a running engine; clones share it.
#[derive(Debug, Clone)]
pub struct Driver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Instant,
    state: Mutex<State>,
    /// Rung when the driver task must look again: work for an idle engine, or the end.
    bell: Notify,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    stats: Stats,
    listeners: HashMap<RequestId, Listener>,
    closed: bool,
}

#[derive(Debug)]
struct Listener {
    updates: mpsc::UnboundedSender<Update>,
    /// A client that does not stream only cares for the end.
    wants_tokens: bool,
}

/// News about one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// One more token is ready.
    Token {
        /// Whether it completes the answer.
        last: bool,
    },
    /// The answer is complete.
    Finished(Finished),
}

/// A submitted request. Dropping it before the end cancels the request.
#[derive(Debug)]
pub struct Ticket {
    id: RequestId,
    updates: mpsc::UnboundedReceiver<Update>,
    driver: Driver,
    ended: bool,
}

// === impl Driver ===

impl Driver {
    /// Starts an engine with `settings`, at time zero now. Must be called within a tokio runtime; the task ends on
    /// [`Driver::close`].
    pub fn start(settings: Settings) -> Self {
        let state = State {
            stats: Stats::new(settings.max_model_len),
            engine: Engine::new(settings),
            listeners: HashMap::new(),
            closed: false,
        };
        let shared = Shared { epoch: Instant::now(), state: Mutex::new(state), bell: Notify::new() };
        let driver = Self { shared: Arc::new(shared) };
        tokio::spawn(driver.clone().run());
        driver
    }

    /// Queues a request. `stream` asks for an update per token.
    pub fn submit(&self, request: NewRequest, stream: bool) -> Result<Ticket, Refused> {
        let (sender, updates) = mpsc::unbounded_channel();
        let (mut state, now) = self.lock();
        let id = state.engine.submit(request, now)?;
        // Without a listener the ticket yields nothing, like those that the closing cut off.
        if !state.closed {
            state.listeners.insert(id, Listener { updates: sender, wants_tokens: stream });
        }
        drop(state);
        self.shared.bell.notify_one();
        Ok(Ticket { id, updates, driver: self.clone(), ended: false })
    }

    /// Calls `look` with the load and the statistics as they are now.
    pub fn observe<T>(&self, look: impl FnOnce(Load, &Stats) -> T) -> T {
        let (state, _) = self.lock();
        look(state.engine.load(), &state.stats)
    }

    /// Ends the driver task and every request still running: their tickets yield nothing more.
    pub fn close(&self) {
        let (mut state, _) = self.lock();
        state.closed = true;
        state.listeners.clear();
        drop(state);
        self.shared.bell.notify_one();
    }

    async fn run(self) {
        loop {
            let deadline = {
                let (state, _) = self.lock();
                if state.closed {
                    return;
                }
                state.engine.next_event().map(|at| self.shared.epoch + at)
            };
            match deadline {
                // No need to hear the bell: requests that arrive now are seen when the iteration ends.
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => self.shared.bell.notified().await,
            }
        }
    }

    /// Takes the lock and brings the engine to the present.
    fn lock(&self) -> (MutexGuard<'_, State>, Duration) {
        // A panic elsewhere cannot leave the engine half changed in a way that serving on would make worse.
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.epoch.elapsed();
        state.advance(now);
        (state, now)
    }
}

// === impl State ===

impl State {
    fn advance(&mut self, now: Duration) {
        for event in self.engine.advance(now) {
            self.stats.record(&event);
            match event {
                Event::Token { id, last, .. } => {
                    if let Some(listener) = self.listeners.get(&id).filter(|listener| listener.wants_tokens) {
                        // The receiver is gone when the client just left; its ticket cancels the request.
                        let _ = listener.updates.send(Update::Token { last });
                    }
                }
                Event::Finished(finished) => {
                    if let Some(listener) = self.listeners.remove(&finished.id) {
                        let _ = listener.updates.send(Update::Finished(finished));
                    }
                }
                Event::Admitted { .. } | Event::Preempted { .. } | Event::Step { .. } => {}
            }
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// The number of this request within the server.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// The next update; `None` when the server was closed before the answer was complete.
    pub async fn next(&mut self) -> Option<Update> {
        let update = self.updates.recv().await;
        self.ended |= matches!(update, Some(Update::Finished(_)));
        update
    }

    /// Waits for the end; `None` as for [`Ticket::next`].
    pub async fn finished(mut self) -> Option<Finished> {
        loop {
            match self.next().await? {
                Update::Token { .. } => {}
                Update::Finished(finished) => return Some(finished),
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.ended {
            let (mut state, now) = self.driver.lock();
            state.listeners.remove(&self.id);
            state.engine.cancel(self.id, now);
            // Counts the abort, and lets the freed slot be taken.
            state.advance(now);
        }
    }
}
