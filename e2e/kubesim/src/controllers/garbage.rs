//! Garbage collection: objects go when their owners have gone.
//!
//! The metadata of every object of every kind is watched, custom kinds included; the kinds are discovered anew when a
//! definition changes. What is to be done about an object follows from the [`graph`]; before an object is deleted
//! because its owners are missing, the server is asked, since a kind may not be watched yet.

mod graph;
mod news;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Resource,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tracing::{debug, warn};

use self::{
    graph::{Action, Graph, KindIndex, Node, Uid},
    news::{News, definitions, watch},
};
use super::{
    Context,
    catalog::{self, Listed},
};
use crate::machinery::work_queue::Failure;

/// Why something could not be collected.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("asking for owner {kind} {name}: {source}")]
    Owner { kind: String, name: String, source: kube::Error },
    #[error("deleting {kind} {namespace}/{name}: {source}")]
    Delete { kind: String, namespace: String, name: String, source: kube::Error },
    #[error("updating {kind} {namespace}/{name}: {source}")]
    Update { kind: String, namespace: String, name: String, source: kube::Error },
}

struct Collector {
    ctx: Arc<Context>,
    /// Kinds are only ever added: an index stays valid. A kind whose definition went keeps its place, without a watch.
    kinds: Vec<Listed>,
    watches: HashMap<KindIndex, tokio::task::AbortHandle>,
    /// Watched kinds that were not listed yet. Nothing is done meanwhile: an object whose dependants are not known looks as if it
    /// had none, and would go before them.
    unlisted: HashSet<KindIndex>,
    tasks: JoinSet<()>,
    news: mpsc::UnboundedSender<News>,
    graph: Graph,
    due: HashMap<Uid, Instant>,
}

/// How long after a definition changed its kind can be expected to be served.
const SETTLE: Duration = Duration::from_millis(100);
/// How soon to look again at an object after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let (news, mut incoming) = mpsc::unbounded_channel();
    let mut definitions = definitions(&ctx.client);
    let mut collector = Collector {
        ctx,
        kinds: Vec::new(),
        watches: HashMap::new(),
        unlisted: HashSet::new(),
        tasks: JoinSet::new(),
        news,
        graph: Graph::default(),
        due: HashMap::new(),
    };
    let mut discover_at = Some(Instant::now());
    loop {
        let next_due = collector.due.values().min().copied().filter(|_| collector.unlisted.is_empty());
        let wake = [next_due, discover_at].into_iter().flatten().min();
        tokio::select! {
            Some(news) = incoming.recv() => collector.hear(news),
            Some(()) = definitions.next() => discover_at = Some(Instant::now() + SETTLE),
            () = sleep_until(wake) => {
                if discover_at.is_some_and(|at| at <= Instant::now()) {
                    discover_at = if collector.discover().await { None } else { Some(Instant::now() + RETRY) };
                }
                collector.work().await;
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Collector {
    /// Watches what is new and drops what is gone; false if the server could not tell.
    async fn discover(&mut self) -> bool {
        let served = match catalog::discover(&self.ctx.client).await {
            Ok(served) => served,
            Err(error) => {
                warn!(%error, "Discovery for garbage collection failed, trying again");
                return false;
            }
        };
        for listed in &served {
            let known = self.kinds.iter().position(|known| known == listed);
            let index = known.unwrap_or_else(|| {
                self.kinds.push(listed.clone());
                self.kinds.len() - 1
            });
            if !self.watches.contains_key(&index) {
                let watch =
                    self.tasks.spawn(watch(self.ctx.client.clone(), listed.resource.clone(), index, self.news.clone()));
                self.watches.insert(index, watch);
                self.unlisted.insert(index);
            }
        }
        let gone: Vec<KindIndex> =
            self.watches.keys().copied().filter(|index| !served.contains(&self.kinds[*index])).collect();
        for index in gone {
            if let Some(watch) = self.watches.remove(&index) {
                watch.abort();
            }
            self.hear(News::Listed(index, Vec::new()));
        }
        true
    }

    fn hear(&mut self, news: News) {
        let affected = match news {
            News::Present(kind, uid, meta) => self.graph.put(uid, Node::new(kind, &meta)),
            News::Gone(uid) => self.graph.remove(&uid),
            News::Listed(kind, objects) => {
                self.unlisted.remove(&kind);
                let present: HashSet<&Uid> = objects.iter().map(|(uid, _)| uid).collect();
                let gone: Vec<Uid> =
                    self.graph.of_kind(kind).into_iter().filter(|uid| !present.contains(uid)).collect();
                let mut affected: Vec<Uid> = gone.iter().flat_map(|uid| self.graph.remove(uid)).collect();
                for (uid, meta) in objects {
                    affected.extend(self.graph.put(uid, Node::new(kind, &meta)));
                }
                affected
            }
        };
        let now = Instant::now();
        for uid in affected {
            self.due.insert(uid, now);
        }
    }

    async fn work(&mut self) {
        if !self.unlisted.is_empty() {
            return;
        }
        let now = Instant::now();
        let due: Vec<Uid> = self.due.iter().filter(|(_, at)| **at <= now).map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            self.due.remove(&uid);
            if let Err(error) = self.attend(&uid).await {
                let conflict = match &error {
                    Error::Owner { source, .. } | Error::Delete { source, .. } | Error::Update { source, .. } => {
                        source.is_conflict()
                    }
                };
                if !conflict {
                    warn!(%error, "Garbage collection failed, trying again");
                }
                self.due.insert(uid, Instant::now() + RETRY);
            }
        }
    }

    async fn attend(&mut self, uid: &str) -> Result<(), Error> {
        let action = self.graph.action(uid);
        let Some(node) = self.graph.get(uid).cloned() else { return Ok(()) };
        match action {
            Action::Nothing => Ok(()),
            Action::Verify { missing } => self.verify(uid, &node, missing).await,
            // Its own dependants have to go before it, since its owner waits for all of them.
            Action::Delete => self.delete(uid, &node, DeleteParams::foreground()).await,
            Action::DeleteDependants { dependants } => {
                for dependant in dependants {
                    if let Some(node) = self.graph.get(&dependant).cloned() {
                        self.delete(&dependant, &node, DeleteParams::foreground()).await?;
                    }
                }
                Ok(())
            }
            Action::OrphanDependants { dependants } => {
                for dependant in dependants {
                    if let Some(node) = self.graph.get(&dependant).cloned() {
                        let owners = node.owners.iter().filter(|owner| owner.uid != uid).collect::<Vec<_>>();
                        let patch = json!({"metadata": {"uid": dependant, "ownerReferences": owners}});
                        self.update(&node, patch).await?;
                    }
                }
                Ok(())
            }
            Action::RemoveFinalizer(finalizer) => {
                let finalizers: Vec<_> = node.finalizers.iter().filter(|known| *known != finalizer).collect();
                self.update(&node, json!({"metadata": {"uid": uid, "finalizers": finalizers}})).await
            }
        }
    }

    /// Deletes the object if all its owners are really gone, drops the references to those that are otherwise.
    async fn verify(&self, uid: &str, node: &Node, missing: Vec<OwnerReference>) -> Result<(), Error> {
        let mut gone = Vec::new();
        for owner in missing {
            if !self.exists(node, &owner).await? {
                gone.push(owner.uid);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        let remaining: Vec<&OwnerReference> = node.owners.iter().filter(|owner| !gone.contains(&owner.uid)).collect();
        if remaining.is_empty() {
            return self.delete(uid, node, DeleteParams::background()).await;
        }
        self.update(node, json!({"metadata": {"uid": uid, "ownerReferences": remaining}})).await
    }

    /// An owner of a kind that is not served counts as existing: whoever knows the kind may come back.
    async fn exists(&self, dependant: &Node, owner: &OwnerReference) -> Result<bool, Error> {
        let served = |listed: &&Listed| {
            listed.resource.kind == owner.kind && same_group(&listed.resource.api_version, &owner.api_version)
        };
        let Some(listed) = self.kinds.iter().find(served) else { return Ok(true) };
        let api = self.api(listed, &dependant.namespace);
        let found = api.get_metadata_opt(&owner.name).await.map_err(|source| Error::Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            source,
        })?;
        Ok(found.is_some_and(|found| found.meta().uid.as_ref() == Some(&owner.uid)))
    }

    fn api(&self, listed: &Listed, namespace: &str) -> Api<DynamicObject> {
        if listed.namespaced {
            Api::namespaced_with(self.ctx.client.clone(), namespace, &listed.resource)
        } else {
            Api::all_with(self.ctx.client.clone(), &listed.resource)
        }
    }

    async fn delete(&self, uid: &str, node: &Node, params: DeleteParams) -> Result<(), Error> {
        let listed = &self.kinds[node.kind];
        let params = params.preconditions(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        debug!(kind = listed.resource.kind, namespace = node.namespace, name = node.name, "Collected");
        match self.api(listed, &node.namespace).delete(&node.name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(Error::Delete {
                kind: listed.resource.kind.clone(),
                namespace: node.namespace.clone(),
                name: node.name.clone(),
                source,
            }),
        }
    }

    async fn update(&self, node: &Node, patch: serde_json::Value) -> Result<(), Error> {
        let listed = &self.kinds[node.kind];
        let api = self.api(listed, &node.namespace);
        match api.patch_metadata(&node.name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(Error::Update {
                kind: listed.resource.kind.clone(),
                namespace: node.namespace.clone(),
                name: node.name.clone(),
                source,
            }),
        }
    }
}

/// `apps/v1` and `apps/v1beta1` are the same kinds in different clothes.
fn same_group(a: &str, b: &str) -> bool {
    let group = |version: &str| version.rsplit_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default();
    group(a) == group(b)
}
