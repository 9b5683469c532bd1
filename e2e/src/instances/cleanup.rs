//! What an instance leaves is found by its labels and removed.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, ResourceExt as _};
use wva_api::labels;

use crate::wait::{self, Look};

/// Label of every namespace that a run makes in a cluster; its value is the process of the test.
pub const RUN_LABEL: &str = "e2e.llmd.ai/made-by-a-run";

/// How long namespaces may take to go.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks for everything of an instance to go: what has no namespace, then its namespaces with all they hold. Whoever makes
/// a namespace of this name next finds nothing of the id left.
pub(super) async fn remove(client: &Client, id: &str) -> Result<(), kube::Error> {
    let selector = format!("{}={id}", labels::CONTROLLER_INSTANCE);
    let own = ListParams::default().labels(&selector);
    let delete = DeleteParams::background();
    Api::<ClusterRoleBinding>::all(client.clone()).delete_collection(&delete, &own).await?;
    Api::<ClusterRole>::all(client.clone()).delete_collection(&delete, &own).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in namespaces.list(&own.clone().labels(&format!("{selector},{RUN_LABEL}"))).await? {
        namespaces.delete(&namespace.name_any(), &delete).await?;
    }
    Ok(())
}

/// Removes the instances of tests whose process has ended without doing so, such as one that took too long and was killed:
/// they would take the machine from the others.
///
/// # Errors
/// When the cluster does not answer.
pub async fn remove_orphans(client: &Client, is_alive: impl Fn(i32) -> bool) -> Result<(), kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut orphans = BTreeSet::new();
    for namespace in namespaces.list(&ListParams::default().labels(RUN_LABEL)).await? {
        let dead = namespace.labels().get(RUN_LABEL).and_then(|pid| pid.parse().ok()).is_some_and(|pid| !is_alive(pid));
        let ends = namespace.metadata.deletion_timestamp.is_some();
        orphans.extend(namespace.labels().get(labels::CONTROLLER_INSTANCE).filter(|_| dead && !ends).cloned());
    }
    for id in orphans {
        remove(client, &id).await?;
    }
    Ok(())
}

/// Removes what the tests of a run have left, such as those that were killed, and waits until all of it has gone. What
/// no run made stays.
///
/// # Errors
/// When the cluster does not answer, or something does not go; the error names it.
pub async fn sweep(client: &Client) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = ListParams::default().labels(RUN_LABEL);
    let id = |namespace: &Namespace| namespace.labels().get(labels::CONTROLLER_INSTANCE).cloned();
    let ids: BTreeSet<String> = namespaces.list(&made).await?.iter().filter_map(id).collect();
    for id in ids {
        remove(client, &id).await?;
    }
    let gone = wait::until("the namespaces of the run to go", PATIENCE, || async {
        match namespaces.list(&made).await {
            Ok(list) if list.items.is_empty() => Look::Done(()),
            Ok(list) => Look::NotYet(list.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>().join(", ")),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    Ok(gone.await?)
}
