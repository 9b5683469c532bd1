//! Follows the targets that are no Deployments.
//!
//! Per kind in use there is a watch for metadata only, as a hint: what a target's object says of replicas depends on
//! its kind, so a target that changed is read through its scale subresource. Where a watch fails (a kind the
//! controller may scale but not list), the targets of that kind are read again and again instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument as _;
use wva_api::Scope;

use super::index::{Effect, ObjectKey, Scaled, TargetKey, TargetKind, convert};
use super::scale::{Error, Scales};
use crate::shared::Shared;
use crate::tasks::joined;

/// Pause before a kind that is not served, or a target that could not be read, is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Targets read at the same time.
const CONCURRENCY: usize = 8;
/// Hints that may wait; a watch that is ahead waits for the reader.
const CAPACITY: usize = 256;

/// What is watched of a target.
type Metadata = PartialObjectMeta<DynamicObject>;

/// Follows targets until it is dropped.
pub struct Targets {
    client: Client,
    scales: Arc<Scales>,
    namespaces: Vec<Option<String>>,
    shared: Arc<Shared>,
    watches: BTreeMap<TargetKind, AbortHandle>,
    tasks: JoinSet<()>,
    hints: (mpsc::Sender<Hint>, mpsc::Receiver<Hint>),
    /// What to read at the next occasion.
    stale: BTreeSet<TargetKey>,
    /// What could not be read the last time.
    failed: BTreeSet<TargetKey>,
}

/// Something changed.
#[derive(Debug)]
enum Hint {
    /// One object.
    Object(TargetKey),
    /// Perhaps every object of a kind.
    Kind(TargetKind),
}

impl Targets {
    /// A follower that has not begun.
    pub fn new(client: Client, scales: Arc<Scales>, scope: &Scope, shared: Arc<Shared>) -> Self {
        let namespaces =
            if scope.namespaces.is_empty() { vec![None] } else { scope.namespaces.iter().cloned().map(Some).collect() };
        Self {
            client,
            scales,
            namespaces,
            shared,
            watches: BTreeMap::new(),
            tasks: JoinSet::new(),
            hints: mpsc::channel(CAPACITY),
            stale: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Runs for as long as the process.
    pub async fn run(mut self) {
        let span = tracing::info_span!("targets");
        let work = async {
            loop {
                self.pass().await;
                self.wait().await;
            }
        };
        work.instrument(span).await;
    }

    /// Waits until there is something to read.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.shared.targets.notified() => {}
            Some(hint) = self.hints.1.recv() => self.note(hint),
            Some(ended) = self.tasks.join_next() => drop(joined(ended)),
            () = tokio::time::sleep(LOOK_AGAIN), if !self.failed.is_empty() => self.stale.append(&mut self.failed),
        }
        while let Ok(hint) = self.hints.1.try_recv() {
            self.note(hint);
        }
    }

    fn note(&mut self, hint: Hint) {
        match hint {
            Hint::Object(key) => {
                // Other objects of the kind are nobody's target.
                if self.shared.index().scaled.contains_key(&key) {
                    self.stale.insert(key);
                }
            }
            Hint::Kind(kind) => {
                let index = self.shared.index();
                self.stale.extend(index.scaled.keys().filter(|key| key.kind == kind).cloned());
            }
        }
    }

    /// Brings the index up to date with what variants name as their targets.
    async fn pass(&mut self) {
        let wanted: BTreeSet<TargetKey> = {
            let mut index = self.shared.index();
            let targets = index.variants.iter().filter_map(|(key, it)| TargetKey::of(&key.namespace, &it.target));
            let wanted: BTreeSet<_> = targets.collect();
            index.scaled.retain(|key, _| wanted.contains(key));
            self.stale.extend(wanted.iter().filter(|key| !index.scaled.contains_key(key)).cloned());
            wanted
        };
        let kinds: BTreeSet<&TargetKind> = wanted.iter().map(|key| &key.kind).collect();
        self.watches.retain(|kind, watch| {
            let used = kinds.contains(kind);
            if !used {
                watch.abort();
            }
            used
        });
        self.stale.retain(|key| wanted.contains(key));
        self.failed.retain(|key| wanted.contains(key));
        // Watches first: what changes while it is read is read again.
        for kind in kinds {
            self.watch(kind).await;
        }
        let scales = &self.scales;
        let read: Vec<_> = futures::stream::iter(std::mem::take(&mut self.stale))
            .map(|key| async move {
                let found = scales.read(&key.kind, &key.object).await;
                (key, found)
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        for (key, found) in read {
            self.take(key, found);
        }
    }

    fn take(&mut self, key: TargetKey, found: Result<Option<crate::cluster::index::Scale>, Error>) {
        let found = match found {
            Ok(Some(scale)) => Scaled::Found(Box::new(scale)),
            Ok(None) => Scaled::Missing,
            Err(Error::Api(error)) => {
                let error = crate::api_error::words(&error);
                tracing::warn!(kind = %key.kind, target = %key.object, error, "Cannot read a target; retrying");
                self.failed.insert(key);
                return;
            }
            Err(error) => {
                self.failed.insert(key.clone());
                Scaled::Unscalable(error.to_string())
            }
        };
        let effect = self.shared.index().set_scaled(key, found);
        if effect == Effect::Now {
            self.shared.wake.notify_one();
        }
    }

    /// Starts the watch of a kind, if there is none yet and the kind can be watched.
    async fn watch(&mut self, kind: &TargetKind) {
        if self.watches.contains_key(kind) {
            return;
        }
        // Whatever is wrong is told where the target is read.
        let Ok(resource) = self.scales.resource(kind).await else { return };
        let all = self.namespaces.iter().map(|namespace| {
            let api = self.api(&resource, namespace.as_deref());
            follow(api, kind.clone(), self.hints.0.clone())
        });
        let all = futures::future::join_all(all.collect::<Vec<_>>());
        let handle = self.tasks.spawn(async move {
            all.await;
        });
        self.watches.insert(kind.clone(), handle);
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<Metadata> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

async fn follow(api: Api<Metadata>, kind: TargetKind, hints: mpsc::Sender<Hint>) {
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        let hint = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => {
                let object: ObjectKey = convert::key(&object.metadata);
                Hint::Object(TargetKey { kind: kind.clone(), object })
            }
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => continue,
            // A list: something may have been missed before it.
            Ok(watcher::Event::InitDone) => Hint::Kind(kind.clone()),
            Err(error) => {
                tracing::debug!(%kind, %error, "Watch of targets failed; reading them instead");
                tokio::time::sleep(LOOK_AGAIN).await;
                Hint::Kind(kind.clone())
            }
        };
        if hints.send(hint).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
