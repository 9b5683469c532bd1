//! One watch per kind (and namespace, when namespaces are given by name), each feeding the index.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment as ApiDeployment, ReplicaSet as ApiReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Pod as ApiPod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use wva_api::{Scope, VariantAutoscaling};

use super::index::convert::SharedLabels;
use super::index::{Effect, ObjectKey, Record, ReplicaSet, Unreadable, VARIANTS, Variant, convert, hpa};
use crate::api_error;
use crate::readiness::Gate;
use crate::shared::Shared;
use crate::tasks::Tasks;

/// Objects per page of a first list. All kinds are listed at the same time, and only what is kept of an object is small: with
/// the usual 500, the pages of a fleet of 1,000 take more memory than the index does afterwards.
const PAGE: u32 = 100;

/// Starts all watches.
pub fn start(tasks: &mut Tasks, client: &Client, scope: &Scope, shared: &Arc<Shared>) {
    let namespaces: Vec<Option<String>> =
        if scope.namespaces.is_empty() { vec![None] } else { scope.namespaces.iter().cloned().map(Some).collect() };
    let all = || watcher::Config::default().page_size(PAGE);
    let mine = || scope.selector().map_or_else(all, |selector| all().labels(&selector));
    for namespace in namespaces {
        let feed = |kind| Feed::new(kind, namespace.clone(), shared);
        let name = |kind| place(&format!("watch of {kind}"), namespace.as_deref());
        let variants = watcher(api::<DeserializeGuard<VariantAutoscaling>>(client, namespace.as_deref()), mine());
        tasks.spawn(name(VARIANTS), feed(VARIANTS).run(variants, read_variant));
        let deployments = watcher(api::<ApiDeployment>(client, namespace.as_deref()), all());
        tasks.spawn(
            name("deployments"),
            feed("deployments").run(deployments, |d| Read::of(convert::key(&d.metadata), convert::deployment(d))),
        );
        let replica_sets = watcher(api::<PartialObjectMeta<ApiReplicaSet>>(client, namespace.as_deref()), all());
        tasks.spawn(name("replicasets"), feed("replicasets").run(replica_sets, read_replica_set));
        let pods = watcher(api::<ApiPod>(client, namespace.as_deref()), all());
        let labels = SharedLabels::default();
        let read =
            move |pod: ApiPod| Read::maybe(convert::key(&pod.metadata), convert::pod(pod).map(|pod| labels.share(pod)));
        tasks.spawn(name("pods"), feed("pods").run(pods, read));
        let hpas = watcher(api::<HorizontalPodAutoscaler>(client, namespace.as_deref()), all());
        tasks.spawn(
            name("horizontalpodautoscalers"),
            feed("horizontalpodautoscalers").run(hpas, |h| Read::maybe(convert::key(&h.metadata), hpa::read(h))),
        );
    }
    // A namespace given by name beats its exclusion annotation, so Namespaces need not be read then, and a
    // controller confined to namespaces needs no cluster-wide rights.
    if scope.namespaces.is_empty() {
        let namespaces = watcher(Api::<ApiNamespace>::all(client.clone()), all());
        let feed = Feed::new("namespaces", None, shared);
        tasks.spawn(
            "watch of namespaces",
            feed.run(namespaces, |n| Read::of(convert::key(&n.metadata), convert::namespace(n))),
        );
    }
}

/// What is done, and where if not everywhere.
fn place(what: &str, namespace: Option<&str>) -> String {
    namespace.map_or_else(|| what.to_owned(), |namespace| format!("{what} in {namespace}"))
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    namespace.map_or_else(|| Api::all(client.clone()), |namespace| Api::namespaced(client.clone(), namespace))
}

fn read_replica_set(object: PartialObjectMeta<ApiReplicaSet>) -> Read<ReplicaSet> {
    Read::maybe(convert::key(&object.metadata), convert::replica_set(object))
}

fn read_variant(object: DeserializeGuard<VariantAutoscaling>) -> Read<Variant> {
    match object.0 {
        Ok(variant) => Read::of(convert::key(&variant.metadata), convert::variant(variant)),
        Err(invalid) => {
            let ObjectMeta { uid, labels, .. } = &invalid.metadata;
            let (uid, labels) = (uid.clone().unwrap_or_default(), labels.clone().unwrap_or_default());
            Read::Unreadable(convert::key(&invalid.metadata), Unreadable { uid, labels, why: invalid.error })
        }
    }
}

/// An object as it came from the API server.
#[derive(Debug, PartialEq)]
pub(crate) enum Read<R> {
    /// It counts.
    Counts(ObjectKey, R),
    /// It is none of ours, e.g. a pod without a `ReplicaSet`.
    Irrelevant(ObjectKey),
    /// It does not have the form its kind should have.
    Unreadable(ObjectKey, Unreadable),
}

impl<R> Read<R> {
    fn of(key: ObjectKey, record: R) -> Self {
        Self::Counts(key, record)
    }

    fn maybe(key: ObjectKey, record: Option<R>) -> Self {
        record.map_or(Self::Irrelevant(key.clone()), |record| Self::Counts(key, record))
    }
}

/// Carries the events of one watch into the index.
struct Feed {
    kind: &'static str,
    /// The namespace watched; `None` for all.
    namespace: Option<String>,
    shared: Arc<Shared>,
    gate: Gate,
}

impl Feed {
    fn new(kind: &'static str, namespace: Option<String>, shared: &Arc<Shared>) -> Self {
        let gate = shared.lists.gate(place(&format!("list of {kind}"), namespace.as_deref()));
        Self { kind, namespace, shared: Arc::clone(shared), gate }
    }

    async fn run<K, R, S>(self, stream: S, read: impl Fn(K) -> Read<R> + Send + 'static)
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        K::DynamicType: Eq + Hash,
        R: Record + Send,
        S: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    {
        let mut stream = std::pin::pin!(stream);
        let mut listed = BTreeSet::new();
        let what = place(&format!("watch {}", self.kind), self.namespace.as_deref());
        let mut failures = 0;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    // The announcement of a list is no answer yet.
                    if !matches!(event, watcher::Event::Init) && std::mem::take(&mut failures) > 0 {
                        self.shared.troubles.works(&what);
                    }
                    self.take(event, &mut listed, &read);
                }
                Err(error) => {
                    self.shared.troubles.fails(&what, &words(&error));
                    tokio::time::sleep(pause_after(failures)).await;
                    failures += 1;
                }
            }
        }
    }

    fn take<K, R: Record>(
        &self,
        event: watcher::Event<K>,
        listed: &mut BTreeSet<ObjectKey>,
        read: impl Fn(K) -> Read<R>,
    ) {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let effect = match event {
            Init => {
                listed.clear();
                Effect::Later
            }
            InitApply(object) => {
                let (key, effect) = self.enter(read(object));
                listed.insert(key);
                effect
            }
            InitDone => {
                let mut index = self.shared.index();
                let effect = index.keep_only::<R>(self.namespace.as_deref(), listed);
                drop(index);
                listed.clear();
                self.gate.open();
                effect
            }
            Apply(object) => self.enter(read(object)).1,
            Delete(object) => {
                let (Read::Counts(key, _) | Read::Irrelevant(key) | Read::Unreadable(key, _)) = read(object);
                self.remove::<R>(&key)
            }
        };
        if effect == Effect::Now {
            self.shared.wake.notify_one();
            if self.kind == VARIANTS {
                self.shared.targets.notify_one();
            }
        }
    }

    fn enter<R: Record>(&self, read: Read<R>) -> (ObjectKey, Effect) {
        match read {
            Read::Counts(key, record) => {
                let mut index = self.shared.index();
                index.unreadable.remove(&(self.kind, key.clone()));
                (key.clone(), index.apply(key, record))
            }
            Read::Irrelevant(key) => {
                let effect = self.remove::<R>(&key);
                (key, effect)
            }
            Read::Unreadable(key, unreadable) => {
                let error = &unreadable.why;
                tracing::warn!(kind = self.kind, object = %key, %error, "Ignoring an object that cannot be read");
                self.shared.index().unreadable.insert((self.kind, key.clone()), unreadable);
                (key, Effect::Now)
            }
        }
    }

    fn remove<R: Record>(&self, key: &ObjectKey) -> Effect {
        let mut index = self.shared.index();
        index.unreadable.remove(&(self.kind, key.clone()));
        index.delete::<R>(key)
    }
}

/// Pause after a watch has failed this many times before: 0.25 s, doubling up to 5 s, so that a restarted API server is
/// noticed soon.
pub(crate) fn pause_after(failures: u32) -> Duration {
    Duration::from_millis(250 << failures.min(5)).min(Duration::from_secs(5))
}

/// What went wrong, without the structures that its usual text spells out.
pub(crate) fn words(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(source) => format!("cannot list: {}", api_error::words(source)),
        WatchStartFailed(source) | WatchFailed(source) => format!("cannot watch: {}", api_error::words(source)),
        WatchError(status) => format!("the watch ended: {} (HTTP {})", status.message, status.code),
        NoResourceVersion => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
