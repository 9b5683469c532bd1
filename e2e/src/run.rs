//! One cluster for all tests of a run.
//!
//! The test runner starts a process for each test, several at once. The first that needs the cluster starts it in the
//! background, under a lock; the others wait for the lock and read the facts. The cluster belongs to the process that
//! runs the tests: when that has ended, however it ended, the cluster stops and its folder goes.
//!
//! `SESSION=FOLDER` runs the tests in a cluster that is up already (`wva-e2e up --shared --bare --dir FOLDER`) and leaves
//! it there: several runs, each with a `CONTROLLER_INSTANCE` of its own, may use it at once. `KEEP=1` leaves the run's own
//! cluster up as well.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::getppid;

use crate::environment::{self, Environment};
use crate::instances::remove_orphans;
use crate::providers::{Choice, Facts, UnknownProvider};
use crate::session::{self, Session, Start};

/// How often it is looked whether the process that runs the tests is still there.
const PAUSE: Duration = Duration::from_millis(250);

/// The run's cluster is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// Another test of the run tried in vain.
    #[error("the cluster of this run could not be started: {0}")]
    FailedBefore(String),
    /// Nothing is up where `SESSION` points.
    #[error(
        "SESSION={} holds no environment that is up; start one: wva-e2e up --shared --bare --dir {}", .0.display(),
        .0.display()
    )]
    NoSession(PathBuf),
    /// The lock.
    #[error("locking the run's cluster by {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The provider.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    /// The connection.
    #[error(transparent)]
    Environment(#[from] environment::Error),
}

/// Whether what a test made is to stay, for somebody to look at.
pub fn keep() -> bool {
    env::var_os("KEEP").is_some_and(|value| !value.is_empty())
}

/// A connection to the cluster of this run, which is started if nobody has yet.
///
/// # Errors
/// When it cannot be started or reached.
pub async fn environment() -> Result<Environment, Error> {
    let facts = match env::var_os("SESSION").filter(|dir| !dir.is_empty()).map(PathBuf::from) {
        Some(dir) => Session::new(&dir).facts()?.ok_or(Error::NoSession(dir))?,
        None => own().await?,
    };
    Ok(Environment::connect(facts).await?)
}

/// The cluster that belongs to this run.
async fn own() -> Result<Facts, Error> {
    let (key, runner) = runner();
    let dir = env::temp_dir().join(format!("wva-e2e-{key}"));
    let (session, failed) = (Session::new(&dir), beside(&dir, "failed"));
    let _lock = lock(beside(&dir, "lock")).await?;
    if let Some(facts) = session.facts()? {
        return Ok(facts);
    }
    if let Ok(reason) = fs::read_to_string(&failed) {
        return Err(Error::FailedBefore(reason));
    }
    let controller = env::var_os("E2E_CONTROLLER").filter(|file| !file.is_empty()).map(PathBuf::from);
    let start = Start { provider: Choice::from_environment()?, bare: true, shared: true, controller };
    let with = if keep() { None } else { Some(runner) };
    match session.up(&start, with).await {
        Ok(facts) => Ok(facts),
        Err(error) => {
            let _ = fs::write(&failed, error.to_string());
            Err(error.into())
        }
    }
}

/// What tells this run from others, and the process that ends with it: nextest, which starts a process for each test
/// and says which run it belongs to, or else this process, in which all tests are threads.
fn runner() -> (String, i32) {
    match env::var("NEXTEST_RUN_ID") {
        Ok(id) if !id.is_empty() => (id, getppid().as_raw()),
        _ => (format!("pid-{}", std::process::id()), nix::unistd::getpid().as_raw()),
    }
}

/// Held until dropped.
async fn lock(path: PathBuf) -> Result<File, Error> {
    let failed = |source| Error::Lock { path: path.clone(), source };
    let at = path.clone();
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(&at)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
}

/// The background half: serves the run's cluster until its runner has ended, and leaves no file behind.
///
/// # Errors
/// As [`Session::serve`].
pub async fn serve(
    session: &Session,
    start: &Start,
    runner: i32,
    stop: impl Future<Output = ()>,
) -> Result<(), session::Error> {
    let ended = async {
        tokio::select! {
            () = end_of(runner) => {}
            () = stop => {}
            () = bury(session) => {}
        }
    };
    session.serve(start, ended).await?;
    let dir = session.dir();
    let _ = fs::remove_dir_all(dir);
    for extension in ["lock", "failed"] {
        let _ = fs::remove_file(beside(dir, extension));
    }
    Ok(())
}

/// Removes what killed tests leave, for as long as the run lasts.
async fn bury(session: &Session) {
    let client = match session.facts() {
        Ok(Some(facts)) => Environment::connect(facts).await.map(|environment| environment.client()),
        _ => return std::future::pending().await,
    };
    let Ok(client) = client else { return std::future::pending().await };
    loop {
        tokio::time::sleep(PAUSE * 8).await;
        if let Err(error) = remove_orphans(&client, |pid| started(pid).is_some()).await {
            tracing::warn!(%error, "Looking for instances of tests that were killed");
        }
    }
}

fn beside(dir: &Path, extension: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Completes when the process has ended. Its number may be given to another process; the time of its start tells.
async fn end_of(pid: i32) {
    let began = started(pid);
    while began.is_some() && started(pid) == began {
        tokio::time::sleep(PAUSE).await;
    }
}

/// When a process was started, in the kernel's ticks since boot; `None` for one that is not there or has ended.
fn started(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; after it, the state is the third field of the line, the start the 22nd.
    let fields: Vec<&str> = status.rsplit_once(')')?.1.split_whitespace().collect();
    fields.get(19).filter(|_| fields.first() != Some(&"Z"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_ends_with_the_process_that_runs_its_tests() {
        let mut child = tokio::process::Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        let ended = tokio::spawn(end_of(pid));
        tokio::time::sleep(PAUSE * 2).await;
        assert!(!ended.is_finished(), "the process is still there");
        child.kill().await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap().unwrap();
    }

    #[test]
    fn the_files_of_a_run_lie_beside_its_folder() {
        assert_eq!(beside(Path::new("/tmp/wva-e2e-1"), "lock"), Path::new("/tmp/wva-e2e-1.lock"));
    }
}
