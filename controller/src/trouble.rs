//! What does not work at the moment. An outage makes thousands of requests fail in the same way; each kind of trouble is
//! said once when it begins, once a minute while it lasts, with a count, and once when it is over.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;

/// Pause between two lines on the same trouble.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// All current trouble, by what it is that does not work.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<String, Trouble>>);

#[derive(Clone, Debug)]
struct Trouble {
    since: Instant,
    said: Instant,
    failures: u64,
    why: String,
}

/// What is to be said of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// It is the first.
    Begins,
    /// There have been so many by now, for so many seconds.
    GoesOn {
        /// Failures in a row.
        failures: u64,
        /// For how long.
        seconds: u64,
    },
    /// It was said a moment ago.
    Nothing,
}

impl Troubles {
    /// Notes a failure of `what` and logs it if it is news.
    pub fn fails(&self, what: &str, why: &str) {
        match self.note(what, why, Instant::now()) {
            Say::Begins => tracing::warn!(error = why, "Cannot {what}; what is known stays in force, retrying"),
            Say::GoesOn { failures, seconds } => {
                tracing::warn!(error = why, failures, seconds, "Still cannot {what}");
            }
            Say::Nothing => tracing::debug!(error = why, "Still cannot {what}"),
        }
    }

    /// Notes that `what` works, and logs it if it did not.
    pub fn works(&self, what: &str) {
        let over = lock(&self.0).remove(what);
        if let Some(Trouble { since, failures, .. }) = over {
            let seconds = since.elapsed().as_secs();
            tracing::info!(failures, seconds, "Can {what} again");
        }
    }

    /// What does not work, in words for a person.
    pub fn all(&self) -> Vec<String> {
        let troubles = lock(&self.0);
        let line = |(what, Trouble { since, failures, why, .. }): (&String, &Trouble)| {
            format!("cannot {what} since {} s ({failures} times): {why}", since.elapsed().as_secs())
        };
        troubles.iter().map(line).collect()
    }

    fn note(&self, what: &str, why: &str, now: Instant) -> Say {
        let mut troubles = lock(&self.0);
        let Some(trouble) = troubles.get_mut(what) else {
            troubles.insert(what.to_owned(), Trouble { since: now, said: now, failures: 1, why: why.to_owned() });
            return Say::Begins;
        };
        trouble.failures += 1;
        why.clone_into(&mut trouble.why);
        if now.duration_since(trouble.said) < SAY_AGAIN {
            return Say::Nothing;
        }
        trouble.said = now;
        Say::GoesOn { failures: trouble.failures, seconds: now.duration_since(trouble.since).as_secs() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_said_when_it_begins_once_a_minute_and_never_twice_in_between() {
        let troubles = Troubles::default();
        let mut said = Vec::new();
        for _ in 0..130 {
            said.push(troubles.note("watch pods", "connection refused", Instant::now()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        said.retain(|say| *say != Say::Nothing);
        let expect =
            [Say::Begins, Say::GoesOn { failures: 61, seconds: 60 }, Say::GoesOn { failures: 121, seconds: 120 }];
        assert_eq!(said, expect);
        assert_eq!(troubles.all(), ["cannot watch pods since 130 s (130 times): connection refused"]);
        troubles.works("watch pods");
        assert!(troubles.all().is_empty());
    }
}
