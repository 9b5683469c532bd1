//! Who follows a variant's number: an HPA, or KEDA's `ScaledObject`, which makes one.

use std::fmt;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use wva_api::ScaleTargetRef;

use crate::readers::lists::{self, Part};
use crate::session::{self, Session};

/// Label of an HPA that KEDA made: its `ScaledObject`.
pub const KEDA: &str = "scaledobject.keda.sh/name";

/// Who follows a number.
#[derive(Clone, Debug)]
pub enum Follower {
    /// An HPA by this name.
    Hpa(String),
    /// A `ScaledObject` by this name.
    ScaledObject(String),
}

impl fmt::Display for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hpa(name) => write!(f, "HPA {name}"),
            Self::ScaledObject(name) => write!(f, "ScaledObject {name}"),
        }
    }
}

/// KEDA's kind, as the API server is asked for it.
pub fn scaled_object() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"), "scaledobjects")
}

/// Lists `ScaledObject`s; none where the kind does not exist.
///
/// # Errors
/// When they cannot be listed, the reason why.
pub async fn scaled_objects(session: &Session, namespace: Option<&str>) -> Part<DynamicObject> {
    all_scaled_objects(session, namespace).await.map_err(|error| error.to_string())
}

async fn all_scaled_objects(session: &Session, namespace: Option<&str>) -> Result<Vec<DynamicObject>, session::Error> {
    let resource = scaled_object();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(session.client.clone(), namespace, &resource),
        None => Api::all_with(session.client.clone(), &resource),
    };
    match session.ask("list ScaledObjects", api.list(&ListParams::default())).await {
        Ok(list) => Ok(list.items),
        Err(session::Error::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Who follows the number of a target in the session's namespace, by name: one, unless something is wrong.
///
/// # Errors
/// When they cannot be listed.
pub async fn of_target(session: &Session, target: &ScaleTargetRef) -> Result<Vec<Follower>, session::Error> {
    let namespace = Some(session.namespace.as_str());
    let hpas: Vec<HorizontalPodAutoscaler> =
        lists::all(session, namespace, "list HPAs", &ListParams::default()).await?;
    let follows = |hpa: &&HorizontalPodAutoscaler| {
        let reference = hpa.spec.as_ref().map(|spec| &spec.scale_target_ref);
        reference.is_some_and(|it| it.kind == target.kind && it.name == target.name)
    };
    let found: Vec<Follower> = hpas
        .iter()
        .filter(follows)
        .map(|hpa| match hpa.labels().get(KEDA) {
            Some(object) => Follower::ScaledObject(object.clone()),
            None => Follower::Hpa(hpa.name_any()),
        })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let names_it = |object: &&DynamicObject| {
        let reference = &object.data["spec"]["scaleTargetRef"];
        reference["name"] == target.name.as_str() && reference["kind"].as_str().unwrap_or("Deployment") == target.kind
    };
    let objects = all_scaled_objects(session, namespace).await?;
    Ok(objects.iter().filter(names_it).map(|object| Follower::ScaledObject(object.name_any())).collect())
}
