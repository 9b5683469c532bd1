//! Reading `VariantAutoscaling` objects.

use kube::Api;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, ObjectMeta};
use wva_api::VariantAutoscaling;

use crate::Error;
use crate::readers::definition;
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

/// The name by which people know an object: the one given to add-model or helm, else its own.
pub fn shown(metadata: &ObjectMeta) -> &str {
    release(metadata).or(metadata.name.as_deref()).unwrap_or_default()
}

/// The metadata of a variant, whether or not the rest can be read.
pub fn metadata(variant: &Guarded) -> &ObjectMeta {
    match &variant.0 {
        Ok(variant) => &variant.metadata,
        Err(invalid) => &invalid.metadata,
    }
}

/// The variant of this name among those of a namespace.
///
/// # Errors
/// When there is none that can be read.
pub fn named<'a>(listed: &'a [Guarded], name: &str, namespace: &str) -> Result<&'a VariantAutoscaling, Error> {
    let readable = listed.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    let mut found = readable.filter(|variant| is_named(&variant.metadata, name));
    found.next().ok_or_else(|| Error::no_such_variant(name, Some(namespace), listed))
}

/// A text in which the variants of a namespace are called by the names that people know.
pub fn by_known_names(text: &str, namespace: &str, listed: &[Guarded]) -> String {
    let of_namespace = listed.iter().map(metadata).filter(|it| it.namespace.as_deref() == Some(namespace));
    let names = of_namespace.filter_map(|metadata| Some((metadata.name.as_deref()?, release(metadata)?)));
    names.fold(text.to_owned(), |text, (name, release)| text.replace(name, release))
}

/// Lists the variants of one namespace, or of all.
///
/// # Errors
/// When the request fails; [`session::Error::NoCrd`] when the cluster does not know the kind,
/// [`session::Error::OldCrd`] when it knows an early form of it, and [`session::Error::NoNamespace`] when there is no such
/// namespace.
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
            if !missing.is_empty() {
                return Err(session.old_crd(missing));
            }
            // A list of a namespace that does not exist is empty like any other.
            if let (true, Some(namespace)) = (list.items.is_empty(), namespace) {
                session.require_namespace(namespace).await?;
            }
            Ok(list.items)
        }
        // A list finds nothing only when the kind itself is missing.
        Err(session::Error::NotFound { .. }) => Err(session.no_crd()),
        Err(error) => Err(error),
    }
}
