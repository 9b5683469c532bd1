//! Keeps a Prometheus' scrape jobs in step with the cluster.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Endpoints, Secret, Service};
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::reflector::{self, Lookup, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::targets::{Monitor, MonitorSpec, Objects, jobs};
use super::{Bearer, Job};
use crate::prometheus::{self, Prometheus};

/// The task that follows the cluster cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A first list did not arrive.
    #[error("watching {kind} for scrape targets: the watch ended")]
    Watch {
        /// Which kind.
        kind: &'static str,
    },
    /// Prometheus did not take the jobs.
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
}

/// Applies what the cluster's `ServiceMonitors` select to Prometheus, now and at every change, until dropped.
/// `own_token` is sent where a monitor asks for the token of Prometheus' own service account.
///
/// # Errors
/// When a watch cannot be set up, or Prometheus refuses a configuration.
pub async fn follow(client: Client, prometheus: Arc<Prometheus>, own_token: String) -> Result<(), Error> {
    let changed = Arc::new(Notify::new());
    let monitor = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("monitoring.coreos.com", "v1", "ServiceMonitor"),
        "servicemonitors",
    );
    let mut drivers = Vec::new();
    let mut drive = |stream: std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>| drivers.push(stream);
    let (services, stream) = store::<Service>(Api::all(client.clone()), &changed);
    drive(stream);
    let (endpoints, stream) = store::<Endpoints>(Api::all(client.clone()), &changed);
    drive(stream);
    let (secrets, stream) = store::<Secret>(Api::all(client.clone()), &changed);
    drive(stream);
    let (monitors, stream) = dynamic_store(Api::all_with(client, &monitor), &monitor, &changed);
    drive(stream);
    let watches = futures::stream::select_all(drivers).for_each(|()| async {});

    let apply = async {
        services.wait_until_ready().await.map_err(|_| Error::Watch { kind: "Services" })?;
        endpoints.wait_until_ready().await.map_err(|_| Error::Watch { kind: "Endpoints" })?;
        secrets.wait_until_ready().await.map_err(|_| Error::Watch { kind: "Secrets" })?;
        monitors.wait_until_ready().await.map_err(|_| Error::Watch { kind: "ServiceMonitors" })?;
        let mut applied: Option<Vec<Job>> = None;
        loop {
            let objects = Objects {
                monitors: monitors.state().iter().filter_map(|object| parse(object)).collect(),
                services: contents(&services),
                endpoints: contents(&endpoints),
                secrets: contents(&secrets),
            };
            let wanted: Vec<Job> = jobs(&objects).into_iter().map(|job| with_token(job, &own_token)).collect();
            if applied.as_ref() != Some(&wanted) {
                prometheus.set_jobs(&wanted).await?;
                applied = Some(wanted);
            }
            changed.notified().await;
        }
    };
    tokio::select! {
        () = watches => Err(Error::Watch { kind: "scrape objects" }),
        result = apply => result,
    }
}

fn with_token(mut job: Job, own_token: &str) -> Job {
    if job.bearer == Some(Bearer::OwnServiceAccount) {
        job.bearer = Some(Bearer::Token(own_token.to_owned()));
    }
    job
}

/// A monitor we cannot read selects nothing; the others still count.
fn parse(object: &DynamicObject) -> Option<Monitor> {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    match serde_json::from_value::<MonitorSpec>(object.data.get("spec").cloned().unwrap_or_default()) {
        Ok(spec) => Some(Monitor { namespace, name, spec }),
        Err(error) => {
            tracing::warn!(namespace, name, %error, "Ignoring a ServiceMonitor that cannot be read");
            None
        }
    }
}

fn contents<K>(store: &Store<K>) -> Vec<K>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    store.state().iter().map(|object| object.as_ref().clone()).collect()
}

type Driver = std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>;

fn store<K>(api: Api<K>, changed: &Arc<Notify>) -> (Store<K>, Driver)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    (reader, driver(watcher(api, watcher::Config::default()).default_backoff().reflect(writer), changed))
}

fn dynamic_store(
    api: Api<DynamicObject>,
    resource: &ApiResource,
    changed: &Arc<Notify>,
) -> (Store<DynamicObject>, Driver) {
    let writer = reflector::store::Writer::new(resource.clone());
    let reader = writer.as_reader();
    (reader, driver(watcher(api, watcher::Config::default()).default_backoff().reflect(writer), changed))
}

fn driver<T, E>(stream: impl Stream<Item = Result<T, E>> + Send + 'static, changed: &Arc<Notify>) -> Driver
where
    E: std::fmt::Display + 'static,
    T: 'static,
{
    let changed = Arc::clone(changed);
    Box::pin(stream.map(move |event| match event {
        Ok(_) => changed.notify_one(),
        Err(error) => tracing::debug!(%error, "Watching scrape objects"),
    }))
}
