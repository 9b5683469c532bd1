//! The scale target of an autoscaler, whatever its kind, through its scale subresource.

use std::{collections::HashMap, sync::Mutex};

use k8s_openapi::api::{
    autoscaling::{
        v1::{Scale, ScaleSpec},
        v2::CrossVersionObjectReference,
    },
    core::v1::Pod,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams},
    discovery,
};

use crate::apiserver::LabelSelector;

/// Finds targets; remembers what discovery said.
#[derive(Debug, Default)]
pub(super) struct Targets {
    known: Mutex<HashMap<GroupVersionKind, ApiResource>>,
}

/// A target as it is now.
pub(super) struct Target {
    api: Api<DynamicObject>,
    pub(super) scale: Scale,
}

/// Why there is no such target.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("invalid API version in scale target reference: {0}")]
    Version(String),
    #[error("unable to determine resource for scale target reference: {0}")]
    Kind(#[source] Box<kube::Error>),
    #[error("{0}")]
    Scale(String),
}

impl Targets {
    pub(super) async fn find(
        &self,
        client: &Client,
        namespace: &str,
        reference: &CrossVersionObjectReference,
    ) -> Result<Target, Error> {
        let version = reference.api_version.as_deref().unwrap_or("v1");
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        if version.is_empty() {
            return Err(Error::Version(reference.api_version.clone().unwrap_or_default()));
        }
        let kind = GroupVersionKind::gvk(group, version, &reference.kind);
        let resource = self.resource(client, kind).await?;
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let scale = api.get_scale(&reference.name).await.map_err(|error| match error {
            kube::Error::Api(status) if !status.message.is_empty() => Error::Scale(status.message.clone()),
            other => Error::Scale(other.to_string()),
        })?;
        Ok(Target { api, scale })
    }

    pub(super) async fn resource(&self, client: &Client, kind: GroupVersionKind) -> Result<ApiResource, Error> {
        let known = || self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(resource) = known().get(&kind) {
            return Ok(resource.clone());
        }
        let found = discovery::pinned_kind(client, &kind).await;
        let (resource, _) = found.map_err(|error| Error::Kind(Box::new(error)))?;
        known().insert(kind, resource.clone());
        Ok(resource)
    }
}

impl Target {
    /// Replicas asked for.
    pub(super) fn replicas(&self) -> i32 {
        self.scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default()
    }

    /// Replicas reported.
    pub(super) fn reported(&self) -> i32 {
        self.scale.status.as_ref().map(|status| status.replicas).unwrap_or_default()
    }

    pub(super) fn selector(&self) -> &str {
        self.scale.status.as_ref().and_then(|status| status.selector.as_deref()).unwrap_or_default()
    }

    /// Whether the target says which pods are its own.
    pub(super) fn has_selector(&self) -> bool {
        !self.selector().is_empty()
    }

    /// The target's pods; none without a selector.
    pub(super) fn selects(&self, pod: &Pod) -> bool {
        let selector = self.selector();
        !selector.is_empty() && LabelSelector::parse(selector).is_ok_and(|selector| selector.matches(pod.labels()))
    }

    /// Optimistic: fails with a conflict if somebody else scaled meanwhile.
    pub(super) async fn set(&self, replicas: i32) -> Result<(), kube::Error> {
        let scale = Scale { spec: Some(ScaleSpec { replicas: Some(replicas) }), ..self.scale.clone() };
        let name = self.scale.metadata.name.clone().unwrap_or_default();
        self.api.replace_scale(&name, &PostParams::default(), &scale).await.map(|_| ())
    }
}
