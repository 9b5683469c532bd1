//! Waiting for a named condition: always with a time limit, and with the last thing seen in the error.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Least pause between two looks; as long as the look itself where that took longer, so that waiting takes half a
/// processor at most.
const PAUSE: Duration = Duration::from_millis(100);

/// A condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {limit:?} for {what}; last seen: {seen}")]
pub struct TimedOut {
    what: String,
    limit: Duration,
    seen: String,
}

/// What one look found.
pub enum Look<T> {
    /// The condition holds; here is what came with it.
    Done(T),
    /// Not yet; this is what there is instead, in words for a person.
    NotYet(String),
}

/// Looks until the condition holds.
///
/// # Errors
/// When it does not within `limit`; the error names the condition and what was seen last.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T, TimedOut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Look<T>>,
{
    let end = Instant::now() + limit;
    loop {
        let began = Instant::now();
        let seen = match look().await {
            Look::Done(value) => return Ok(value),
            Look::NotYet(seen) => seen,
        };
        if Instant::now() >= end {
            return Err(TimedOut { what: what.to_owned(), limit, seen });
        }
        sleep(PAUSE.max(began.elapsed())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_ends_with_its_name_and_the_last_thing_seen() {
        let error = until::<(), _, _>("the pod to be ready", Duration::from_millis(1), || async {
            Look::NotYet("0 of 1 ready".to_owned())
        })
        .await
        .unwrap_err();
        assert_eq!(error.to_string(), "waited 1ms for the pod to be ready; last seen: 0 of 1 ready");
    }

    #[tokio::test]
    async fn it_looks_again_until_the_condition_holds() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_mins(1), || {
            looks += 1;
            let now = looks;
            async move { if now == 3 { Look::Done(now) } else { Look::NotYet(now.to_string()) } }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }
}
