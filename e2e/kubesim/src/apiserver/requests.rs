//! The record of requests: what was asked by whom, and the writes in the order in which they were carried out.
//!
//! Equal requests are counted in one entry, so the record stays small however long a test runs; both parts are bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::action::Action;
use super::tokens::User;

/// Different requests remembered. More are only counted.
const DISTINCT: usize = 20_000;
/// Writes remembered, the newest.
const WRITES: usize = 20_000;

/// A request as it is told from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// User name, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// The pod whose token was used; empty for others.
    pub pod: String,
    /// What was asked.
    #[serde(flatten)]
    pub action: Action,
    /// Whether the user may do it.
    pub allowed: bool,
}

/// A request and how often it came.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// How often.
    pub count: u64,
    /// When it came first.
    pub first: Timestamp,
    /// When it came last.
    pub last: Timestamp,
}

/// A request that may change something, once it was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteRequest {
    /// When it was carried out.
    pub at: Timestamp,
    /// User name.
    pub user: String,
    /// The pod whose token was used; empty for others.
    pub pod: String,
    /// Field manager: the one asked for, or the program in the user agent.
    pub manager: String,
    /// What was asked.
    #[serde(flatten)]
    pub action: Action,
    /// HTTP status of the answer.
    pub code: u16,
}

/// The record. It is kept whether or not requests are authorised.
#[derive(Debug, Default)]
pub(super) struct Requests {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: HashMap<Request, Count>,
    writes: VecDeque<WriteRequest>,
}

#[derive(Debug)]
struct Count {
    times: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn saw(&self, user: &User, action: &Action, allowed: bool, now: Timestamp) {
        let request = Request { user: user.name.clone(), pod: user.pod.clone(), action: action.clone(), allowed };
        let mut inner = self.lock();
        if let Some(known) = inner.seen.get_mut(&request) {
            known.times += 1;
            known.last = now;
        } else if inner.seen.len() < DISTINCT {
            inner.seen.insert(request, Count { times: 1, first: now, last: now });
        }
    }

    pub(super) fn wrote(&self, user: &User, action: &Action, manager: &str, code: u16, now: Timestamp) {
        let mut inner = self.lock();
        if inner.writes.len() == WRITES {
            inner.writes.pop_front();
        }
        inner.writes.push_back(WriteRequest {
            at: now,
            user: user.name.clone(),
            pod: user.pod.clone(),
            manager: manager.to_owned(),
            action: action.clone(),
            code,
        });
    }

    /// What was asked, in the order of users and actions.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let inner = self.lock();
        let mut seen: Vec<Seen> = inner
            .seen
            .iter()
            .map(|(request, Count { times, first, last })| Seen {
                request: request.clone(),
                count: *times,
                first: *first,
                last: *last,
            })
            .collect();
        seen.sort_by(|a, b| a.request.cmp(&b.request));
        seen
    }

    pub(super) fn writes(&self) -> Vec<WriteRequest> {
        self.lock().writes.iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        *self.lock() = Inner::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_are_one_entry() {
        let requests = Requests::default();
        let (user, other) = (User::named("a", &[]), User::named("b", &[]));
        let action = Action { verb: "get".to_owned(), resource: "pods".to_owned(), ..Action::default() };
        let later = Timestamp::from_second(9).expect("in range");
        requests.saw(&user, &action, true, Timestamp::UNIX_EPOCH);
        requests.saw(&user, &action, true, later);
        requests.saw(&user, &action, false, later);
        requests.saw(&other, &action, true, later);
        let seen = requests.seen();
        assert_eq!(seen.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!((seen[1].first, seen[1].last), (Timestamp::UNIX_EPOCH, later));
    }

    #[test]
    fn the_oldest_writes_are_forgotten_first() {
        let requests = Requests::default();
        let user = User::named("a", &[]);
        for number in 0..=WRITES {
            let action = Action { verb: "patch".to_owned(), name: number.to_string(), ..Action::default() };
            requests.wrote(&user, &action, "m", 200, Timestamp::UNIX_EPOCH);
        }
        let writes = requests.writes();
        assert_eq!((writes.len(), &*writes[0].action.name), (WRITES, "1"));
    }
}
