//! Writing the status of an object.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};

use super::{cache::Cache, failed::Error, key::Key};

/// Writes an object's status, and waits until the cache shows it: a controller that went on without it would write it
/// again. False if the object is gone, which needs no status.
pub(crate) async fn write<K>(
    client: &Client,
    cache: &Cache<K>,
    kind: &'static str,
    before: &K,
    updated: &K,
) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let key = Key::of(before);
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    match api.replace_status(&key.name, &PostParams::default(), updated).await {
        Ok(written) => {
            cache.wait_for(&written, Some(before)).await;
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(Error::doing("writing the status of", kind, &key)(error)),
    }
}
