//! Runs a reconcile function for every key that something happened to.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Display,
    time::Duration,
};

use futures::{
    FutureExt, Stream, StreamExt,
    stream::{BoxStream, FuturesUnordered},
};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::key::Key;

/// When a key wants to be looked at again without anything having changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Only after a change.
    OnChange,
    /// After this long.
    After(Duration),
}

/// What a failed reconcile wants the queue to do: conflicts are everyday life, the rest is worth a warning.
pub(crate) trait Failure: Display {
    /// Somebody else wrote first; the next round sees their version.
    fn is_conflict(&self) -> bool;
}

impl Failure for kube::Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(status) if status.code == 409)
    }
}

const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// 20 ms doubled with each failure in a row, at most 30 s.
fn retry_delay(failures: u32) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST_RETRY)
}

/// Reconciles forever. Different keys run concurrently, one key never runs twice at once, and triggers that arrive
/// while a key runs or waits are merged into one further run.
pub(crate) async fn run<Fut, E>(
    name: &'static str,
    triggers: Vec<BoxStream<'static, Key>>,
    reconcile: impl Fn(Key) -> Fut,
) where
    Fut: Future<Output = Result<Next, E>>,
    E: Failure,
{
    let mut triggers = futures::stream::select_all(triggers);
    let mut due: BTreeMap<Key, Instant> = BTreeMap::new();
    let mut failures: HashMap<Key, u32> = HashMap::new();
    let mut running: HashSet<Key> = HashSet::new();
    let mut work = FuturesUnordered::new();
    loop {
        let now = Instant::now();
        let ready: Vec<Key> =
            due.iter().filter(|(key, at)| **at <= now && !running.contains(*key)).map(|(key, _)| key.clone()).collect();
        for key in ready {
            due.remove(&key);
            running.insert(key.clone());
            work.push(reconcile(key.clone()).map(move |outcome| (key, outcome)));
        }
        let next_due = due.iter().filter(|(key, _)| !running.contains(*key)).map(|(_, at)| *at).min();
        tokio::select! {
            Some(key) = next_of(&mut triggers) => {
                due.insert(key, Instant::now());
            }
            Some((key, outcome)) = work.next(), if !work.is_empty() => {
                running.remove(&key);
                let again = match outcome {
                    Ok(next) => {
                        failures.remove(&key);
                        match next { Next::OnChange => None, Next::After(delay) => Some(delay) }
                    }
                    Err(error) => {
                        let count = failures.entry(key.clone()).or_default();
                        *count += 1;
                        if error.is_conflict() {
                            debug!(controller = name, object = %key, %error, "Conflict, trying again");
                        } else {
                            warn!(controller = name, object = %key, %error, "Reconcile failed, trying again");
                        }
                        Some(retry_delay(*count))
                    }
                };
                if let Some(delay) = again {
                    let at = Instant::now() + delay;
                    due.entry(key).and_modify(|known| *known = (*known).min(at)).or_insert(at);
                }
            }
            () = sleep_until(next_due) => {}
        }
    }
}

async fn next_of(triggers: &mut (impl Stream<Item = Key> + Unpin)) -> Option<Key> {
    match triggers.next().await {
        Some(key) => Some(key),
        // All watches ended, which happens only at shutdown: wait to be dropped.
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn retries_double_and_stay_below_half_a_minute() {
        assert_eq!(retry_delay(1), Duration::from_millis(20));
        assert_eq!(retry_delay(4), Duration::from_millis(160));
        assert_eq!(retry_delay(40), LONGEST_RETRY);
    }

    #[tokio::test]
    async fn a_failed_key_is_tried_again_and_a_busy_key_runs_once_more() {
        let (runs, mut seen) = watch::channel(BTreeMap::<String, u32>::new());
        let triggers = stream::iter([Key::new("a", "fails"), Key::new("a", "busy"), Key::new("a", "busy")])
            .chain(stream::pending())
            .boxed();
        let queue = run("test", vec![triggers], |key| {
            let mut run = 0;
            runs.send_modify(|runs| {
                let count = runs.entry(key.name.clone()).or_default();
                *count += 1;
                run = *count;
            });
            async move {
                // Lets the second trigger arrive while the first run is under way.
                tokio::time::sleep(Duration::from_millis(5)).await;
                if key.name == "fails" && run == 1 {
                    let status = kube::core::Status::failure("gone wrong", "InternalError").with_code(500);
                    return Err(kube::Error::Api(status.boxed()));
                }
                Ok(Next::OnChange)
            }
        });
        let twice = |runs: &BTreeMap<String, u32>| ["fails", "busy"].iter().all(|name| runs.get(*name) == Some(&2));
        tokio::select! {
            () = queue => {}
            reached = tokio::time::timeout(Duration::from_secs(5), seen.wait_for(twice)) => assert!(reached.is_ok()),
        }
    }
}
