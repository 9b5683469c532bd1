//! The workload controllers: what turns the objects users write into pods, addresses and replica counts.
//!
//! Each is an ordinary API client. It reads from shared caches, compares what is with what should be, and writes the
//! difference; whatever it missed, the next change or retry brings back. Nothing here knows which server it talks
//! to, so the same controllers run against a real API server that has none of its own.

mod catalog;
mod claim;
mod daemon_set;
pub(crate) mod deployment;
mod disruption;
mod endpoints;
mod garbage;
mod hpa;
mod job;
mod members;
mod namespace;
pub(crate) mod pods;
mod replica_set;
mod revisions;
mod scheduler;
mod service_account;
mod share;
mod stateful_set;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{Endpoints, Namespace, Node, Pod, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use kube::{Api, Client, runtime::watcher};
use tokio::task::JoinSet;
use tracing::{Instrument, info_span};

use crate::{
    machinery::{cache::Cache, events::Recorder},
    supervision,
};

/// How the controllers behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often each `HorizontalPodAutoscaler` is evaluated.
    pub hpa_sync_period: Duration,
    /// Whether pods are bound to nodes; without, as in a control plane that has no kube-scheduler, somebody else does it.
    pub scheduler: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { hpa_sync_period: Duration::from_secs(15), scheduler: true }
    }
}

/// What all controllers share.
pub(crate) struct Context {
    client: Client,
    recorder: Recorder,
    deployments: Cache<Deployment>,
    replica_sets: Cache<ReplicaSet>,
    stateful_sets: Cache<StatefulSet>,
    pods: Cache<Pod>,
    services: Cache<Service>,
    endpoints: Cache<Endpoints>,
    slices: Cache<EndpointSlice>,
    nodes: Cache<Node>,
    hpas: Cache<HorizontalPodAutoscaler>,
    namespaces: Cache<Namespace>,
    accounts: Cache<ServiceAccount>,
    budgets: Cache<PodDisruptionBudget>,
    jobs: Cache<Job>,
    daemon_sets: Cache<DaemonSet>,
}

/// The running controllers; they stop when this is dropped.
#[derive(Debug)]
pub struct Controllers {
    _tasks: JoinSet<()>,
}

impl Controllers {
    /// Starts all controllers. They begin to act once their caches are filled, which this does not wait for.
    pub fn start(client: Client, options: &Options) -> Self {
        let Options { hpa_sync_period, scheduler } = *options;
        let mut tasks = JoinSet::new();
        let ctx = Context::start(client, &mut tasks);
        ctx.spawn(&mut tasks, "deployment", deployment::run);
        ctx.spawn(&mut tasks, "replicaset", replica_set::run);
        ctx.spawn(&mut tasks, "statefulset", stateful_set::run);
        ctx.spawn(&mut tasks, "endpoints", endpoints::run);
        if scheduler {
            ctx.spawn(&mut tasks, "scheduler", scheduler::run);
        }
        ctx.spawn(&mut tasks, "hpa", move |ctx| hpa::run(ctx, hpa_sync_period));
        ctx.spawn(&mut tasks, "namespace", namespace::run);
        ctx.spawn(&mut tasks, "serviceaccount", service_account::run);
        ctx.spawn(&mut tasks, "disruption", disruption::run);
        ctx.spawn(&mut tasks, "job", job::run);
        ctx.spawn(&mut tasks, "daemonset", daemon_set::run);
        ctx.spawn(&mut tasks, "garbage", garbage::run);
        Self { _tasks: tasks }
    }

    /// Starts the scheduler alone, for a cluster whose other controllers are there.
    pub fn start_scheduler(client: Client) -> Self {
        let mut tasks = JoinSet::new();
        Context::start(client, &mut tasks).spawn(&mut tasks, "scheduler", scheduler::run);
        Self { _tasks: tasks }
    }
}

impl Context {
    /// The caches, which begin to fill.
    fn start(client: Client, tasks: &mut JoinSet<()>) -> Arc<Self> {
        let all = watcher::Config::default;
        Arc::new(Self {
            recorder: Recorder::start(client.clone(), "kubesim", None, tasks),
            deployments: Cache::start(Api::all(client.clone()), all(), tasks),
            replica_sets: Cache::start(Api::all(client.clone()), all(), tasks),
            stateful_sets: Cache::start(Api::all(client.clone()), all(), tasks),
            pods: Cache::start(Api::all(client.clone()), all(), tasks),
            services: Cache::start(Api::all(client.clone()), all(), tasks),
            endpoints: Cache::start(Api::all(client.clone()), all(), tasks),
            slices: Cache::start(Api::all(client.clone()), all(), tasks),
            nodes: Cache::start(Api::all(client.clone()), all(), tasks),
            hpas: Cache::start(Api::all(client.clone()), all(), tasks),
            namespaces: Cache::start(Api::all(client.clone()), all(), tasks),
            accounts: Cache::start(Api::all(client.clone()), all(), tasks),
            budgets: Cache::start(Api::all(client.clone()), all(), tasks),
            jobs: Cache::start(Api::all(client.clone()), all(), tasks),
            daemon_sets: Cache::start(Api::all(client.clone()), all(), tasks),
            client,
        })
    }

    /// Starts one controller once every cache is filled: acting on half a picture would create duplicates.
    fn spawn<Fut>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        name: &'static str,
        run: impl FnOnce(Arc<Self>) -> Fut + Send + 'static,
    ) where
        Fut: Future<Output = ()> + Send,
    {
        let ctx = Arc::clone(self);
        let controller = async move {
            ctx.synced().await;
            run(ctx).await;
        };
        let controller = supervision::endless(format!("controller {name}"), controller);
        tasks.spawn(controller.instrument(info_span!("controller", name)));
    }

    async fn synced(&self) {
        let Self {
            client: _,
            recorder: _,
            deployments,
            replica_sets,
            stateful_sets,
            pods,
            services,
            endpoints,
            slices,
            nodes,
            hpas,
            namespaces,
            accounts,
            budgets,
            jobs,
            daemon_sets,
        } = self;
        tokio::join!(
            deployments.synced(),
            replica_sets.synced(),
            stateful_sets.synced(),
            pods.synced(),
            services.synced(),
            endpoints.synced(),
            slices.synced(),
            nodes.synced(),
            hpas.synced(),
            namespaces.synced(),
            accounts.synced(),
            budgets.synced(),
            jobs.synced(),
            daemon_sets.synced(),
        );
    }
}
