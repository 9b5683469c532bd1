//! The scale subresource: reading and setting replicas of whatever kind has it.
//!
//! The resource behind an API version and kind is asked of the API server once and remembered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use k8s_openapi::api::autoscaling::v1::Scale as ApiScale;
use k8s_openapi::api::core::v1::PodSpec;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersion};
use kube::{Api, Client};
use serde_json::{Value, json};
use wva_engine::vllm::ServerArguments;

use super::index::{ObjectKey, Scale, TargetKind, workload};
use super::selector::{self, Selector};
use crate::api_error;
use crate::lock::lock;

/// A kind cannot be scaled, or the API server did not say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server does not serve the kind.
    #[error(
        "Kind {0} is not served by this cluster; install its CustomResourceDefinition or correct spec.scaleTargetRef"
    )]
    NotServed(TargetKind),
    /// The kind has no scale subresource.
    #[error("Kind {0} has no scale subresource, so its replicas cannot be set; correct spec.scaleTargetRef")]
    NotScalable(TargetKind),
    /// Others wrote each time in between.
    #[error("others kept changing it while it was written")]
    Conflicts,
    /// The API server did not do as asked.
    #[error("{}", api_error::words(.0))]
    Api(#[from] kube::Error),
}

/// What became of waking a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// It went from zero to one.
    Up,
    /// It had so many replicas already.
    AlreadyAt(i32),
}

/// What became of putting a target to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// It went to zero.
    Down {
        /// From so many replicas.
        from: i32,
    },
    /// It had none already.
    Already,
    /// Others scaled it up meanwhile, or it is no longer to sleep.
    Overtaken,
}

/// Attempts at one write that others get in the way of.
const ATTEMPTS: u32 = 5;

/// Reads replicas, and sets them.
pub struct Scales {
    client: Client,
    kinds: Mutex<HashMap<TargetKind, ApiResource>>,
}

impl Scales {
    /// Asks through this client.
    pub fn new(client: Client) -> Self {
        Self { client, kinds: Mutex::default() }
    }

    /// The resource of a kind.
    ///
    /// # Errors
    /// When it is not served, cannot be scaled, or the API server does not answer.
    pub async fn resource(&self, kind: &TargetKind) -> Result<ApiResource, Error> {
        if let Some(known) = lock(&self.kinds).get(kind) {
            return Ok(known.clone());
        }
        let resource = self.discover(kind).await?;
        lock(&self.kinds).insert(kind.clone(), resource.clone());
        Ok(resource)
    }

    async fn discover(&self, kind: &TargetKind) -> Result<ApiResource, Error> {
        let version: GroupVersion = kind.api_version.parse().map_err(|_| Error::NotServed(kind.clone()))?;
        let served = if version.group.is_empty() {
            self.client.list_core_api_resources(&version.version).await
        } else {
            self.client.list_api_group_resources(&version.api_version()).await
        };
        let served = match served {
            Ok(served) => served.resources,
            Err(error) if api_error::code(&error) == Some(404) => return Err(Error::NotServed(kind.clone())),
            Err(error) => return Err(error.into()),
        };
        let Some(resource) = served.iter().find(|it| it.kind == kind.kind && !it.name.contains('/')) else {
            return Err(Error::NotServed(kind.clone()));
        };
        let scale = format!("{}/scale", resource.name);
        if !served.iter().any(|it| it.name == scale) {
            return Err(Error::NotScalable(kind.clone()));
        }
        Ok(ApiResource {
            api_version: version.api_version(),
            group: version.group,
            version: version.version,
            kind: kind.kind.clone(),
            plural: resource.name.clone(),
        })
    }

    /// Reads a target; `None` when it does not exist.
    ///
    /// # Errors
    /// When its kind cannot be scaled or the API server does not answer.
    pub async fn read(&self, kind: &TargetKind, object: &ObjectKey) -> Result<Option<Scale>, Error> {
        let api = self.api(kind, object).await?;
        let both = futures::try_join!(api.get_opt(&object.name), opt(api.get_scale(&object.name)))?;
        let (Some(found), Some(scale)) = both else { return Ok(None) };
        Ok(Some(record(&found, scale)))
    }

    /// Sets one replica where there is none. A number above zero is left as it is, whoever wrote it. `manager` is the
    /// field manager.
    ///
    /// # Errors
    /// When its kind cannot be scaled, the API server does not do it, or others keep getting in between.
    pub async fn wake(&self, kind: &TargetKind, object: &ObjectKey, manager: &str) -> Result<Woken, Error> {
        let api = self.api(kind, object).await?;
        for _ in 0..ATTEMPTS {
            let found = api.get_scale(&object.name).await?;
            let replicas = found.spec.and_then(|spec| spec.replicas).unwrap_or(0);
            if replicas > 0 {
                return Ok(Woken::AlreadyAt(replicas));
            }
            match set(&api, object, found.metadata.resource_version, 1, manager).await {
                Ok(()) => return Ok(Woken::Up),
                Err(error) if api_error::code(&error) == Some(409) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflicts)
    }

    /// Sets no replicas, where there are no more than `at_most` and it is `still` wanted. `manager` is the field manager.
    ///
    /// # Errors
    /// When its kind cannot be scaled, the API server does not do it, or others keep getting in between.
    pub async fn sleep(
        &self,
        kind: &TargetKind,
        object: &ObjectKey,
        manager: &str,
        at_most: u32,
        still: impl Fn() -> bool,
    ) -> Result<Slept, Error> {
        let api = self.api(kind, object).await?;
        for _ in 0..ATTEMPTS {
            let found = api.get_scale(&object.name).await?;
            let replicas = found.spec.and_then(|spec| spec.replicas).unwrap_or(0);
            if replicas <= 0 {
                return Ok(Slept::Already);
            }
            if i64::from(replicas) > i64::from(at_most) || !still() {
                return Ok(Slept::Overtaken);
            }
            match set(&api, object, found.metadata.resource_version, 0, manager).await {
                Ok(()) => return Ok(Slept::Down { from: replicas }),
                Err(error) if api_error::code(&error) == Some(409) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflicts)
    }

    async fn api(&self, kind: &TargetKind, object: &ObjectKey) -> Result<Api<DynamicObject>, Error> {
        let resource = self.resource(kind).await?;
        Ok(Api::namespaced_with(self.client.clone(), &object.namespace, &resource))
    }
}

/// Sets replicas over the version that was read: whoever scaled in between knew something this process does not.
async fn set(
    api: &Api<DynamicObject>,
    object: &ObjectKey,
    version: Option<String>,
    replicas: u32,
    manager: &str,
) -> Result<(), kube::Error> {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let write = json!({ "metadata": { "resourceVersion": version }, "spec": { "replicas": replicas } });
    api.patch_scale(&object.name, &params, &Patch::Merge(write)).await.map(|_| ())
}

/// Not found is an answer.
async fn opt<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<Option<T>, kube::Error> {
    match answer.await {
        Ok(found) => Ok(Some(found)),
        Err(error) if api_error::code(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn record(object: &DynamicObject, scale: ApiScale) -> Scale {
    let count = |replicas: Option<i32>| replicas.and_then(|replicas| u32::try_from(replicas).ok());
    let status = scale.status.unwrap_or_default();
    let text = status.selector.unwrap_or_default();
    let pods = selector::parse(&text).unwrap_or_else(|error| {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        tracing::warn!(name, %error, "The selector of a scale subresource cannot be read; its pods stay unknown");
        Selector::default()
    });
    // An empty selector selects everything, but a kind that names none does not mean that.
    let pods = Some(pods).filter(|pods| !pods.is_empty());
    let Template { accelerator, gpus_per_replica, server } = template(&object.data);
    let pod_labels = pod_labels(&object.data);
    Scale {
        uid: object.metadata.uid.clone().unwrap_or_default(),
        deleting: object.metadata.deletion_timestamp.is_some(),
        spec_replicas: count(scale.spec.and_then(|spec| spec.replicas)).unwrap_or(0),
        status_replicas: count(Some(status.replicas)).unwrap_or(0),
        pods,
        pod_labels,
        accelerator,
        gpus_per_replica,
        server,
    }
}

/// Labels of the pods a gateway would send requests to: those of the one template, or of a group's leader.
fn pod_labels(object: &Value) -> BTreeMap<String, String> {
    let templates = [
        "/spec/template/metadata/labels",
        "/spec/leaderWorkerTemplate/leaderTemplate/metadata/labels",
        "/spec/leaderWorkerTemplate/workerTemplate/metadata/labels",
    ];
    let labels = templates.iter().find_map(|path| object.pointer(path));
    labels.and_then(|labels| serde_json::from_value(labels.clone()).ok()).unwrap_or_default()
}

/// What the pod template of a target says of one replica.
struct Template {
    accelerator: Option<String>,
    gpus_per_replica: u32,
    server: Option<ServerArguments>,
}

/// Reads the pod templates of the kinds that are known to have some.
fn template(object: &Value) -> Template {
    let template = |path: &str| {
        let spec = object.pointer(path)?.pointer("/spec")?;
        serde_json::from_value::<PodSpec>(spec.clone()).ok()
    };
    if let Some(template) = template("/spec/template") {
        return Template {
            accelerator: workload::accelerator(&template),
            gpus_per_replica: workload::gpus_per_replica(&template),
            server: Some(workload::server(&template)),
        };
    }
    // A LeaderWorkerSet: one replica is a group of one leader and the workers.
    let Some(worker) = template("/spec/leaderWorkerTemplate/workerTemplate") else {
        return Template { accelerator: None, gpus_per_replica: 1, server: None };
    };
    let leader = template("/spec/leaderWorkerTemplate/leaderTemplate").unwrap_or_else(|| worker.clone());
    let size = object.pointer("/spec/leaderWorkerTemplate/size").and_then(Value::as_u64).unwrap_or(1).max(1);
    let workers = u32::try_from(size - 1).unwrap_or(0);
    let gpus = workload::gpus_of_pod(&leader).saturating_add(workload::gpus_of_pod(&worker).saturating_mul(workers));
    Template {
        accelerator: workload::accelerator(&leader).or_else(|| workload::accelerator(&worker)),
        gpus_per_replica: gpus.max(1),
        // The leader answers requests; the workers compute what it tells them.
        server: Some(workload::server(&leader)),
    }
}
