//! Whether pods are bound to nodes in a cluster, and by us where nobody else does it: a bare control plane may have no
//! scheduler.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use kubesim::controllers::Controllers;
use serde_json::json;

use crate::wait::{self, Look, TimedOut};

/// How long a cluster may take to take a pod, and its scheduler to look at it.
const PATIENCE: Duration = Duration::from_secs(15);

/// It cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No pod can be made.
    #[error("making a pod that fits no node, to see whether the cluster has a scheduler: {0}")]
    Refused(#[source] TimedOut),
    /// It cannot be removed.
    #[error("removing pod {pod}, which was made to see whether the cluster has a scheduler: {source}")]
    Remove {
        /// The pod.
        pod: String,
        /// Why not.
        source: kube::Error,
    },
}

/// Starts our scheduler if pods are bound by nobody. It ends when this is dropped.
pub(super) async fn unless_there_is_one(client: &Client) -> Result<Option<Controllers>, Error> {
    let name = format!("wva-e2e-scheduled-{}", std::process::id());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    made(&pods, &name).await?;
    let judged = wait::until("a scheduler to look at a pod", PATIENCE, || async {
        match pods.get(&name).await {
            Ok(pod) if is_judged(&pod) => Look::Done(()),
            Ok(_) => Look::NotYet("nobody has".to_owned()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    let there = judged.await.is_ok();
    let removed = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
    removed.map_err(|source| Error::Remove { pod: name, source })?;
    Ok((!there).then(|| Controllers::start_scheduler(client.clone())))
}

/// Makes a pod that fits no node. The service account that admission asks for may come a moment after its namespace.
async fn made(pods: &Api<Pod>, name: &str) -> Result<(), Error> {
    let made = wait::until("the API server to take a pod", PATIENCE, || async {
        let pod: Pod = match serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": {
                "automountServiceAccountToken": false,
                "nodeSelector": { "wva.llmd.ai/no-such-node": "true" },
                "containers": [{ "name": "none", "image": "localhost/none" }],
            },
        })) {
            Ok(pod) => pod,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        match pods.create(&PostParams::default(), &pod).await {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    made.await.map_err(Error::Refused)
}

/// Whether a scheduler has said of a pod that it fits nowhere.
fn is_judged(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "PodScheduled")
}
