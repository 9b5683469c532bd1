//! What the run makes in a cluster before the first instance: kinds, the namespace of monitoring, the API for external
//! metrics. In a cluster that stays, only what is missing is made, and only that is removed.

use chart_render::Chart;

use super::route::API_SERVICE;
use super::{Error, NAMESPACE};
use crate::kubectl::{self, Kubectl};
use crate::providers::Facts;

/// Kinds of others that a cluster with monitoring and KEDA has: the Prometheus operator's and KEDA's.
const DEFINITIONS: [&str; 3] = [
    include_str!("../../manifests/definitions/servicemonitors.yaml"),
    include_str!("../../manifests/definitions/prometheusrules.yaml"),
    include_str!("../../manifests/definitions/scaledobjects.yaml"),
];

/// What was made, as `kind/name` and kubectl's flags for where it is, in the order in which it was made.
pub(super) struct Made {
    kubectl: Kubectl,
    names: Vec<String>,
}

impl Made {
    /// Makes it.
    pub(super) async fn create(facts: &Facts, kubectl: &Kubectl, platform: &str) -> Result<Self, Error> {
        let mut made = Self { kubectl: kubectl.clone(), names: Vec::new() };
        if facts.temporary {
            kubectl.apply(&DEFINITIONS.join("\n---\n")).await?;
            kubectl.apply(platform).await?;
            return Ok(made);
        }
        let outcome = made.complete(platform).await;
        if outcome.is_err() {
            made.remove().await;
        }
        outcome.map(|()| made)
    }

    async fn complete(&mut self, platform: &str) -> Result<(), Error> {
        if !self.kubectl.run(&["get", API_SERVICE, "--ignore-not-found", "-o", "name"]).await?.is_empty() {
            return Err(Error::ForeignAdapter);
        }
        let chart = Chart::embedded().map_err(|error| Error::Chart(Box::new(error.into())))?;
        let own = chart.crds().iter().map(|crd| crd.text.clone());
        let documents = DEFINITIONS.into_iter().map(str::to_owned).chain(own);
        for document in documents.chain(platform.split("\n---\n").map(str::to_owned)) {
            match self.kubectl.feed(&["create", "-o", "name", "-f", "-"], &document).await {
                Ok(names) => self.names.extend(names.lines().map(str::to_owned)),
                Err(kubectl::Error::Failed { output, .. }) if output.contains("AlreadyExists") => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes what was made, the last first, and waits until it has gone.
    pub(super) async fn remove(&self) {
        for name in self.names.iter().rev() {
            let line = ["delete", name, "--namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s"];
            if let Err(error) = self.kubectl.run(&line).await {
                tracing::error!("Removing {name} from the cluster: {error}");
            }
        }
    }
}
