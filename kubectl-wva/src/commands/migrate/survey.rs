//! What there is in the cluster of an earlier release.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};

use super::releases::{self, Release};
use crate::Error;
use crate::readers::definition;
use crate::session::{self, Session};

/// Everything a plan follows from.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// Newest revisions of the releases of our chart.
    pub(super) releases: Vec<Release>,
    /// Fields that the definition lacks.
    pub(super) missing_fields: Vec<String>,
    /// All variants.
    pub(super) variants: Vec<DynamicObject>,
    /// All `HorizontalPodAutoscaler`s.
    pub(super) autoscalers: Vec<DynamicObject>,
    /// All `ScaledObject`s.
    pub(super) scaled_objects: Vec<DynamicObject>,
    /// All `PrometheusRule`s.
    pub(super) rules: Vec<DynamicObject>,
    /// Cluster roles and bindings of our chart.
    pub(super) roles: Vec<DynamicObject>,
    /// `namespace/name` of the `ConfigMap`s that speak of the metrics of 0.4.
    pub(super) config_maps: Vec<String>,
}

/// A kind that a migration touches: group, version, kind, plural.
pub(super) type Kind = (&'static str, &'static str, &'static str, &'static str);

pub(super) const VARIANT: Kind = ("llmd.ai", "v1alpha1", "VariantAutoscaling", "variantautoscalings");
pub(super) const AUTOSCALER: Kind = ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers");
pub(super) const SCALED_OBJECT: Kind = ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects");
pub(super) const RULE: Kind = ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules");
pub(super) const ROLE: Kind = ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles");
pub(super) const BINDING: Kind = ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings");
pub(super) const DEFINITION: Kind =
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");

/// Every kind whose objects a journal keeps.
pub(super) const KINDS: [Kind; 7] = [VARIANT, AUTOSCALER, SCALED_OBJECT, RULE, ROLE, BINDING, DEFINITION];

/// What the series of 0.4 are called by.
pub(super) const OLD_PREFIX: &str = "inferno_";

/// The API of a kind, in a namespace if it has one.
pub(super) fn api(
    session: &Session,
    (group, version, kind, plural): Kind,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(session.client.clone(), namespace, &resource),
        None => Api::all_with(session.client.clone(), &resource),
    }
}

/// Looks.
///
/// # Errors
/// When a kind cannot be listed. One that the cluster does not know has no objects.
pub(super) async fn take(session: &Session) -> Result<Survey, Error> {
    let secrets: Api<Secret> = Api::all(session.client.clone());
    let of_helm = ListParams::default().labels("owner=helm");
    let secrets = session.ask("list the releases of helm", secrets.list(&of_helm)).await?.items;
    let ours = ListParams::default().labels("app.kubernetes.io/name=workload-variant-autoscaler");
    let mut roles = list(session, ROLE, &ours).await?;
    roles.extend(list(session, BINDING, &ours).await?);
    let maps: Api<ConfigMap> = Api::all(session.client.clone());
    let maps = session.ask("list configmaps", maps.list(&ListParams::default())).await?.items;
    let old_names = |map: &ConfigMap| map.data.iter().flatten().any(|(_, text)| text.contains(OLD_PREFIX));
    let all = ListParams::default();
    Ok(Survey {
        releases: releases::newest(&secrets)?,
        missing_fields: definition::missing(session).await,
        variants: list(session, VARIANT, &all).await?,
        autoscalers: list(session, AUTOSCALER, &all).await?,
        scaled_objects: list(session, SCALED_OBJECT, &all).await?,
        rules: list(session, RULE, &all).await?,
        roles,
        config_maps: maps
            .iter()
            .filter(|map| old_names(map))
            .map(|map| format!("{}/{}", map.namespace().unwrap_or_default(), map.name_any()))
            .collect(),
    })
}

async fn list(session: &Session, kind: Kind, params: &ListParams) -> Result<Vec<DynamicObject>, session::Error> {
    match session.ask(format!("list {}", kind.3), api(session, kind, None).list(params)).await {
        Ok(list) => Ok(list.items.into_iter().map(|object| typed(object, kind)).collect()),
        Err(session::Error::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Items of a list do not say what they are.
fn typed(mut object: DynamicObject, (group, version, kind, _): Kind) -> DynamicObject {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    object.types = Some(kube::api::TypeMeta { api_version, kind: kind.to_owned() });
    object
}
