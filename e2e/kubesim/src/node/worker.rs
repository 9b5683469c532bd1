//! The life of one pod on a node: set up, run, report, stop, remove.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, warn};

use super::{
    Agent, account,
    container::{Role, Supervisor},
    pod_context::PodContext,
    sources::{self, Sources},
    status,
    view::{Board, View},
    volumes,
};
use crate::{
    controllers::pods,
    machinery::{events::Severity, key::Key, work_queue::Failure},
};

/// How often what could not be set up or written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Where the object of a pod stands.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    /// It exists, in this version.
    Exists(Arc<Pod>),
    /// It is gone; whatever still runs for it has to go as well.
    Gone,
}

/// Runs one pod until its object or the agent is gone.
pub(super) async fn run(agent: Arc<Agent>, pod: Arc<Pod>, mut wishes: watch::Receiver<Wish>) {
    let Some(ip) = agent.ips.take() else {
        agent.recorder.warning(pod.as_ref(), "FailedCreatePodSandBox", "no pod address is free in this cluster");
        return;
    };
    let directory = agent.work_dir.join("pods").join(pod.uid().unwrap_or_default());
    let context = Arc::new(PodContext::new(pod, ip, directory));
    let board = watch::Sender::new(blank_board(&context));
    let mut seen = board.subscribe();
    let mut lifecycle = JoinSet::new();
    lifecycle.spawn(live(Arc::clone(&agent), Arc::clone(&context), board));
    let mut shutdown = agent.shutdown.subscribe();
    let mut over = false;
    let mut leaving = false;
    let mut renewal =
        tokio::time::interval_at(tokio::time::Instant::now() + account::RENEW_AFTER, account::RENEW_AFTER);
    loop {
        let wish = wishes.borrow_and_update().clone();
        let board = seen.borrow_and_update().clone();
        let deleting = match &wish {
            Wish::Gone => {
                context.tell_to_stop(GONE_GRACE);
                true
            }
            Wish::Exists(pod) if pod.metadata.deletion_timestamp.is_some() => {
                let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
                context.tell_to_stop(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
                true
            }
            Wish::Exists(_) => false,
        };
        let mut written = true;
        if matches!(wish, Wish::Exists(_)) && !leaving {
            written = publish(&agent, &context, &board).await;
        }
        if over && (deleting || leaving) {
            break;
        }
        tokio::select! {
            Some(_) = lifecycle.join_next(), if !over => over = true,
            // The sender ends with the lifecycle.
            Ok(()) = seen.changed() => {}
            Ok(()) = wishes.changed() => {}
            grace = told_to_leave(&mut shutdown), if !leaving => {
                leaving = true;
                context.tell_to_stop(grace.min(context.grace()));
            }
            () = tokio::time::sleep(RETRY), if !written => {}
            _ = renewal.tick() => renew(&agent, &context).await,
        }
    }
    remove(&agent, context, leaving).await;
}

/// Waits until the agent stops; returns the longest grace it gives.
async fn told_to_leave(shutdown: &mut watch::Receiver<Option<Duration>>) -> Duration {
    let grace = shutdown.wait_for(Option::is_some).await.ok().and_then(|grace| *grace);
    grace.unwrap_or_default()
}

/// How long processes get whose pod was deleted without grace.
const GONE_GRACE: Duration = Duration::from_secs(1);

/// Every container waits.
fn blank_board(context: &PodContext) -> Board {
    let Some(spec) = context.spec() else { return Board::default() };
    let views = |containers: &[Container], reason| {
        containers.iter().map(|container| (container.name.clone(), View::waiting(reason))).collect()
    };
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    Board { init: views(init, "PodInitializing"), main: views(&spec.containers, reason) }
}

/// Sets the pod up and runs its containers; returns when all of them are done or stopped.
async fn live(agent: Arc<Agent>, context: Arc<PodContext>, board: watch::Sender<Board>) {
    let Some(spec) = context.spec() else { return };
    // A pod that ran to its end before the agent started.
    if pods::is_finished(context.pod()) || context.pod().metadata.deletion_timestamp.is_some() {
        return;
    }
    while let Err(message) = set_up(&agent, &context, spec).await {
        agent.recorder.record(context.reference(), Severity::Warning, "FailedMount", message);
        if tokio::time::timeout(RETRY, context.stopped()).await.is_ok() {
            return;
        }
    }
    let run = async |container: &Container, role| {
        Supervisor { agent: &agent, pod: &context, container, role, board: &board }.run().await
    };
    let (sidecars, init): (Vec<_>, Vec<_>) = spec
        .init_containers
        .iter()
        .flatten()
        .partition(|container| container.restart_policy.as_deref() == Some("Always"));
    for container in init {
        if !run(container, Role::Init).await {
            return;
        }
    }
    let sidecars = sidecars.into_iter().map(|container| (container, Role::Sidecar));
    let main = spec.containers.iter().map(|container| (container, Role::Main));
    join_all(sidecars.chain(main).map(|(container, role)| run(container, role))).await;
}

/// Writes identity and volumes.
async fn set_up(agent: &Agent, context: &PodContext, spec: &PodSpec) -> Result<(), String> {
    let account = context.account_directory();
    let written = account::write(&agent.client, &agent.api, context.pod(), &account).await;
    written.map_err(|error| error.to_string())?;
    let sources = Sources::read(&agent.client, &context.namespace(), sources::of_volumes(spec)).await;
    let sources = sources.map_err(|error| error.to_string())?;
    let directory = context.directory().join("volumes");
    let places = volumes::materialise(spec, &context.facts(agent), &sources, &account, &directory);
    context.set_places(places.map_err(|error| error.to_string())?);
    Ok(())
}

async fn renew(agent: &Agent, context: &PodContext) {
    let account = context.account_directory();
    if let Err(error) = account::write(&agent.client, &agent.api, context.pod(), &account).await {
        warn!(pod = context.name(), %error, "Service account token not renewed");
    }
}

/// Writes the status if it differs from what the cache shows; false if that has to be tried again.
async fn publish(agent: &Agent, context: &PodContext, board: &Board) -> bool {
    let key = Key::of(context.pod());
    let Some(latest) = agent.pods.get(&key).filter(|latest| latest.uid() == context.pod().uid()) else { return true };
    if pods::is_finished(&latest) && !board.main.values().any(|view| view.ended().is_some()) {
        // Its end was reported by an earlier agent, and nothing ran since.
        return true;
    }
    let facts =
        status::Facts { pod: &latest, board, pod_ip: context.ip(), host_ip: agent.address, now: Timestamp::now() };
    let status = status::compute(&facts);
    if latest.status.as_ref() == Some(&status) {
        return true;
    }
    let mut updated = latest.as_ref().clone();
    updated.status = Some(status);
    let api: Api<Pod> = Api::namespaced(agent.client.clone(), &key.namespace);
    match api.replace_status(&key.name, &PostParams::default(), &updated).await {
        Ok(written) => agent.pods.wait_for(&written, Some(&latest)).await,
        Err(kube::Error::Api(status)) if status.is_not_found() => true,
        Err(error) => {
            if !error.is_conflict() {
                warn!(pod = %key, %error, "Pod status not written");
            }
            false
        }
    }
}

/// Frees what the pod had, then lets its object go.
async fn remove(agent: &Agent, context: Arc<PodContext>, leaving: bool) {
    let (namespace, name, uid) = (context.namespace(), context.name(), context.pod().uid());
    agent.logs.forget_pod(&namespace, &name);
    if let Err(error) = std::fs::remove_dir_all(context.directory()) {
        debug!(directory = %context.directory().display(), %error, "Pod directory not removed");
    }
    drop(context);
    if leaving {
        return;
    }
    let api: Api<Pod> = Api::namespaced(agent.client.clone(), &namespace);
    let params = DeleteParams::default().grace_period(0).preconditions(Preconditions { uid, resource_version: None });
    loop {
        match api.delete(&name, &params).await {
            Ok(_) => return,
            // Already gone, or another pod has the name by now.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => return,
            Err(error) => warn!(%namespace, pod = name, %error, "Pod object not removed, trying again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}
