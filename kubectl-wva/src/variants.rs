//! Reading `VariantAutoscaling` objects.

use kube::Api;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, ObjectMeta};
use wva_api::VariantAutoscaling;

use crate::definition;
use crate::session::{self, Session};

/// A variant, or what is known of one that an older CRD let in and our types cannot hold. One such object must not
/// hide all others.
pub type Guarded = DeserializeGuard<VariantAutoscaling>;

/// Label that the chart gives a release's objects.
pub const RELEASE_LABEL: &str = "app.kubernetes.io/instance";

/// Whether an object has this name, or belongs to the release of this name: people know the one they gave to add-model.
pub fn is_named(metadata: &ObjectMeta, name: &str) -> bool {
    metadata.name.as_deref() == Some(name) || release(metadata) == Some(name)
}

/// The release an object was installed with.
pub fn release(metadata: &ObjectMeta) -> Option<&str> {
    metadata.labels.as_ref()?.get(RELEASE_LABEL).map(String::as_str)
}

/// Lists the variants of one namespace, or of all.
///
/// # Errors
/// When the request fails; [`session::Error::NoCrd`] when the cluster does not know the kind, and
/// [`session::Error::OldCrd`] when it knows an early form of it.
pub async fn list(session: &Session, namespace: Option<&str>) -> Result<Vec<Guarded>, session::Error> {
    let api: Api<Guarded> = match namespace {
        Some(namespace) => Api::namespaced(session.client.clone(), namespace),
        None => Api::all(session.client.clone()),
    };
    match session.ask("list variants", api.list(&ListParams::default())).await {
        Ok(list) => {
            // Only what could come from an old definition is worth another request.
            let doubtful = list.items.is_empty() || list.items.iter().any(|guarded| guarded.0.is_err());
            let missing = if doubtful { definition::missing(session).await } else { Vec::new() };
            if missing.is_empty() { Ok(list.items) } else { Err(session.old_crd(missing)) }
        }
        // A list finds nothing only when the kind itself is missing.
        Err(session::Error::NotFound { .. }) => Err(session.no_crd()),
        Err(error) => Err(error),
    }
}
