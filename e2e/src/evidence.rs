//! What a failed test leaves behind, before anything is torn down: everything from which its cause can be read, in a folder
//! of its own.
//!
//! | file | what |
//! |---|---|
//! | `failure.txt` | what the test said |
//! | `timeline.txt`, `timeline.svg` | replicas, load and reasons over the seconds of the test |
//! | `objects/NAMESPACE.yaml` | every object but Secrets |
//! | `events.txt` | events, oldest first |
//! | `logs/POD.CONTAINER.log`, `….previous.log` | logs, also of the container before |
//! | `decisions/NAMESPACE.NAME.txt`, `….json` | each variant explained, and the state that `kubectl wva replay` takes |
//! | `metrics.txt` | all series of these namespaces as they are now |
//! | `requests.json` | what the users of these namespaces asked the API server for, where it keeps a record |
//! | `nodes/` | what only the provider can get at |
//!
//! Whatever cannot be had is named in `missing.txt` with the reason, and the rest is collected all the same.

mod gather;
pub mod timeline;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::environment::Environment;
use crate::harness::note;

/// All of it may take this long; a cluster that answers nothing must not hold up the end of a run.
const LIMIT: Duration = Duration::from_mins(2);

/// Which part of a cluster a test used.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Its namespaces; all, if none is given.
    pub namespaces: &'a [&'a str],
    /// When it began.
    pub begun: SystemTime,
}

/// Collects the evidence of the running test, which failed with `cause`, and says where it is.
pub async fn keep(environment: &Environment, scope: Scope<'_>, cause: &(dyn Any + Send)) {
    let dir = folder();
    if let Err(error) = std::fs::create_dir_all(&dir).and_then(|()| {
        // That of an earlier run would be taken for this one's.
        std::fs::remove_dir_all(&dir)?;
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("failure.txt"), format!("{}\n", told(cause)))
    }) {
        note(&format!("No evidence can be kept in {}: {error}", dir.display()));
        return;
    }
    match tokio::time::timeout(LIMIT, gather::all(environment, scope, &dir)).await {
        Ok(timeline) => note(&format!("{timeline}\nEvidence: {}", dir.display())),
        Err(_) => note(&format!("Evidence, broken off after {} s: {}", LIMIT.as_secs(), dir.display())),
    }
}

/// What a panic said.
fn told(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the test panicked without a word".to_owned())
}

/// Where the evidence of the running test goes.
pub fn folder() -> PathBuf {
    folder_of(std::env::var("CONTROLLER_INSTANCE").ok().as_deref())
}

/// Below the repository, named after the test binary and the test: `.wva-e2e/evidence/isolation/two_controllers`. Runs side by
/// side tell themselves apart by the instance they were given: `.wva-e2e/evidence/test-a/isolation/two_controllers`.
fn folder_of(instance: Option<&str>) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let binary = std::env::current_exe().ok().and_then(|exe| Some(exe.file_stem()?.to_string_lossy().into_owned()));
    // cargo adds a hash.
    let binary = binary
        .map_or("test".to_owned(), |name| name.rsplit_once('-').map_or(name.clone(), |(name, _)| name.to_owned()));
    let thread = std::thread::current().name().unwrap_or("main").replace("::", ".");
    root.join(".wva-e2e/evidence").join(instance.unwrap_or_default()).join(binary).join(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_named_after_instance_binary_and_test() {
        let name = "wva_e2e/evidence.tests.the_folder_is_named_after_instance_binary_and_test";
        assert!(folder_of(None).ends_with(Path::new(".wva-e2e/evidence").join(name)));
        assert!(folder_of(Some("test-a")).ends_with(Path::new(".wva-e2e/evidence/test-a").join(name)));
    }

    #[test]
    fn a_panic_is_told_in_its_words() {
        let cause = std::panic::catch_unwind(|| panic!("1 of {} ready", 2)).unwrap_err();
        assert_eq!(told(cause.as_ref()), "1 of 2 ready");
    }
}
