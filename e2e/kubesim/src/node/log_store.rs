//! The logs of all containers on a node: the current run and the one before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::log_file::LogWriter;

/// Namespace, pod and container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ContainerKey {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) container: String,
}

#[derive(Debug, Default)]
struct Runs {
    current: Option<Arc<LogWriter>>,
    previous: Option<Arc<LogWriter>>,
}

#[derive(Debug, Default)]
pub(super) struct LogStore {
    runs: Mutex<HashMap<ContainerKey, Runs>>,
}

impl LogStore {
    /// A new run starts; the log before the previous one is deleted.
    pub(super) fn rotate(&self, key: &ContainerKey, log: Arc<LogWriter>) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = runs.entry(key.clone()).or_default();
        let ended = runs.current.replace(log);
        if let Some(forgotten) = std::mem::replace(&mut runs.previous, ended) {
            // A file that stays behind goes with the pod's directory.
            let _ = std::fs::remove_file(forgotten.path());
        }
    }

    pub(super) fn find(&self, key: &ContainerKey, previous: bool) -> Option<Arc<LogWriter>> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = runs.get(key)?;
        if previous { runs.previous.clone() } else { runs.current.clone() }
    }

    pub(super) fn forget_pod(&self, namespace: &str, pod: &str) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|key, _| key.namespace != namespace || key.pod != pod);
    }
}
