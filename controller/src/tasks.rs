//! The tasks of the process, by name, and nobody besides: each is to run until the process stops. One that ends before, or
//! panics, leaves a controller that looks alive and is not, so the process ends with it ([`run`](mod@crate::run)).

#[cfg(debug_assertions)]
mod fault;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// All tasks. They end when it is dropped.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    running: HashMap<Id, (String, AbortHandle)>,
}

/// A task that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// What it said when it panicked; `None` when it just returned.
    pub panic: Option<String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(said) => write!(f, "the task {:?} panicked: {said}", self.name),
            None => write!(f, "the task {:?} ended although nobody asked it to", self.name),
        }
    }
}

impl Tasks {
    /// Starts a task.
    pub fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let name = name.into();
        #[cfg(debug_assertions)]
        let task = fault::may_strike(name.clone(), task);
        let handle = self.set.spawn(task);
        self.running.insert(handle.id(), (name, handle));
    }

    /// Ends a task that is no longer needed. That it ends is no news then.
    pub fn cancel(&mut self, name: &str) {
        self.keep_only(|running| running != name);
    }

    /// Ends all tasks but these.
    pub fn keep_only(&mut self, kept: impl Fn(&str) -> bool) {
        self.running.retain(|_, (name, handle)| {
            let kept = kept(name);
            if !kept {
                handle.abort();
            }
            kept
        });
    }

    /// Returns when a task has ended that was not cancelled. Without tasks, never.
    pub async fn next_end(&mut self) -> Ended {
        loop {
            let (id, panic) = match self.set.join_next_with_id().await {
                None => std::future::pending().await,
                Some(Ok((id, ()))) => (id, None),
                Some(Err(error)) => (error.id(), said(error)),
            };
            if let Some((name, _)) = self.running.remove(&id) {
                return Ended { name, panic };
            }
        }
    }

    /// Returns when none of these tasks runs any longer.
    pub async fn ended(&mut self, names: &[&str]) {
        while self.running.values().any(|(name, _)| names.contains(&name.as_str())) {
            let ended = self.next_end().await;
            if ended.panic.is_some() {
                tracing::error!("While stopping, {ended}");
            }
        }
    }
}

/// What a panic said; `None` when there was none.
fn said(error: JoinError) -> Option<String> {
    error.try_into_panic().ok().map(|panic| words(&*panic))
}

/// The message of a panic, as far as it has one.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

/// The value of a task that was waited for; its panic is passed on.
pub(crate) fn joined<T>(outcome: Result<T, JoinError>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_returns_and_one_that_panics_are_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("endless", std::future::pending());
        tasks.spawn("returns", std::future::ready(()));
        assert_eq!(tasks.next_end().await, Ended { name: "returns".to_owned(), panic: None });
        tasks.spawn("panics", async { std::panic::resume_unwind(Box::new("why")) });
        assert_eq!(tasks.next_end().await.to_string(), "the task \"panics\" panicked: why");
    }

    #[tokio::test]
    async fn what_was_cancelled_is_no_news() {
        let mut tasks = Tasks::default();
        tasks.spawn("first", std::future::pending());
        tasks.cancel("first");
        tasks.spawn("second", std::future::ready(()));
        assert_eq!(tasks.next_end().await.name, "second");
        tasks.ended(&["first", "second"]).await;
    }
}
