//! What happens when a task of the cluster fails. A cluster without, say, its scheduler looks alive and is not, so the process
//! that runs it ends: [`failure`] is what its main function waits for besides signals.

#[cfg(debug_assertions)]
mod fault;

use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::{LazyLock, Once};

use tokio::sync::watch;

/// The first failure of the process.
static FIRST: LazyLock<watch::Sender<Option<String>>> = LazyLock::new(|| watch::Sender::new(None));

tokio::task_local! {
    /// What the task is called that runs.
    static NAME: String;
}

/// Returns when any task of this process has panicked, or one has ended that was not to, and says which and why. From the
/// call on, not from the first poll on. Panics are told on standard error as before.
pub fn failure() -> impl Future<Output = String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            before(panic);
            report(description(panic));
        }));
    });
    let mut first = FIRST.subscribe();
    async move {
        match first.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(said)) => said.clone(),
            _ => std::future::pending().await,
        }
    }
}

/// Runs a task under a name by which its panic is told.
pub(crate) async fn named(name: String, task: impl Future<Output = ()>) {
    #[cfg(debug_assertions)]
    let task = fault::may_strike(name.clone(), task);
    NAME.scope(name, task).await;
}

/// The same for a task that is to run until it is dropped: that it returns is a failure too.
pub(crate) async fn endless(name: String, task: impl Future<Output = ()>) {
    named(name.clone(), task).await;
    report(format!("the {name} ended although nobody asked it to"));
}

fn report(what: String) {
    FIRST.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert(what);
        is_first
    });
}

fn description(panic: &PanicHookInfo<'_>) -> String {
    let who = NAME.try_with(|name| format!("the {name}")).unwrap_or_else(|_| "a task".to_owned());
    let at = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
    format!("{who} panicked: {}{at}", words(panic.payload()))
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
