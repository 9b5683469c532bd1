//! Keeping pools and their pickers in memory, for as long as the cluster serves the API.
//!
//! One task for each API group asks whether it is served and watches its pools while it is. One more watches the
//! addresses of the pickers, and only theirs: one watch for each namespace with a pool, selected by Service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::task::{AbortHandle, JoinSet};
use wva_api::Scope;

use super::pool::SERVICE_NAME;
use super::{Group, Pickers, Pool, PoolKey, Pools, Served};
use crate::api_error;
use crate::cluster::index::convert;
use crate::cluster::mirror::{self, Change};
use crate::shared::Shared;
use crate::tasks::{Tasks, joined};

/// Pause before an API that is not served is asked for again; it doubles each time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Longest such pause: most clusters without the API will never have it.
const SELDOMEST: Duration = Duration::from_mins(5);
/// How often to look for namespaces and Services whose pickers are to be watched, besides when a pool changes: a
/// variant may have come to a namespace.
const COMPARE: Duration = Duration::from_secs(1);
/// Up to this many Services are named in a selector; beyond, all slices of the namespace are read.
const MOST_NAMED: usize = 50;

/// Starts everything. Only pools of API group `only` are watched, unless that is `None`.
pub fn start(tasks: &mut Tasks, client: &Client, scope: &Scope, only: Option<&str>, shared: &Arc<Shared>) {
    for group in Group::ALL {
        if only.is_some_and(|only| only != group.name()) {
            shared.gateway.pools().groups.insert(group, Served::No);
            continue;
        }
        let watch = watch_group(client.clone(), scope.namespaces.clone(), group, Arc::clone(shared));
        tasks.spawn(format!("watch of inferencepools.{}", group.name()), watch);
    }
    tasks.spawn("watch of endpoint pickers", watch_pickers(client.clone(), Arc::clone(shared)));
}

/// Watches the pools of one group whenever it is served.
async fn watch_group(client: Client, namespaces: BTreeSet<String>, group: Group, shared: Arc<Shared>) {
    let what = format!("find out whether {} serves InferencePools", group.name());
    let mut pause = LOOK_AGAIN;
    loop {
        match is_served(&client, group).await {
            Ok(true) => {
                shared.troubles.works(&what);
                tracing::info!(group = group.name(), "Watching InferencePools");
                watch_pools(&client, &namespaces, group, &shared).await;
                let mut pools = shared.gateway.pools();
                pools.pools.retain(|key, _| key.group != group);
                pools.groups.insert(group, Served::No);
                drop(pools);
                shared.gateway.changed.notify_one();
                tracing::info!(group = group.name(), "InferencePools are no longer served");
                pause = LOOK_AGAIN;
            }
            Ok(false) => {
                shared.troubles.works(&what);
                shared.gateway.pools().groups.insert(group, Served::No);
            }
            // Nothing is known; that is not to last longer than the outage.
            Err(error) => {
                shared.troubles.fails(&what, &error);
                pause = LOOK_AGAIN;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SELDOMEST);
    }
}

async fn is_served(client: &Client, group: Group) -> Result<bool, String> {
    let resource = group.resource();
    match client.list_api_group_resources(&resource.api_version).await {
        Ok(list) => Ok(list.resources.iter().any(|served| served.name == resource.plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(api_error::words(&error)),
    }
}

/// Returns when the kind is not served any longer.
async fn watch_pools(client: &Client, namespaces: &BTreeSet<String>, group: Group, shared: &Arc<Shared>) {
    let resource = group.resource();
    let places: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|name| Some(name.as_str())).collect() };
    let missing = places.iter().map(|place| place.map(str::to_owned)).collect();
    shared.gateway.pools().groups.insert(group, Served::Yes(missing));
    let watches = places.into_iter().map(|place| {
        let api: Api<DynamicObject> = match place {
            None => Api::all_with(client.clone(), &resource),
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        };
        let take = move |change| {
            let Ok(change) = change else { return };
            let mut guard = shared.gateway.pools();
            let Pools { pools, groups, slices: _ } = &mut *guard;
            match change {
                Change::All(all) => {
                    let listed = |key: &PoolKey| key.group == group && place.is_none_or(|place| key.namespace == place);
                    pools.retain(|key, _| !listed(key));
                    pools.extend(all);
                    if let Some(Served::Yes(missing)) = groups.get_mut(&group) {
                        missing.remove(&place.map(str::to_owned));
                    }
                }
                change => change.apply(pools),
            }
            drop(guard);
            shared.gateway.changed.notify_one();
        };
        let kind = place.map_or_else(
            || format!("inferencepools.{}", group.name()),
            |place| format!("inferencepools.{} in {place}", group.name()),
        );
        async move {
            let stream = watcher(api, watcher::Config::default());
            mirror::follow(&shared.troubles, &kind, stream, move |pool| read(group, &pool), take).await;
        }
    });
    futures::future::join_all(watches).await;
}

fn read(group: Group, object: &DynamicObject) -> (PoolKey, Option<Pool>) {
    let key = convert::key(&object.metadata);
    let key = PoolKey { group, namespace: key.namespace, name: key.name };
    let pool = match Pool::read(object) {
        Ok(pool) => Some(pool),
        Err(error) => {
            tracing::warn!(pool = %key, error, "Ignoring an InferencePool");
            None
        }
    };
    (key, pool)
}

/// Watches the addresses of all pickers that matter, as pools and variants come and go.
async fn watch_pickers(client: Client, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<String, (BTreeSet<String>, AbortHandle)> = BTreeMap::new();
    loop {
        let wanted = services(&shared);
        running.retain(|namespace, (services, task)| {
            let stays = wanted.get(namespace) == Some(services);
            if !stays {
                task.abort();
                shared.gateway.pools().slices.retain(|slice, _| slice.namespace != *namespace);
            }
            stays
        });
        for (namespace, services) in wanted {
            running.entry(namespace.clone()).or_insert_with(|| {
                let watch = watch_slices(client.clone(), namespace, services.clone(), Arc::clone(&shared));
                (services, tasks.spawn(watch))
            });
        }
        while let Some(ended) = tasks.try_join_next() {
            let _cancelled = joined(ended).is_none();
        }
        tokio::select! {
            () = shared.gateway.changed.notified() => {}
            () = tokio::time::sleep(COMPARE) => {}
        }
    }
}

/// Services of pickers, by namespace, where this controller has a variant.
fn services(shared: &Shared) -> BTreeMap<String, BTreeSet<String>> {
    let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, pool) in &shared.gateway.pools().pools {
        services.entry(key.namespace.clone()).or_default().insert(pool.picker.clone());
    }
    if services.is_empty() {
        return services;
    }
    let index = shared.index();
    let with_variant: BTreeSet<&str> = index.variants.keys().map(|key| key.namespace.as_str()).collect();
    services.retain(|namespace, _| with_variant.contains(namespace.as_str()));
    services
}

async fn watch_slices(client: Client, namespace: String, services: BTreeSet<String>, shared: Arc<Shared>) {
    let api: Api<EndpointSlice> = Api::namespaced(client, &namespace);
    let mut config = watcher::Config::default();
    if services.len() <= MOST_NAMED {
        let names: Vec<&str> = services.iter().map(String::as_str).collect();
        config = config.labels(&format!("{SERVICE_NAME} in ({})", names.join(",")));
    }
    let read = |slice: EndpointSlice| {
        let key = convert::key(&slice.metadata);
        (key, Pickers::read(slice).filter(|pickers| services.contains(&pickers.service)))
    };
    mirror::follow(&shared.troubles, &format!("endpointslices in {namespace}"), watcher(api, config), read, |change| {
        let Ok(change) = change else { return };
        let slices = &mut shared.gateway.pools().slices;
        match change {
            Change::All(all) => {
                slices.retain(|slice, _| slice.namespace != namespace);
                slices.extend(all);
            }
            change => change.apply(slices),
        }
    })
    .await;
}
