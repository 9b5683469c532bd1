//! The volumes of a pod as directories of this machine.
//!
//! Contents are written once, when the pod starts; only service account tokens are renewed while it runs.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume, VolumeMount, VolumeProjection,
};

use super::{
    downward::Facts,
    mount_namespace::Mount,
    sources::{Data, Kind, Sources},
};

/// Where every container finds its service account, mounted or not.
pub(super) const SERVICE_ACCOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Why a volume could not be set up; the pod waits until it can.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {} \"{name}\" not found", kind.noun())]
    NoObject { volume: String, kind: Kind, name: String },
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : references non-existent key: {key}")]
    NoKey { volume: String, key: String },
    #[error(
        "volume \"{0}\" is of a kind that is not supported; use configMap, secret, emptyDir, hostPath, projected or downwardAPI"
    )]
    Unsupported(String),
    #[error("writing volume \"{volume}\" to {}: {source}", path.display())]
    Write { volume: String, path: PathBuf, source: io::Error },
}

/// The files of one volume by relative path.
type Files = BTreeMap<String, Vec<u8>>;

/// What a volume is on this machine.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Files(Files),
    /// A directory that is there already.
    HostPath(PathBuf),
}

/// Writes all volumes below `directory`; returns where each is. `account` is the directory of the pod's service
/// account: projected tokens are copies of the one there.
pub(super) fn materialise(
    spec: &PodSpec,
    facts: &Facts<'_>,
    sources: &Sources,
    account: &Path,
    directory: &Path,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut places = BTreeMap::new();
    for volume in spec.volumes.iter().flatten() {
        // The volume the API server adds for the service account is the directory that is there anyway, and there the
        // token is renewed.
        let place = if is_account(volume) {
            account.to_owned()
        } else {
            match content(volume, facts, sources, account)? {
                Content::HostPath(path) => path,
                Content::Files(files) => write(volume, &directory.join(&volume.name), files)?,
            }
        };
        places.insert(volume.name.clone(), place);
    }
    Ok(places)
}

fn write(volume: &Volume, place: &Path, files: Files) -> Result<PathBuf, Error> {
    let failed = |path: &Path, source| Error::Write { volume: volume.name.clone(), path: path.to_owned(), source };
    std::fs::create_dir_all(place).map_err(|error| failed(place, error))?;
    for (name, content) in files {
        let path = place.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        std::fs::write(&path, content).map_err(|error| failed(&path, error))?;
    }
    Ok(place.to_owned())
}

/// A projected volume that holds a token and the cluster's certificate.
fn is_account(volume: &Volume) -> bool {
    let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    volume.name.starts_with("kube-api-access-")
        && sources.into_iter().any(|source| source.service_account_token.is_some())
}

fn content(volume: &Volume, facts: &Facts<'_>, sources: &Sources, account: &Path) -> Result<Content, Error> {
    if volume.empty_dir.is_some() || volume.ephemeral.is_some() {
        return Ok(Content::Files(Files::new()));
    }
    if let Some(host) = &volume.host_path {
        return Ok(Content::HostPath(PathBuf::from(&host.path)));
    }
    if let Some(map) = &volume.config_map {
        let data = find(volume, sources, Kind::ConfigMap, &map.name, map.optional)?;
        return Ok(Content::Files(pick(volume, data, map.items.as_deref(), map.optional)?));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let data = find(volume, sources, Kind::Secret, name, secret.optional)?;
        return Ok(Content::Files(pick(volume, data, secret.items.as_deref(), secret.optional)?));
    }
    if let Some(downward) = &volume.downward_api {
        return Ok(Content::Files(downward_files(downward.items.as_deref().unwrap_or_default(), facts)));
    }
    let Some(projected) = &volume.projected else { return Err(Error::Unsupported(volume.name.clone())) };
    let mut files = Files::new();
    for source in projected.sources.iter().flatten() {
        files.extend(projection(volume, source, facts, sources, account)?);
    }
    Ok(Content::Files(files))
}

fn projection(
    volume: &Volume,
    source: &VolumeProjection,
    facts: &Facts<'_>,
    sources: &Sources,
    account: &Path,
) -> Result<Files, Error> {
    if let Some(map) = &source.config_map {
        let data = find(volume, sources, Kind::ConfigMap, &map.name, map.optional)?;
        return pick(volume, data, map.items.as_deref(), map.optional);
    }
    if let Some(secret) = &source.secret {
        let data = find(volume, sources, Kind::Secret, &secret.name, secret.optional)?;
        return pick(volume, data, secret.items.as_deref(), secret.optional);
    }
    if let Some(downward) = &source.downward_api {
        return Ok(downward_files(downward.items.as_deref().unwrap_or_default(), facts));
    }
    if let Some(token) = &source.service_account_token {
        let path = account.join("token");
        let content =
            std::fs::read(&path).map_err(|source| Error::Write { volume: volume.name.clone(), path, source })?;
        return Ok(Files::from([(token.path.clone(), content)]));
    }
    Err(Error::Unsupported(volume.name.clone()))
}

/// The object's data, nothing if it is optional and missing.
fn find(volume: &Volume, sources: &Sources, kind: Kind, name: &str, optional: Option<bool>) -> Result<Data, Error> {
    match sources.get(kind, name) {
        Some(data) => Ok(data.clone()),
        None if optional == Some(true) => Ok(Data::new()),
        None => Err(Error::NoObject { volume: volume.name.clone(), kind, name: name.to_owned() }),
    }
}

/// All keys as files, or the listed ones under their own paths.
fn pick(volume: &Volume, mut data: Data, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<Files, Error> {
    let Some(items) = items else { return Ok(data) };
    let mut files = Files::new();
    for item in items {
        match data.remove(&item.key) {
            Some(content) => {
                files.insert(item.path.clone(), content);
            }
            None if optional == Some(true) => {}
            None => return Err(Error::NoKey { volume: volume.name.clone(), key: item.key.clone() }),
        }
    }
    Ok(files)
}

fn downward_files(items: &[DownwardAPIVolumeFile], facts: &Facts<'_>) -> Files {
    let value = |item: &DownwardAPIVolumeFile| {
        let field = item.field_ref.as_ref().and_then(|field| facts.field(&field.field_path));
        field.or_else(|| facts.resource(item.resource_field_ref.as_ref()?, None)).unwrap_or_default()
    };
    items.iter().map(|item| (item.path.clone(), value(item).into_bytes())).collect()
}

/// What a container mounts, and where. The API server adds the service account to it.
pub(super) fn mounts(container: &Container, places: &BTreeMap<String, PathBuf>) -> Vec<Mount> {
    let mount = |mount: &VolumeMount| {
        let place = places.get(&mount.name)?;
        Some(Mount {
            source: mount.sub_path.as_ref().map_or_else(|| place.clone(), |path| place.join(path)),
            target: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only == Some(true),
        })
    };
    let mut mounts: Vec<Mount> = container.volume_mounts.iter().flatten().filter_map(mount).collect();
    // One inside another comes after it.
    mounts.sort_by_key(|mount| mount.target.components().count());
    mounts
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::*;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        let data = BTreeMap::from([("a.yaml".to_owned(), b"A".to_vec()), ("b.yaml".to_owned(), b"B".to_vec())]);
        sources.insert(Kind::ConfigMap, "settings".into(), Some(data));
        sources
    }

    fn written(volume: &Value, directory: &Path) -> Result<BTreeMap<String, PathBuf>, Error> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "labels": {"app": "web"}},
            "spec": {"containers": [], "volumes": [volume]},
        }))
        .unwrap();
        let facts = Facts {
            pod: &pod,
            pod_ip: Ipv4Addr::LOCALHOST,
            host_ip: Ipv4Addr::LOCALHOST,
            allocatable: &BTreeMap::new(),
        };
        let account = directory.join("account");
        std::fs::create_dir_all(&account).unwrap();
        std::fs::write(account.join("token"), "t0ken").unwrap();
        materialise(pod.spec.as_ref().unwrap(), &facts, &sources(), &account, &directory.join("volumes"))
    }

    #[test]
    fn a_config_map_becomes_a_directory_of_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let places = written(&json!({"name": "v", "configMap": {"name": "settings"}}), dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(places["v"].join("a.yaml")).unwrap(), "A");
        assert_eq!(std::fs::read_to_string(places["v"].join("b.yaml")).unwrap(), "B");
    }

    #[test]
    fn items_choose_and_rename_and_a_missing_key_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let volume = |key: &str| json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": key, "path": "sub/x"}]}});
        let places = written(&volume("a.yaml"), dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(places["v"].join("sub/x")).unwrap(), "A");
        assert!(!places["v"].join("b.yaml").exists());
        assert!(matches!(written(&volume("none"), dir.path()), Err(Error::NoKey { .. })));
    }

    #[test]
    fn a_projected_volume_unites_its_sources() {
        let dir = tempfile::tempdir().unwrap();
        let volume = json!({"name": "v", "projected": {"sources": [
            {"configMap": {"name": "settings"}},
            {"serviceAccountToken": {"path": "token"}},
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        ]}});
        let places = written(&volume, dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(places["v"].join("token")).unwrap(), "t0ken");
        assert_eq!(std::fs::read_to_string(places["v"].join("labels")).unwrap(), "app=\"web\"\n");
    }

    #[test]
    fn a_missing_secret_names_volume_and_secret() {
        let dir = tempfile::tempdir().unwrap();
        let error = written(&json!({"name": "tls", "secret": {"secretName": "cert"}}), dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "MountVolume.SetUp failed for volume \"tls\" : secret \"cert\" not found");
    }
}
