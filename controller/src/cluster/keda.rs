//! Keeping KEDA's `ScaledObject`s in the index, for as long as the cluster serves them.
//!
//! Where KEDA is not installed there are none, and nothing is missing. Whether it is served is asked again and again, so that
//! it may be installed, or removed, while the controller runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::runtime::watcher;
use kube::{Api, Client};
use wva_api::Scope;

use super::index::{Effect, ObjectKey, ScaledObject, convert, keda};
use super::mirror::{self, Change};
use crate::api_error;
use crate::readiness::Gate;
use crate::shared::Shared;
use crate::tasks::Tasks;

/// How often to ask whether an API that was not served is served by now.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Plural name of the kind.
const PLURAL: &str = "scaledobjects";

/// Starts to follow.
pub(crate) fn start(tasks: &mut Tasks, client: &Client, scope: &Scope, shared: &Arc<Shared>) {
    let places = if scope.namespaces.is_empty() {
        vec![None]
    } else {
        scope.namespaces.iter().map(|namespace| Some(namespace.clone())).collect()
    };
    for place in places {
        let suffix = place.as_ref().map_or_else(String::new, |namespace| format!(" in {namespace}"));
        let gate = shared.lists.gate(format!("list of {PLURAL}{suffix}, or that there is no such kind"));
        let follower = Follower { client: client.clone(), place, gate, shared: Arc::clone(shared) };
        tasks.spawn(format!("watch of {PLURAL}{suffix}"), follower.run());
    }
}

/// Follows the objects of one namespace, or of all.
struct Follower {
    client: Client,
    place: Option<String>,
    gate: Gate,
    shared: Arc<Shared>,
}

impl Follower {
    async fn run(self) {
        let what = "find out whether ScaledObjects of keda.sh are served";
        loop {
            match self.is_served().await {
                Ok(true) => {
                    self.shared.troubles.works(what);
                    tracing::info!("Watching KEDA's ScaledObjects");
                    self.watch().await;
                    self.take(Change::All(BTreeMap::new()));
                    tracing::info!("KEDA's ScaledObjects are no longer served");
                }
                Ok(false) => {
                    self.shared.troubles.works(what);
                    self.gate.open();
                }
                // The rest is enough to decide: limits that are not known do not limit.
                Err(error) => {
                    self.shared.troubles.fails(what, &error);
                    self.gate.open();
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn is_served(&self) -> Result<bool, String> {
        match self.client.list_api_group_resources(&resource().api_version).await {
            Ok(list) => Ok(list.resources.iter().any(|served| served.name == PLURAL)),
            Err(error) if api_error::code(&error) == Some(404) => Ok(false),
            Err(error) => Err(api_error::words(&error)),
        }
    }

    /// Returns when the kind is not served any longer.
    async fn watch(&self) {
        let api: Api<DynamicObject> = match &self.place {
            None => Api::all_with(self.client.clone(), &resource()),
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource()),
        };
        let stream = watcher(api, watcher::Config::default());
        mirror::follow(
            &self.shared.troubles,
            PLURAL,
            stream,
            |object| read(&object),
            |change| match change {
                Ok(change) => self.take(change),
                // Whoever may not read them decides without: the limits of KEDA's HPAs are not known then, hence no limits.
                Err(failure) if failure.lasts() => self.gate.open(),
                Err(_) => {}
            },
        )
        .await;
    }

    fn take(&self, change: Change<ObjectKey, ScaledObject>) {
        let mut index = self.shared.index();
        let effect = match change {
            Change::All(all) => {
                let listed = all.keys().cloned().collect();
                let gone = index.keep_only::<ScaledObject>(self.place.as_deref(), &listed);
                self.gate.open();
                all.into_iter().fold(gone, |effect, (key, record)| effect.or(index.apply(key, record)))
            }
            Change::Put(key, record) => index.apply(key, record),
            Change::Gone(key) => index.delete::<ScaledObject>(&key),
        };
        drop(index);
        if effect == Effect::Now {
            self.shared.wake.notify_one();
        }
    }
}

fn resource() -> ApiResource {
    ApiResource {
        group: "keda.sh".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "keda.sh/v1alpha1".to_owned(),
        kind: "ScaledObject".to_owned(),
        plural: PLURAL.to_owned(),
    }
}

fn read(object: &DynamicObject) -> (ObjectKey, Option<ScaledObject>) {
    let key = convert::key(&object.metadata);
    let scaled = keda::read(object);
    if let Err(error) = &scaled {
        tracing::warn!(scaledObject = %key, %error, "Ignoring a ScaledObject that cannot be read");
    }
    (key, scaled.ok())
}

#[cfg(test)]
mod tests;
