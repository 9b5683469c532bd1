//! The tasks of the process, by name, and nobody besides: each is to run until the process stops. One that ends before, or
//! panics, leaves a controller that looks alive and is not, so the process ends with it ([`run`](mod@crate::run)).

#[cfg(debug_assertions)]
mod fault;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// Longest between the end of a task whose input is gone and that of the task which fed it. Ends because of one another are
/// reported in any order.
const FEEDER_ENDS_WITHIN: Duration = Duration::from_millis(100);

/// All tasks. They end when it is dropped, those on threads of their own excepted.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    running: HashMap<Id, (String, AbortHandle)>,
    /// Who feeds a task, by its name.
    feeders: HashMap<String, &'static str>,
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

    /// Starts a task on a thread of its own: one that computes for long at a time, which no other task is to wait for, and what it
    /// allocates for that comes from one place, whatever thread had its turn. It cannot be cancelled; it has to see by itself
    /// that the process stops.
    pub fn spawn_on_a_thread(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let name = name.into();
        #[cfg(debug_assertions)]
        let task = fault::may_strike(name.clone(), task);
        let runtime = Handle::current();
        let handle = self.set.spawn_blocking(move || runtime.block_on(task));
        self.running.insert(handle.id(), (name, handle));
    }

    /// Starts a task that returns when its input ends, which another task holds. Its own return is then no news; that of its
    /// feeder is.
    pub fn spawn_fed(
        &mut self,
        name: impl Into<String>,
        feeder: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let name = name.into();
        self.feeders.insert(name.clone(), feeder);
        self.spawn(name, task);
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

    /// Returns when a task has ended that was not cancelled; the one that ended first by itself, when others ended because of
    /// it. Without tasks, never.
    pub async fn next_end(&mut self) -> Ended {
        let mut ended = self.next().await;
        while ended.panic.is_none()
            && let Some(feeder) = self.feeders.get(&ended.name).copied()
            && self.runs(feeder)
            && let Ok(end) = tokio::time::timeout(FEEDER_ENDS_WITHIN, self.end_of(feeder)).await
        {
            ended = end;
        }
        ended
    }

    fn runs(&self, name: &str) -> bool {
        self.running.values().any(|(running, _)| running == name)
    }

    async fn end_of(&mut self, name: &str) -> Ended {
        loop {
            let ended = self.next().await;
            if ended.name == name || ended.panic.is_some() {
                return ended;
            }
        }
    }

    /// The next task that ended and was not cancelled, in whatever order the runtime says so.
    async fn next(&mut self) -> Ended {
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
        while names.iter().any(|name| self.runs(name)) {
            let ended = self.next().await;
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_task_on_a_thread_of_its_own_keeps_no_other_from_running_and_is_named_when_it_ends() {
        let mut tasks = Tasks::default();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        // It blocks its thread until the other task, for which there is one thread besides, has had its turn.
        tasks.spawn_on_a_thread("computes", async move { wait.recv().unwrap() });
        tasks.spawn("goes on", async move {
            go.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(tasks.next_end().await, Ended { name: "computes".to_owned(), panic: None });
        tasks.spawn_on_a_thread("panics", async { std::panic::resume_unwind(Box::new("why")) });
        assert_eq!(tasks.next_end().await.to_string(), "the task \"panics\" panicked: why");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_because_its_feeder_did_is_not_to_blame() {
        for panics in [false, true] {
            let mut tasks = Tasks::default();
            let (input, mut fed) = tokio::sync::mpsc::channel::<()>(1);
            let returned = std::sync::Arc::new(tokio::sync::Notify::new());
            let says = std::sync::Arc::clone(&returned);
            tasks.spawn_fed("fed", "feeder", async move {
                assert_eq!(fed.recv().await, None);
                says.notify_one();
            });
            // Like the real one, it lets go of the input before the runtime knows that it ended.
            tasks.spawn("feeder", async move {
                drop(input);
                returned.notified().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert!(!panics, "why");
            });
            let panic = panics.then(|| "why".to_owned());
            assert_eq!(tasks.next_end().await, Ended { name: "feeder".to_owned(), panic });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fed_task_that_ends_while_its_feeder_goes_on_is_to_blame() {
        let mut tasks = Tasks::default();
        tasks.spawn("feeder", std::future::pending());
        tasks.spawn_fed("fed", "feeder", std::future::ready(()));
        assert_eq!(tasks.next_end().await, Ended { name: "fed".to_owned(), panic: None });
        tasks.spawn_fed("orphan", "nobody", std::future::ready(()));
        assert_eq!(tasks.next_end().await.name, "orphan");
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
