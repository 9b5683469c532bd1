//! What the process still waits for.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// Open questions of the start. Ready means that there are none left.
#[derive(Clone, Debug, Default)]
pub struct Readiness(watch::Sender<BTreeSet<String>>);

/// One open question; its holder opens the gate when it is answered.
#[derive(Debug)]
pub struct Gate {
    waits_for: String,
    readiness: Readiness,
}

impl Readiness {
    /// Makes readiness wait for something, named in words for a person.
    pub fn gate(&self, waits_for: impl Into<String>) -> Gate {
        let waits_for = waits_for.into();
        self.0.send_modify(|open| {
            open.insert(waits_for.clone());
        });
        Gate { waits_for, readiness: self.clone() }
    }

    /// What is still waited for, sorted.
    pub fn waits_for(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }

    /// Returns when nothing is waited for.
    pub async fn reached(&self) {
        // The sender lives as long as `self`, so the channel cannot close meanwhile.
        let _closed = self.0.subscribe().wait_for(BTreeSet::is_empty).await.is_err();
    }
}

impl Gate {
    /// Stops waiting for it. Opening twice is fine.
    pub fn open(&self) {
        self.readiness.0.send_if_modified(|open| open.remove(&self.waits_for));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_when_every_gate_was_opened() {
        let readiness = Readiness::default();
        let (pods, prometheus) = (readiness.gate("pods"), readiness.gate("an answer of Prometheus"));
        pods.open();
        pods.open();
        assert_eq!(readiness.waits_for(), ["an answer of Prometheus"]);
        prometheus.open();
        readiness.reached().await;
        assert!(readiness.waits_for().is_empty());
    }
}
