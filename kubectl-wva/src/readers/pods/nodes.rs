//! The nodes that some pods are on, as far as they may be read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;

use super::is_ready;
use crate::session::Session;

/// Most nodes that are asked for.
const MOST: usize = 8;
/// How long a node may take to be read: what is known without it is worth a prompt answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Nodes that do not answer any more, each with why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    lost: BTreeMap<String, String>,
}

impl Nodes {
    /// Reads the nodes of the pods that are not ready. Without the right to, nothing is known of nodes.
    pub async fn gather(session: &Session, pods: impl Iterator<Item = &Pod>) -> Self {
        let node = |pod: &Pod| pod.spec.as_ref()?.node_name.clone().filter(|name| !name.is_empty());
        let names: BTreeSet<String> = pods.filter(|pod| !is_ready(pod)).filter_map(node).collect();
        let api: Api<Node> = Api::all(session.client.clone());
        let read = |name: String| {
            let api = api.clone();
            async move {
                let answer = session.ask(format!("read node {name}"), api.get(&name));
                tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
            }
        };
        Self::of(join_all(names.into_iter().take(MOST).map(read)).await.into_iter().flatten().collect())
    }

    /// Reads what nodes say of themselves.
    pub fn of(nodes: Vec<Node>) -> Self {
        let lost = nodes.into_iter().filter_map(|node| {
            let conditions = node.status?.conditions?;
            let ready = conditions.into_iter().find(|one| one.type_ == "Ready" && one.status != "True")?;
            let why = ready.message.or(ready.reason).unwrap_or_else(|| "it is not ready".to_owned());
            Some((node.metadata.name?, why.trim_end_matches('.').to_owned()))
        });
        Self { lost: lost.collect() }
    }

    /// Why a node is lost; `None` when it answers, or nothing is known of it.
    pub fn lost(&self, name: &str) -> Option<&str> {
        self.lost.get(name).map(String::as_str)
    }
}
