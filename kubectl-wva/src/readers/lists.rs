//! Lists of which each may fail without taking the answer with it.

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::session::{self, Session};

/// A part of the answer that may be missing without taking the rest with it; the text says why.
pub type Part<T> = Result<Vec<T>, String>;

/// Lists the objects of one namespace, or of all. `doing` completes the sentence "could not …".
pub async fn list<K>(session: &Session, namespace: Option<&str>, doing: &str, params: &ListParams) -> Part<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    all(session, namespace, doing, params).await.map_err(|error| error.to_string())
}

/// The same where there is no answer without them.
///
/// # Errors
/// When they cannot be listed.
pub async fn all<K>(
    session: &Session,
    namespace: Option<&str>,
    doing: &str,
    params: &ListParams,
) -> Result<Vec<K>, session::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(session.client.clone(), namespace),
        None => Api::all(session.client.clone()),
    };
    Ok(session.ask(doing, api.list(params)).await?.items)
}

/// Reads one object; `None` when there is none.
pub async fn get<K>(session: &Session, namespace: &str, name: &str) -> Result<Option<K>, session::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(session.client.clone(), namespace);
    let doing = format!("read {} {namespace}/{name}", K::kind(&()));
    session.ask(doing, api.get_opt(name)).await
}
