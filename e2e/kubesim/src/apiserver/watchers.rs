//! The watches that are open, so that a test can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::action::Action;
use super::faults::Matcher;
use super::tokens::User;

/// How a watch is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The connection breaks off.
    Drop,
    /// With the error event `410 Gone`.
    Expire,
}

#[derive(Debug, Default)]
pub(super) struct Watchers {
    open: Mutex<(u64, HashMap<u64, Open>)>,
}

#[derive(Debug)]
struct Open {
    user: Arc<User>,
    action: Action,
    end: oneshot::Sender<End>,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u64, Open>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a watch, which hears its end from the receiver.
    pub(super) fn register(&self, user: Arc<User>, action: Action) -> (u64, oneshot::Receiver<End>) {
        let (end, ended) = oneshot::channel();
        let mut open = self.lock();
        open.0 += 1;
        let id = open.0;
        open.1.insert(id, Open { user, action, end });
        (id, ended)
    }

    pub(super) fn unregister(&self, id: u64) {
        self.lock().1.remove(&id);
    }

    /// Ends all watches that match; says how many.
    pub(super) fn end(&self, matcher: &Matcher, how: End) -> usize {
        let mut open = self.lock();
        let ended: Vec<Open> =
            open.1.extract_if(|_, watch| matcher.matches(&watch.user, &watch.action)).map(|(_, watch)| watch).collect();
        ended.into_iter().filter_map(|watch| watch.end.send(how).ok()).count()
    }
}
