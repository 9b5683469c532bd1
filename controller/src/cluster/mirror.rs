//! Following a kind of object that the controller can do without: kept while it is served and may be read.
//!
//! The kinds that every decision needs have their own way into the index ([`watch`](crate::cluster::watch)), and the process
//! is not ready before it knows them. The kinds here are optional: an API that is not installed, or rights that were
//! not granted, leave a part of the controller without data, and that part says so.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::runtime::watcher;

use crate::api_error;
use crate::trouble::Troubles;

/// Longest pause between two attempts at a watch that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A change of what is mirrored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change<K, R> {
    /// A complete list: whatever it does not hold is gone.
    All(BTreeMap<K, R>),
    /// An object is new or changed.
    Put(K, R),
    /// An object is gone, or none of ours any longer.
    Gone(K),
}

/// Why a watch brings nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What went wrong, for a person.
    pub(crate) words: String,
    /// HTTP status, if the API server answered.
    code: Option<u16>,
}

impl Failure {
    /// Whether the API server does not serve the kind.
    fn not_served(&self) -> bool {
        self.code == Some(404)
    }

    /// Whether it will not pass by itself: what was known before may no longer be true, and nobody will say so.
    pub(crate) fn lasts(&self) -> bool {
        matches!(self.code, Some(401 | 403 | 404))
    }
}

impl<K: Ord, R> Change<K, R> {
    /// Carries the change out.
    pub(crate) fn apply(self, table: &mut BTreeMap<K, R>) {
        match self {
            Self::All(all) => *table = all,
            Self::Put(key, record) => {
                table.insert(key, record);
            }
            Self::Gone(key) => {
                table.remove(&key);
            }
        }
    }
}

/// Passes on what a watch brings, for as long as the API server serves its kind. `read` trims each object to what is
/// kept, with `None` for one that does not count; `take` gets the changes, and the failures in between.
pub(crate) async fn follow<O, K: Ord, R>(
    troubles: &Troubles,
    kind: &str,
    stream: impl Stream<Item = watcher::Result<watcher::Event<O>>>,
    read: impl Fn(O) -> (K, Option<R>),
    mut take: impl FnMut(Result<Change<K, R>, Failure>),
) {
    let mut stream = std::pin::pin!(stream);
    let what = format!("watch {kind}");
    let mut listing = BTreeMap::new();
    let mut failures: u32 = 0;
    while let Some(event) = stream.next().await {
        let error = match event {
            Ok(event) => {
                if !matches!(event, watcher::Event::Init) && std::mem::take(&mut failures) > 0 {
                    troubles.works(&what);
                }
                if let Some(change) = change(event, &mut listing, &read) {
                    take(Ok(change));
                }
                continue;
            }
            Err(error) => failure(&error),
        };
        take(Err(error.clone()));
        if error.not_served() {
            troubles.works(&what);
            return;
        }
        troubles.fails(&what, &error.words);
        let pause = Duration::from_millis(250 << failures.min(5)).min(LONGEST_PAUSE);
        failures += 1;
        tokio::time::sleep(pause).await;
    }
}

fn change<O, K: Ord, R>(
    event: watcher::Event<O>,
    listing: &mut BTreeMap<K, R>,
    read: impl Fn(O) -> (K, Option<R>),
) -> Option<Change<K, R>> {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    match event {
        Init => {
            listing.clear();
            None
        }
        InitApply(object) => {
            if let (key, Some(record)) = read(object) {
                listing.insert(key, record);
            }
            None
        }
        InitDone => Some(Change::All(std::mem::take(listing))),
        Apply(object) => Some(match read(object) {
            (key, Some(record)) => Change::Put(key, record),
            (key, None) => Change::Gone(key),
        }),
        Delete(object) => Some(Change::Gone(read(object).0)),
    }
}

fn failure(error: &watcher::Error) -> Failure {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(source) | WatchStartFailed(source) | WatchFailed(source) => {
            let code = match source {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            };
            Failure { words: api_error::words(source), code }
        }
        WatchError(status) => {
            Failure { words: format!("{} (HTTP {})", status.message, status.code), code: Some(status.code) }
        }
        NoResourceVersion => Failure { words: error.to_string(), code: None },
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

    use super::*;

    type Events = Vec<watcher::Result<watcher::Event<(&'static str, i32)>>>;

    /// Follows the events; negative numbers do not count.
    async fn changes(events: Events) -> (BTreeMap<&'static str, i32>, Vec<Failure>) {
        let mut table = BTreeMap::from([("left over", 9)]);
        let mut failures = Vec::new();
        let read = |(key, value): (&'static str, i32)| (key, (value >= 0).then_some(value));
        follow(&Troubles::default(), "numbers", futures::stream::iter(events), read, |change| match change {
            Ok(change) => change.apply(&mut table),
            Err(failure) => failures.push(failure),
        })
        .await;
        (table, failures)
    }

    fn refused(code: u16) -> watcher::Error {
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(Status::failure("no", "Why").with_code(code))))
    }

    #[tokio::test]
    async fn a_list_replaces_what_was_known_only_once_it_is_complete() {
        let (table, _) = changes(vec![Ok(Init), Ok(InitApply(("a", 1)))]).await;
        assert_eq!(table, [("left over", 9)].into());
        let (table, _) = changes(vec![Ok(Init), Ok(InitApply(("a", 1))), Ok(InitApply(("b", -1))), Ok(InitDone)]).await;
        assert_eq!(table, [("a", 1)].into());
    }

    #[tokio::test]
    async fn an_object_that_goes_or_counts_no_longer_is_dropped() {
        let events = vec![
            Ok(Init),
            Ok(InitDone),
            Ok(Apply(("a", 1))),
            Ok(Apply(("b", 2))),
            Ok(Apply(("c", 3))),
            Ok(Apply(("a", -1))),
            Ok(Delete(("b", 2))),
        ];
        assert_eq!(changes(events).await.0, [("c", 3)].into());
    }

    #[tokio::test]
    async fn it_goes_on_after_a_failure_and_ends_when_the_kind_is_not_served() {
        let events = vec![Err(refused(500)), Ok(Init), Ok(InitDone), Err(refused(404)), Ok(Apply(("late", 1)))];
        let (table, failures) = changes(events).await;
        assert_eq!(table, BTreeMap::new());
        assert_eq!(failures.iter().map(Failure::not_served).collect::<Vec<_>>(), [false, true]);
    }
}
