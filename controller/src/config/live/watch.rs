//! The ConfigMaps the controller reads, followed by name: a cluster has many others, and none of them is fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher;
use kube::{Api, Client};

use super::LiveSettings;
use crate::cluster::index::{ObjectKey, convert};
use crate::cluster::watch::{pause_after, words};
use crate::config::Config;
use crate::readiness::Gate;
use crate::shared::Shared;
use crate::tasks::Tasks;

/// Starts following them, beside what else `tasks` run.
pub fn start(tasks: &mut Tasks, client: &Client, config: &Config, main: &str, follow: &Follow) {
    let names: Vec<String> = follow.settings.state().store.names().into_iter().map(str::to_owned).collect();
    for namespace in namespaces(config) {
        for name in &names {
            let place = namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
            let task = follow.clone().run(client.clone(), namespace.clone(), name.clone(), false);
            tasks.spawn(format!("watch of configmaps {place}{name}"), task);
        }
    }
    let task = follow.clone().run(client.clone(), Some(config.pod_namespace.clone()), main.to_owned(), true);
    tasks.spawn("watch of the main configmap", task);
}

/// Where ConfigMaps with settings of models can be: everywhere, or in the namespaces to watch and the controller's own.
fn namespaces(config: &Config) -> BTreeSet<Option<String>> {
    if config.scope.namespaces.is_empty() {
        return [None].into();
    }
    config.scope.namespaces.iter().chain([&config.pod_namespace]).cloned().map(Some).collect()
}

/// Carries what is seen into the settings.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The settings.
    pub settings: LiveSettings,
    /// Whom to wake.
    pub shared: Arc<Shared>,
}

impl Follow {
    async fn run(self, client: Client, namespace: Option<String>, name: String, main: bool) {
        let place = namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        let gate = self.shared.lists.gate(format!("list of configmaps {place}"));
        let api: Api<ConfigMap> =
            namespace.as_ref().map_or_else(|| Api::all(client.clone()), |ns| Api::namespaced(client.clone(), ns));
        let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut stream = std::pin::pin!(watcher(api, named));
        let (what, shared) = (format!("watch configmaps {place}"), Arc::clone(&self.shared));
        let mut one = One { follow: self, namespace, name, main, gate, listed: BTreeSet::new() };
        let mut failures = 0;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    if !matches!(event, watcher::Event::Init) && std::mem::take(&mut failures) > 0 {
                        shared.troubles.works(&what);
                    }
                    one.take(event);
                }
                Err(error) => {
                    shared.troubles.fails(&what, &words(&error));
                    tokio::time::sleep(pause_after(failures)).await;
                    failures += 1;
                }
            }
        }
    }
}

/// One watch: of the ConfigMaps of one name, in one namespace or in all.
struct One {
    follow: Follow,
    namespace: Option<String>,
    name: String,
    main: bool,
    gate: Gate,
    listed: BTreeSet<ObjectKey>,
}

impl One {
    fn take(&mut self, event: watcher::Event<ConfigMap>) {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let changed = match event {
            Init => {
                self.listed.clear();
                false
            }
            InitApply(object) => {
                self.listed.insert(convert::key(&object.metadata));
                self.apply(object)
            }
            InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.gate.open();
                let Self { namespace, name, .. } = &*self;
                !self.main && self.follow.settings.change(|store| store.keep_only(namespace.as_deref(), name, &listed))
            }
            Apply(object) => self.apply(object),
            Delete(object) => self.delete(&convert::key(&object.metadata)),
        };
        if changed {
            self.follow.shared.wake.notify_one();
        }
    }

    fn apply(&self, object: ConfigMap) -> bool {
        let key = convert::key(&object.metadata);
        let uid = object.metadata.uid.unwrap_or_default();
        let data = object.data.unwrap_or_default();
        // The API server may ignore a field selector it does not know; the name decides.
        if key.name != self.name {
            return false;
        }
        let settings = &self.follow.settings;
        if self.main {
            settings.apply_main(&key, &uid, &data)
        } else {
            settings.change(|store| store.apply(&key, &uid, &data))
        }
    }

    fn delete(&self, key: &ObjectKey) -> bool {
        if self.main {
            tracing::warn!(configmap = %key, "The main ConfigMap was deleted; its values stay in force until a restart");
            return false;
        }
        self.follow.settings.change(|store| store.delete(key))
    }
}
