//! The scheduler: gives each pending pod the node that has room for it and is used least.

pub(crate) mod fit;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Binding, Node, ObjectReference, Pod, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{Api, ResourceExt, api::PostParams};
use tracing::{debug, warn};

use self::fit::{Amounts, Obstacle};
use super::{Context, pods};
use crate::machinery::{key::Key, work_queue::Failure};

const NAME: &str = "default-scheduler";

/// What is taken on each node.
#[derive(Default)]
struct Usage {
    by_node: BTreeMap<String, (Amounts, usize)>,
}

impl Usage {
    fn of(pods: &[Arc<Pod>]) -> Self {
        let mut usage = Self::default();
        for pod in pods.iter().filter(|pod| !pods::is_finished(pod)) {
            if let Some(node) = pods::node(pod) {
                usage.take(node, pod);
            }
        }
        usage
    }

    fn take(&mut self, node: &str, pod: &Pod) {
        let (used, count) = self.by_node.entry(node.to_owned()).or_default();
        fit::add(used, &fit::requests(pod));
        *count += 1;
    }

    fn on(&self, node: &str) -> (&Amounts, usize) {
        static NOTHING: Amounts = Amounts::new();
        self.by_node.get(node).map_or((&NOTHING, 0), |(used, count)| (used, *count))
    }
}

/// Runs until dropped. One pass looks at all pending pods, oldest first; whatever changes a pod or a node, freed
/// capacity included, starts another pass.
pub(super) async fn run(ctx: Arc<Context>) {
    let pod_changes = ctx.pods.changes().map(|_| ()).boxed();
    let node_changes = ctx.nodes.changes().map(|_| ()).boxed();
    let mut changes = futures::stream::select(pod_changes, node_changes).ready_chunks(1024);
    let mut patience = FOREVER;
    while !matches!(tokio::time::timeout(patience, changes.next()).await, Ok(None)) {
        patience = if schedule_all(&ctx).await { FOREVER } else { RETRY };
    }
}

/// How long to wait for a change after everything was placed or explained, and after a write that failed.
const FOREVER: Duration = Duration::from_hours(1);
const RETRY: Duration = Duration::from_secs(1);

/// False if a write failed.
async fn schedule_all(ctx: &Context) -> bool {
    let all = ctx.pods.list();
    let mut pending: Vec<&Arc<Pod>> = all.iter().filter(|pod| is_pending(pod)).collect();
    pending.sort_by_key(|pod| (pods::created(pod), pod.name_any()));
    let nodes = ctx.nodes.list();
    let mut usage = Usage::of(&all);
    let mut all_written = true;
    for pod in pending {
        all_written &= match choose(pod, &nodes, &usage) {
            Ok(node) => {
                let bound = bind(ctx, pod, &node).await;
                if bound {
                    usage.take(&node, pod);
                }
                bound
            }
            Err(explanation) => report_unschedulable(ctx, pod, explanation).await,
        }
    }
    all_written
}

fn is_pending(pod: &Pod) -> bool {
    let scheduler = pod.spec.as_ref().and_then(|spec| spec.scheduler_name.as_deref());
    pods::node(pod).is_none() && pods::is_active(pod) && scheduler.is_none_or(|name| name.is_empty() || name == NAME)
}

/// The node with the smallest share in use after placing the pod; by name between equals.
fn choose(pod: &Pod, nodes: &[Arc<Node>], usage: &Usage) -> Result<String, String> {
    let mut best: Option<(i64, String)> = None;
    let mut all_obstacles: Vec<Vec<Obstacle>> = Vec::new();
    for node in nodes {
        let name = node.name_any();
        let (used, count) = usage.on(&name);
        let obstacles = fit::obstacles(pod, node, used, count);
        if obstacles.is_empty() {
            let candidate = (load_permille(pod, node, used, count), name);
            best = Some(best.map_or_else(|| candidate.clone(), |best| best.min(candidate.clone())));
        } else {
            all_obstacles.push(obstacles);
        }
    }
    best.map(|(_, name)| name).ok_or_else(|| fit::explain(&all_obstacles))
}

/// The fullest of the resources the pod asks for, and of pods, in thousandths: spreading pods over nodes.
fn load_permille(pod: &Pod, node: &Node, used: &Amounts, pods_on_node: usize) -> i64 {
    let allocatable = fit::allocatable(node);
    let share = |taken: i64, total: i64| if total > 0 { taken.saturating_mul(1000) / total } else { 0 };
    let pods = i64::try_from(pods_on_node + 1).unwrap_or(i64::MAX).saturating_mul(1000);
    let pods = share(pods, allocatable.get("pods").copied().unwrap_or_default());
    let resources = fit::requests(pod).into_iter().map(|(resource, wanted)| {
        let taken = used.get(&resource).copied().unwrap_or_default() + wanted;
        share(taken, allocatable.get(&resource).copied().unwrap_or_default())
    });
    resources.fold(pods, i64::max)
}

async fn bind(ctx: &Context, pod: &Pod, node: &str) -> bool {
    let namespace = pod.namespace().unwrap_or_default();
    let name = pod.name_any();
    let binding = Binding {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: pod.uid(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Node".into()),
            name: Some(node.into()),
            ..ObjectReference::default()
        },
    };
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &namespace);
    let bound: Result<serde_json::Value, _> =
        api.create_subresource("binding", &name, &PostParams::default(), &binding).await;
    match bound {
        Ok(_) => {
            let message = format!("Successfully assigned {namespace}/{name} to {node}");
            ctx.recorder.named(NAME).normal(pod, "Scheduled", message);
            // Until the cache shows the binding the pod would be scheduled again.
            let placed =
                |seen: Option<&Pod>| seen.is_none_or(|seen| pods::node(seen).is_some() || seen.uid() != pod.uid());
            ctx.pods.wait_until(&Key::of(pod), placed).await
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => false,
        Err(error) if error.is_conflict() => {
            debug!(%namespace, pod = name, %error, "Pod changed while being bound");
            false
        }
        Err(error) => {
            warn!(%namespace, pod = name, %error, "Binding failed");
            false
        }
    }
}

/// Says on the pod why it stays pending; only when that is news.
async fn report_unschedulable(ctx: &Context, pod: &Pod, explanation: String) -> bool {
    let known = pods::condition(pod, "PodScheduled");
    if known.is_some_and(|known| known.status == "False" && known.message.as_deref() == Some(explanation.as_str())) {
        return true;
    }
    let unchanged = known.filter(|known| known.status == "False").and_then(|known| known.last_transition_time.clone());
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(explanation.clone()),
        last_transition_time: Some(unchanged.unwrap_or_else(|| Time(Timestamp::now()))),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    };
    let mut updated = pod.clone();
    let status = updated.status.get_or_insert_with(PodStatus::default);
    status.phase.get_or_insert_with(|| "Pending".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|known| known.type_ != condition.type_);
    conditions.push(condition);
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace().unwrap_or_default());
    match api.replace_status(&pod.name_any(), &PostParams::default(), &updated).await {
        Ok(written) => {
            ctx.recorder.named(NAME).warning(pod, "FailedScheduling", explanation);
            ctx.pods.wait_for(&written, Some(pod)).await
        }
        Err(error) => {
            debug!(pod = pod.name_any(), %error, "PodScheduled condition not written");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, gpus: u32) -> Arc<Node> {
        let value = json!({
            "metadata": {"name": name},
            "status": {
                "allocatable": {"nvidia.com/gpu": gpus.to_string(), "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn pod(name: &str, gpus: u32, node: Option<&str>) -> Arc<Pod> {
        let limits = json!({"nvidia.com/gpu": gpus.to_string()});
        let value = json!({
            "metadata": {"name": name},
            "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"limits": limits}}]},
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_emptier_node_is_chosen_and_the_name_decides_between_equals() {
        let nodes = [node("b", 4), node("a", 4), node("small", 1)];
        let busy = [pod("x", 1, Some("a"))];
        assert_eq!(choose(&pod("p", 1, None), &nodes, &Usage::of(&busy)), Ok("b".to_owned()));
        assert_eq!(choose(&pod("p", 1, None), &nodes, &Usage::default()), Ok("a".to_owned()));
    }

    #[test]
    fn a_full_cluster_is_explained_and_room_returns_with_the_pod_that_goes() {
        let nodes = [node("a", 1), node("b", 1)];
        let full = [pod("x", 1, Some("a")), pod("y", 1, Some("b"))];
        let refused = choose(&pod("p", 1, None), &nodes, &Usage::of(&full));
        assert_eq!(refused, Err("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.".to_owned()));
        assert_eq!(choose(&pod("p", 1, None), &nodes, &Usage::of(&full[..1])), Ok("b".to_owned()));
    }
}
