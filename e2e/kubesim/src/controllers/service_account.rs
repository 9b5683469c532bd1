//! Every namespace has a service account named `default`.

use std::sync::Arc;

use futures::{StreamExt, stream};
use k8s_openapi::{api::core::v1::ServiceAccount, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, ResourceExt, api::PostParams};

use super::Context;
use crate::machinery::{
    key::Key,
    work_queue::{self, Failure, Next},
};

const DEFAULT: &str = "default";

/// Why an account could not be created.
#[derive(Debug, thiserror::Error)]
#[error("creating service account {0}: {1}")]
pub(crate) struct Error(Key, #[source] kube::Error);

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        self.1.is_conflict()
    }
}

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let of_namespaces = ctx.namespaces.keys().map(|key| Key::new(&key.name, DEFAULT));
    let of_accounts = ctx.accounts.changes().flat_map(|change| {
        let gone = change.old.filter(|_| change.new.is_none()).filter(|account| account.name_any() == DEFAULT);
        stream::iter(gone.map(|account| Key::of(account.as_ref())))
    });
    let triggers = vec![of_namespaces.boxed(), of_accounts.boxed()];
    work_queue::run("serviceaccount", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let namespace = ctx.namespaces.get(&Key::new("", &key.namespace));
    let stays = namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none());
    if !stays || ctx.accounts.get(&key).is_some() {
        return Ok(Next::OnChange);
    }
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    let api: Api<ServiceAccount> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.create(&PostParams::default(), &account).await {
        Ok(created) => {
            ctx.accounts.wait_until(&Key::of(&created), |seen| seen.is_some()).await;
            Ok(Next::OnChange)
        }
        Err(kube::Error::Api(status))
            if status.is_already_exists() || status.is_not_found() || status.is_forbidden() =>
        {
            Ok(Next::OnChange)
        }
        Err(error) => Err(Error(key, error)),
    }
}
