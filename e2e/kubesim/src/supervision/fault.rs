//! Makes one task end on purpose, for tests of what the process does then. Not part of a release build.

use std::time::Duration;

/// Which fault, on which task, and the file that calls it up: `panic|return:TASK:FILE`.
const VARIABLE: &str = "KUBESIM_TEST_FAULT";
/// Pause between two looks for the file.
const PAUSE: Duration = Duration::from_millis(10);

#[expect(clippy::panic, reason = "that is what the test asks for")]
fn panics() {
    panic!("struck by a test");
}

/// The task, which may be struck.
pub(super) async fn may_strike(name: String, task: impl Future<Output = ()>) {
    let fault = async {
        let wanted = std::env::var(VARIABLE).unwrap_or_default();
        let mut parts = wanted.splitn(3, ':');
        let (Some(fault), Some(victim), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
            return std::future::pending().await;
        };
        if victim != name {
            return std::future::pending().await;
        }
        while !std::path::Path::new(file).exists() {
            tokio::time::sleep(PAUSE).await;
        }
        fault == "panic"
    };
    let panic = tokio::select! {
        panic = fault => panic,
        () = task => return,
    };
    if panic {
        panics();
    }
}
