//! The only reads: one list for each kind, then a few for each controller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use futures::join;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod};
use kube::Api;
use kube::api::{DynamicObject, ListParams, LogParams};
use kube::core::{ApiResource, GroupVersionKind};
use wva_api::config_keys;

use super::facts::{External, Facts, Installed};
use crate::readers::controllers::{self, Controller};
use crate::readers::lists::{self, Part};
use crate::readers::pods::{self, Health, Nodes};
use crate::readers::servers::Servers;
use crate::readers::{external, followers, variants};
use crate::session::{self, Session};

/// How long a log may take: what else is known is worth a prompt answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Lines of a log that doctor reads.
const LOG_LINES: i64 = 60;

/// Reads everything doctor needs. `namespace` is the one to look at, `None` for all.
pub(super) async fn gather(
    session: &Session,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Facts, session::Error> {
    let all = ListParams::default();
    let (variants, deployments, hpas, found) = join!(
        variants::list(session, namespace),
        lists::list(session, namespace, "list Deployments", &all),
        lists::list(session, namespace, "list HPAs", &all),
        controllers(session),
    );
    let variants = variants?;
    let (controllers, broken) = match found {
        Ok((controllers, broken)) => (Ok(controllers), broken),
        Err(error) => (Err(error), Vec::new()),
    };
    let mut places: BTreeSet<String> = namespace.map(str::to_owned).into_iter().collect();
    places.extend(variants.iter().filter_map(|variant| match &variant.0 {
        Ok(variant) => variant.metadata.namespace.clone(),
        Err(invalid) => invalid.metadata.namespace.clone(),
    }));
    let homes: BTreeSet<String> = controllers.iter().flatten().map(|one| one.controller.namespace.clone()).collect();
    let (namespaces, servers, config_maps, events, services, monitors, scaled_objects, external) = join!(
        namespaces(session, &places),
        Servers::gather(session, &variants, &deployments),
        config_maps(session, namespace, &homes),
        events(session, namespace, &homes),
        wide(session, namespace, "list Services"),
        monitors(session, namespace),
        followers::scaled_objects(session, namespace),
        external(session, &places),
    );
    Ok(Facts {
        now: Timestamp::now(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        variants,
        namespaces,
        controllers,
        broken,
        deployments,
        servers,
        events,
        hpas,
        scaled_objects,
        config_maps,
        services,
        monitors,
        external,
    })
}

async fn controllers(session: &Session) -> Result<(Vec<Installed>, Vec<Deployment>), String> {
    let deployments = controllers::deployments(session).await.map_err(|error| error.to_string())?;
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for deployment in deployments {
        match Controller::of(&deployment) {
            Some(controller) => found.push(installed(session, controller)),
            None => broken.push(deployment),
        }
    }
    Ok((join_all(found).await, broken))
}

async fn installed(session: &Session, controller: Controller) -> Installed {
    let pods = controllers::pods_of(session, &controller);
    let lease = async {
        let name = controller.lease_name();
        lists::get(session, &controller.namespace, &name).await.map_err(|error| error.to_string())
    };
    let (pods, lease) = join!(pods, lease);
    let nodes = Nodes::gather(session, pods.iter().flatten()).await;
    // A lost node keeps its logs to itself, and the API server waiting.
    let answers = |pod: &&Pod| !matches!(Health::of(pod, &nodes, Timestamp::now()), Health::Lost(_) | Health::Over);
    let log = match pods.iter().flatten().filter(answers).find(|pod| !pods::is_ready(pod)) {
        Some(pod) => tokio::time::timeout(PATIENCE, log(session, &controller.namespace, pod)).await.ok().flatten(),
        None => None,
    };
    Installed { controller, pods, nodes, lease, log }
}

/// The end of a pod's log; of its last run, when that is over and it has not been started again.
async fn log(session: &Session, namespace: &str, pod: &Pod) -> Option<String> {
    let api: Api<Pod> = Api::namespaced(session.client.clone(), namespace);
    let name = pod.metadata.name.as_deref()?;
    let params = |previous| LogParams { previous, tail_lines: Some(LOG_LINES), ..LogParams::default() };
    match session.ask("read a log", api.logs(name, &params(false))).await {
        Ok(text) if !text.trim().is_empty() => Some(text),
        _ => session.ask("read a log", api.logs(name, &params(true))).await.ok(),
    }
}

/// All namespaces; whoever may not list them may perhaps read the ones that matter.
async fn namespaces(session: &Session, places: &BTreeSet<String>) -> Part<Namespace> {
    let api: Api<Namespace> = Api::all(session.client.clone());
    match session.ask("list namespaces", api.list(&ListParams::default())).await {
        Ok(list) => Ok(list.items),
        Err(session::Error::Forbidden { .. }) => {
            let read = |name: &String| {
                let (api, name) = (api.clone(), name.clone());
                async move { session.ask(format!("read namespace {name}"), api.get(&name)).await }
            };
            let found = join_all(places.iter().map(read)).await;
            found.into_iter().map(|one| one.map_err(|error| error.to_string())).collect()
        }
        Err(error) => Err(error.to_string()),
    }
}

async fn config_maps(session: &Session, namespace: Option<&str>, homes: &BTreeSet<String>) -> Part<ConfigMap> {
    let all = ListParams::default();
    let doing = "list ConfigMaps";
    let mut maps = lists::list(session, namespace, doing, &all).await?;
    if let Some(namespace) = namespace {
        for home in homes.iter().filter(|home| *home != namespace) {
            maps.extend(lists::list::<ConfigMap>(session, Some(home), doing, &all).await?);
        }
    }
    Ok(maps)
}

async fn events(session: &Session, namespace: Option<&str>, homes: &BTreeSet<String>) -> Part<Event> {
    let about = ListParams::default().fields("involvedObject.kind=ConfigMap");
    let doing = "list events";
    let mut events = lists::list(session, namespace, doing, &about).await?;
    if let Some(namespace) = namespace {
        for home in homes.iter().filter(|home| *home != namespace) {
            events.extend(lists::list::<Event>(session, Some(home), doing, &about).await?);
        }
    }
    Ok(events)
}

/// Lists all namespaces if we may, else the one we work in.
async fn wide<K>(session: &Session, namespace: Option<&str>, doing: &str) -> Part<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    match lists::list(session, None, doing, &ListParams::default()).await {
        Err(_) if namespace.is_some() => lists::list(session, namespace, doing, &ListParams::default()).await,
        answer => answer,
    }
}

async fn monitors(session: &Session, namespace: Option<&str>) -> Part<DynamicObject> {
    let mut found = Vec::new();
    for (kind, plural) in [("ServiceMonitor", "servicemonitors"), ("PodMonitor", "podmonitors")] {
        let gvk = GroupVersionKind::gvk("monitoring.coreos.com", "v1", kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let everywhere: Api<DynamicObject> = Api::all_with(session.client.clone(), &resource);
        let doing = format!("list {kind}s");
        let mut answer = session.ask(&*doing, everywhere.list(&ListParams::default())).await;
        if let (Err(session::Error::Forbidden { .. }), Some(namespace)) = (&answer, namespace) {
            let here: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), namespace, &resource);
            answer = session.ask(&*doing, here.list(&ListParams::default())).await;
        }
        match answer {
            // A list says which kind its items are; the items themselves do not.
            Ok(list) => found.extend(list.items.into_iter().map(|mut object| {
                object.types = Some(kube::core::TypeMeta { api_version: gvk.api_version(), kind: kind.to_owned() });
                object
            })),
            Err(session::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(found)
}

async fn external(session: &Session, places: &BTreeSet<String>) -> External {
    match external::discover(session).await {
        Ok(()) => {}
        Err(error @ (session::Error::NotFound { .. } | session::Error::Unavailable { .. })) => {
            return External::Absent(error.to_string());
        }
        Err(error) => return External::Unread(error.to_string()),
    }
    let read = |namespace: &String| {
        let namespace = namespace.clone();
        async move {
            let series = external::desired_replicas(session, &namespace).await;
            (namespace, series.map_err(|error| error.to_string()))
        }
    };
    External::Answers(join_all(places.iter().map(read)).await.into_iter().collect::<BTreeMap<_, _>>())
}

impl Controller {
    /// Name of its Lease.
    pub fn lease_name(&self) -> String {
        self.scope.instance.lease_name(self.literal(config_keys::LEADER_ELECTION_ID).as_deref())
    }
}
