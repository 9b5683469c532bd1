//! A watched, in-memory copy of all objects of a kind.
//!
//! Controllers read only from here, so a reconcile sees one consistent picture and costs no requests. A cache lags
//! behind the server, which matters after one's own writes: [`Cache::wait_until`] holds a reconcile until the cache
//! shows what it wrote, so the next one cannot repeat the write. That replaces the expectation counters that
//! Kubernetes' own controllers keep.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::warn;

use super::key::Key;

/// How long a reconcile waits for the cache to show its own write. Watch events arrive within milliseconds; when the
/// object is gone again before it was seen, waiting longer would help nobody.
const OWN_WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// One object before and after; `None` where it did not exist.
#[derive(Debug)]
pub(crate) struct Change<K> {
    pub(crate) old: Option<Arc<K>>,
    pub(crate) new: Option<Arc<K>>,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        Self { old: self.old.clone(), new: self.new.clone() }
    }
}

impl<K> Change<K> {
    /// Old and new state, whichever exist: what a mapping to dependants has to look at, since an object may have
    /// moved from one dependant to another.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &K> {
        self.old.iter().chain(self.new.iter()).map(AsRef::as_ref)
    }
}

/// See the module documentation. Clones share the same copy.
pub(crate) struct Cache<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: RwLock<State<K>>,
    /// Counts the changes; waiters re-check when it moves.
    version: watch::Sender<u64>,
    synced: watch::Sender<bool>,
}

struct State<K> {
    objects: BTreeMap<Key, Arc<K>>,
    subscribers: Vec<mpsc::UnboundedSender<Change<K>>>,
}

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K> Cache<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Starts the watch as one of `tasks`.
    pub(crate) fn start(api: Api<K>, config: watcher::Config, tasks: &mut JoinSet<()>) -> Self {
        let cache = Self::empty();
        let writer = cache.clone();
        tasks.spawn(async move { writer.follow(api, config).await });
        cache
    }

    fn empty() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: RwLock::new(State { objects: BTreeMap::new(), subscribers: Vec::new() }),
                version: watch::Sender::new(0),
                synced: watch::Sender::new(false),
            }),
        }
    }

    async fn follow(self, api: Api<K>, config: watcher::Config) {
        let mut events = watcher::watcher(api, config).default_backoff().boxed();
        let mut listing: BTreeMap<Key, Arc<K>> = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listing.clear(),
                Ok(Event::InitApply(object)) => {
                    listing.insert(Key::of(&object), Arc::new(object));
                }
                Ok(Event::InitDone) => self.replace(std::mem::take(&mut listing)),
                Ok(Event::Apply(object)) => self.put(Key::of(&object), Some(Arc::new(object))),
                Ok(Event::Delete(object)) => self.put(Key::of(&object), None),
                Err(error) => warn!(kind = std::any::type_name::<K>(), %error, "Watch failed, trying again"),
            }
        }
    }

    /// A fresh list after a (re)start of the watch: what is missing from it was deleted meanwhile.
    fn replace(&self, listing: BTreeMap<Key, Arc<K>>) {
        let gone: Vec<Key> =
            self.read(|state| state.objects.keys().filter(|key| !listing.contains_key(key)).cloned().collect());
        for key in gone {
            self.put(key, None);
        }
        for (key, object) in listing {
            self.put(key, Some(object));
        }
        self.shared.synced.send_replace(true);
    }

    fn put(&self, key: Key, new: Option<Arc<K>>) {
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        let old = match &new {
            Some(object) => state.objects.insert(key, Arc::clone(object)),
            None => state.objects.remove(&key),
        };
        let unchanged = old.as_ref().zip(new.as_ref()).is_some_and(|(old, new)| {
            old.meta().uid == new.meta().uid && old.meta().resource_version == new.meta().resource_version
        });
        if !unchanged {
            let change = Change { old, new };
            state.subscribers.retain(|subscriber| subscriber.send(change.clone()).is_ok());
        }
        drop(state);
        self.shared.version.send_modify(|version| *version += 1);
    }

    fn read<T>(&self, look: impl FnOnce(&State<K>) -> T) -> T {
        look(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns once the first list is in.
    pub(crate) async fn synced(&self) {
        // The sender lives in `self.shared`, so waiting cannot fail.
        let _ = self.shared.synced.subscribe().wait_for(|synced| *synced).await;
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|state| state.objects.get(key).cloned())
    }

    pub(crate) fn list(&self) -> Vec<Arc<K>> {
        self.read(|state| state.objects.values().cloned().collect())
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = Key::new(namespace, "");
        self.read(|state| {
            let objects = state.objects.range(first..).take_while(|(key, _)| key.namespace == namespace);
            objects.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    /// Everything there is now, as changes from nothing, then every change.
    pub(crate) fn changes(&self) -> impl Stream<Item = Change<K>> + Send + use<K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        for object in state.objects.values() {
            // The receiver is held right here.
            let _ = sender.send(Change { old: None, new: Some(Arc::clone(object)) });
        }
        state.subscribers.push(sender);
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|change| (change, receiver)) })
    }

    /// The keys of all objects, then of every object that changes.
    pub(crate) fn keys(&self) -> impl Stream<Item = Key> + Send + use<K> {
        self.changes().filter_map(|change| async move { change.sides().next().map(Key::of) })
    }

    /// Waits until `condition` holds for the cached object; false when it did not within a few seconds.
    pub(crate) async fn wait_until(&self, key: &Key, condition: impl Fn(Option<&K>) -> bool) -> bool {
        let mut version = self.shared.version.subscribe();
        let seen = version.wait_for(|_| self.read(|state| condition(state.objects.get(key).map(AsRef::as_ref))));
        tokio::time::timeout(OWN_WRITE_TIMEOUT, seen).await.is_ok()
    }

    /// Waits until the cache shows `written`, or something newer.
    pub(crate) async fn wait_for(&self, written: &K, before: Option<&K>) -> bool {
        let stale = before.and_then(|object| object.meta().resource_version.clone());
        if stale.is_some() && stale == written.meta().resource_version {
            return true;
        }
        self.wait_until(&Key::of(written), |seen| seen.is_none_or(|seen| seen.meta().resource_version != stale)).await
    }
}
