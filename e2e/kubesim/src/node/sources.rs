//! The ConfigMaps and Secrets a pod refers to, read before anything is made of them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, Secret, Volume};
use kube::{Api, Client};

/// Contents by object name; `None` for one that does not exist.
#[derive(Debug, Default)]
pub(super) struct Sources {
    config_maps: BTreeMap<String, Option<Data>>,
    secrets: BTreeMap<String, Option<Data>>,
}

/// Keys and their contents.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

/// The kind of object a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    /// As the kubelet's messages write it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// A server that could not be asked, as opposed to an object that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("reading {} {namespace}/{name}: {source}", kind.noun())]
pub(super) struct Error {
    kind: Kind,
    namespace: String,
    name: String,
    source: kube::Error,
}

impl Sources {
    pub(super) async fn read(client: &Client, namespace: &str, names: BTreeSet<(Kind, String)>) -> Result<Self, Error> {
        let mut sources = Self::default();
        for (kind, name) in names {
            let failed = |source| Error { kind, namespace: namespace.to_owned(), name: name.clone(), source };
            let data = match kind {
                Kind::ConfigMap => {
                    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
                    api.get_opt(&name).await.map_err(failed)?.map(config_map_data)
                }
                Kind::Secret => {
                    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
                    api.get_opt(&name).await.map_err(failed)?.map(secret_data)
                }
            };
            sources.insert(kind, name, data);
        }
        Ok(sources)
    }

    pub(super) fn insert(&mut self, kind: Kind, name: String, data: Option<Data>) {
        match kind {
            Kind::ConfigMap => self.config_maps.insert(name, data),
            Kind::Secret => self.secrets.insert(name, data),
        };
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<&Data> {
        let objects = match kind {
            Kind::ConfigMap => &self.config_maps,
            Kind::Secret => &self.secrets,
        };
        objects.get(name)?.as_ref()
    }
}

fn config_map_data(map: ConfigMap) -> Data {
    let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    let binary = map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
    text.chain(binary).collect()
}

fn secret_data(secret: Secret) -> Data {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}

/// What the env of a container refers to.
pub(super) fn of_env(container: &Container) -> BTreeSet<(Kind, String)> {
    let from_values = container.env.iter().flatten().filter_map(|env| {
        let source = env.value_from.as_ref()?;
        let config_map = source.config_map_key_ref.as_ref().map(|key| (Kind::ConfigMap, key.name.clone()));
        config_map.or_else(|| source.secret_key_ref.as_ref().map(|key| (Kind::Secret, key.name.clone())))
    });
    let from_whole = container.env_from.iter().flatten().filter_map(|source| {
        let config_map = source.config_map_ref.as_ref().map(|map| (Kind::ConfigMap, map.name.clone()));
        config_map.or_else(|| source.secret_ref.as_ref().map(|secret| (Kind::Secret, secret.name.clone())))
    });
    from_values.chain(from_whole).collect()
}

/// What the volumes of a pod refer to.
pub(super) fn of_volumes(spec: &PodSpec) -> BTreeSet<(Kind, String)> {
    spec.volumes.iter().flatten().flat_map(of_volume).collect()
}

fn of_volume(volume: &Volume) -> Vec<(Kind, String)> {
    let mut names = Vec::new();
    names.extend(volume.config_map.as_ref().map(|map| (Kind::ConfigMap, map.name.clone())));
    names.extend(volume.secret.as_ref().and_then(|secret| Some((Kind::Secret, secret.secret_name.clone()?))));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        names.extend(source.config_map.as_ref().map(|map| (Kind::ConfigMap, map.name.clone())));
        names.extend(source.secret.as_ref().map(|secret| (Kind::Secret, secret.name.clone())));
    }
    names
}
