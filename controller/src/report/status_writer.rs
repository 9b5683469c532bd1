//! The one task that writes status.
//!
//! Updates come in through a bounded channel and are merged by variant, so that only the newest is written. Each is
//! applied server-side under the instance's field manager. What the API server does not take is kept and tried again;
//! what gets lost all the same heals at the next cycle, because cycles compare with what is stored.

mod predecessor;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use wva_api::{Claim, Scope, VariantAutoscaling, VariantAutoscalingStatus};

use crate::api_error;
use crate::cluster::index::{ObjectKey, convert};
use crate::metrics::{WriteMetrics, WriteOutcome};
use crate::ownership::leader::{Leadership, NotWritten};
use crate::shared::Shared;

/// Updates that may wait in the channel; a first cycle over 1,000 variants fits.
const CAPACITY: usize = 2048;
/// Writes under way at the same time: enough to hide latency, few enough to leave the API server alone.
const CONCURRENCY: usize = 8;
/// Writes taken on before the channel is looked at again, so that an urgent one waits for few others.
const BATCH: usize = 32;
/// Pause before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The status a variant is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusUpdate {
    /// Which variant.
    pub variant: ObjectKey,
    /// Its status.
    pub status: VariantAutoscalingStatus,
}

/// Takes updates for the writer.
#[derive(Clone, Debug)]
pub struct StatusSender {
    sender: mpsc::Sender<StatusUpdate>,
    metrics: WriteMetrics,
}

/// Writes status.
pub struct StatusWriter {
    client: Client,
    scope: Scope,
    manager: String,
    timeout: Duration,
    leadership: Leadership,
    shared: Arc<Shared>,
    metrics: WriteMetrics,
    updates: mpsc::Receiver<StatusUpdate>,
    pending: BTreeMap<ObjectKey, VariantAutoscalingStatus>,
}

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    #[error("{}", api_error::words(.0))]
    Api(#[source] Box<kube::Error>),
}

impl StatusSender {
    /// Hands an update over. When too many wait it is dropped and counted; the next cycle sends it again.
    pub fn send(&self, update: StatusUpdate) {
        if self.sender.try_send(update).is_err() {
            self.metrics.count(WriteOutcome::Dropped);
        }
    }
}

impl StatusWriter {
    /// A writer of the statuses of a scope's variants, and the way to reach it. A single write is given up after `timeout`.
    pub fn new(
        client: Client,
        scope: Scope,
        timeout: Duration,
        leadership: Leadership,
        shared: Arc<Shared>,
        metrics: WriteMetrics,
    ) -> (StatusSender, Self) {
        let (sender, updates) = mpsc::channel(CAPACITY);
        let sender = StatusSender { sender, metrics: metrics.clone() };
        let manager = scope.instance.field_manager();
        (
            sender,
            Self { client, scope, manager, timeout, leadership, shared, metrics, updates, pending: BTreeMap::new() },
        )
    }

    /// Writes until all senders are gone and nothing is left to write.
    pub async fn run(self) {
        self.write_updates().instrument(tracing::info_span!("status")).await;
    }

    async fn write_updates(mut self) {
        loop {
            let mut received = Vec::new();
            if self.pending.is_empty() {
                if self.updates.recv_many(&mut received, CAPACITY).await == 0 {
                    return;
                }
            } else {
                while let Ok(update) = self.updates.try_recv() {
                    received.push(update);
                }
            }
            self.pending.extend(received.into_iter().map(|StatusUpdate { variant, status }| (variant, status)));
            if self.write_batch().await > 0 {
                self.rest().await;
            }
        }
    }

    /// Waits before a retry, unless something new comes in.
    async fn rest(&mut self) {
        if let Ok(Some(StatusUpdate { variant, status })) = tokio::time::timeout(RETRY_AFTER, self.updates.recv()).await
        {
            self.pending.insert(variant, status);
        }
    }

    /// Writes some of what is pending; returns how many writes failed and are pending again.
    async fn write_batch(&mut self) -> usize {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some((variant, status)) = self.pending.pop_first()
        {
            batch.push((variant, status));
        }
        let writer = &*self;
        let failed: Vec<_> =
            futures::stream::iter(batch)
                .map(|(variant, status)| async move {
                    writer.must_retry(&variant, &status).await.then_some((variant, status))
                })
                .buffer_unordered(CONCURRENCY)
                .filter_map(std::future::ready)
                .collect()
                .await;
        let count = failed.len();
        self.pending.extend(failed);
        count
    }

    /// Writes one status, if this process may. Returns whether it is worth trying again.
    async fn must_retry(&self, variant: &ObjectKey, status: &VariantAutoscalingStatus) -> bool {
        let (true, Some(version)) = (self.leadership.holds(), self.version_of_mine(variant)) else {
            self.metrics.count(WriteOutcome::Dropped);
            return false;
        };
        match self.apply(variant, &version, status).await {
            Ok(()) => {
                self.metrics.count(WriteOutcome::Ok);
                tracing::debug!(variant = variant.name, namespace = variant.namespace, "Wrote status");
                false
            }
            Err(Error::NotWritten(NotWritten::NotLeading)) => {
                self.metrics.count(WriteOutcome::Dropped);
                false
            }
            Err(Error::NotWritten(NotWritten::TimedOut)) => {
                self.metrics.count(WriteOutcome::TimedOut);
                tracing::warn!(variant = variant.name, namespace = variant.namespace, "Writing status timed out");
                true
            }
            Err(Error::Api(error)) => {
                if is_code(&error, 409) {
                    self.metrics.count(WriteOutcome::Conflict);
                    tracing::debug!(variant = variant.name, namespace = variant.namespace, "Object changed meanwhile");
                    return true;
                }
                self.metrics.count(WriteOutcome::Failed);
                let gone = is_code(&error, 404);
                // Refused for good: the same status would be refused again.
                let refused = [400, 403, 422].iter().any(|code| is_code(&error, *code));
                if !gone {
                    tracing::warn!(
                        variant = variant.name,
                        namespace = variant.namespace,
                        error = api_error::words(&error),
                        "Cannot write status"
                    );
                }
                !gone && !refused
            }
        }
    }

    /// The known version of a variant; `None` if it is gone, or no longer mine since the status was handed over.
    fn version_of_mine(&self, key: &ObjectKey) -> Option<String> {
        let index = self.shared.index();
        let variant = index.variants.get(key)?;
        (index.claim(&self.scope, key, variant) == Claim::Mine).then(|| variant.version.clone())
    }

    /// Writes over the version that is known and no other. That fences off who no longer leads: if somebody else wrote
    /// or the variant was relabelled while this process was paused, what it still sends is refused.
    async fn apply(&self, variant: &ObjectKey, version: &str, status: &VariantAutoscalingStatus) -> Result<(), Error> {
        let api: Api<VariantAutoscaling> = Api::namespaced(self.client.clone(), &variant.namespace);
        let params = PatchParams::apply(&self.manager).force();
        let patch = Patch::Apply(body(variant, version, status));
        match self.leadership.write(self.timeout, api.patch_status(&variant.name, &params, &patch)).await? {
            Ok(written) => {
                let written = self.without_predecessor(&api, variant, written).await;
                self.remember(variant, version, written);
                Ok(())
            }
            Err(error) => Err(Error::Api(Box::new(error))),
        }
    }

    /// Takes the entry of an earlier owner away. That is for the eye, so a failure is left to the next write.
    async fn without_predecessor(
        &self,
        api: &Api<VariantAutoscaling>,
        variant: &ObjectKey,
        written: VariantAutoscaling,
    ) -> VariantAutoscaling {
        let Some(patch) = predecessor::removal(&written.metadata, &self.scope.instance) else { return written };
        let params = PatchParams { field_manager: Some(self.manager.clone()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        match self.leadership.write(self.timeout, api.patch_status(&variant.name, &params, &patch)).await {
            Ok(Ok(tidied)) => tidied,
            Ok(Err(error)) => {
                let error = api_error::words(&error);
                tracing::debug!(variant = variant.name, namespace = variant.namespace, error, "An earlier owner stays");
                written
            }
            Err(_) => written,
        }
    }

    /// Takes a write over into the index, so that the next one need not wait until the watch has told of this one.
    fn remember(&self, variant: &ObjectKey, version: &str, written: VariantAutoscaling) {
        let mut index = self.shared.index();
        let Some(known) = index.variants.get_mut(variant).filter(|known| known.version == version) else { return };
        known.status_writes = convert::status_writes(&written.metadata);
        known.version = written.metadata.resource_version.unwrap_or_default();
        known.status = written.status.unwrap_or_default();
    }
}

/// What is applied: everything this controller has to say, so that what it leaves out is removed.
fn body(variant: &ObjectKey, version: &str, status: &VariantAutoscalingStatus) -> serde_json::Value {
    use kube::Resource as _;
    json!({
        "apiVersion": VariantAutoscaling::api_version(&()),
        "kind": VariantAutoscaling::kind(&()),
        "metadata": { "name": variant.name, "namespace": variant.namespace, "resourceVersion": version },
        "status": status,
    })
}

fn is_code(error: &kube::Error, code: u16) -> bool {
    api_error::code(error) == Some(code)
}

#[cfg(test)]
mod tests;
