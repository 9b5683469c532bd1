//! Disruption budgets: how many of the pods they cover are healthy, and how many may be evicted.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, Time},
        util::intstr::IntOrString,
    },
};
use kube::{
    Api, ResourceExt,
    api::PostParams,
    core::{Selector, SelectorExt},
};

use super::{
    Context, pods,
    share::{Rounding, resolve},
};
use crate::machinery::{
    key::Key,
    owner,
    work_queue::{self, Failure, Next},
};

/// How long an eviction that was granted counts although the pod is still there.
const GRANTED_SECONDS: i64 = 120;

/// Why a budget's status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing the status of PodDisruptionBudget {0}: {1}")]
pub(crate) struct Error(Key, #[source] kube::Error);

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        self.1.is_conflict()
    }
}

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let budgets = ctx.budgets.clone();
    let of_pods = ctx.pods.changes().flat_map(move |change| {
        let namespace = change.sides().next().and_then(ResourceExt::namespace).unwrap_or_default();
        let keys: Vec<Key> = budgets.in_namespace(&namespace).iter().map(|budget| Key::of(budget.as_ref())).collect();
        stream::iter(keys)
    });
    let triggers = vec![ctx.budgets.keys().boxed(), of_pods.boxed()];
    work_queue::run("disruption", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(budget) = ctx.budgets.get(&key) else { return Ok(Next::OnChange) };
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    let covered: Vec<Arc<Pod>> = ctx
        .pods
        .in_namespace(&key.namespace)
        .into_iter()
        .filter(|pod| selector.as_ref().is_some_and(|selector| selector.matches(pod.labels())))
        .filter(|pod| pods::is_active(pod))
        .collect();
    let status = status(&budget, &covered, wanted_by_owners(&ctx, &key.namespace, &covered), Timestamp::now());
    if budget.status.as_ref() == Some(&status) {
        return Ok(Next::OnChange);
    }
    let mut updated = (*budget).clone();
    updated.status = Some(status);
    let api: Api<PodDisruptionBudget> = Api::namespaced(ctx.client.clone(), &key.namespace);
    match api.replace_status(&key.name, &PostParams::default(), &updated).await {
        Ok(written) => {
            ctx.budgets.wait_for(&written, Some(&budget)).await;
            Ok(Next::OnChange)
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Next::OnChange),
        Err(error) => Err(Error(key, error)),
    }
}

/// How many pods the owners of those covered want together; a pod without one counts for itself.
fn wanted_by_owners(ctx: &Context, namespace: &str, covered: &[Arc<Pod>]) -> i32 {
    let mut owners: BTreeMap<String, i32> = BTreeMap::new();
    for pod in covered {
        let controller = owner::controller_of(&pod.metadata);
        let (uid, wanted) = match controller {
            None => (pod.uid().unwrap_or_default(), 1),
            Some(owner) => {
                let key = Key::new(namespace, &owner.name);
                let replicas = match owner.kind.as_str() {
                    "ReplicaSet" => ctx.replica_sets.get(&key).and_then(|set| set.spec.as_ref()?.replicas),
                    "StatefulSet" => ctx.stateful_sets.get(&key).and_then(|set| set.spec.as_ref()?.replicas),
                    _ => None,
                };
                (owner.uid.clone(), replicas.unwrap_or(1))
            }
        };
        owners.insert(uid, wanted);
    }
    owners.values().sum()
}

fn status(
    budget: &PodDisruptionBudget,
    covered: &[Arc<Pod>],
    wanted: i32,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let spec = budget.spec.clone().unwrap_or_default();
    let known = budget.status.clone().unwrap_or_default();
    let total = i32::try_from(covered.len()).unwrap_or(i32::MAX);
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => (wanted, (wanted - resolve(most, wanted, Rounding::Up)).max(0)),
        (None, Some(least @ IntOrString::Int(_))) => (total, resolve(least, total, Rounding::Up)),
        (None, Some(least)) => (wanted, resolve(least, wanted, Rounding::Up)),
        (None, None) => (total, 0),
    };
    // What was granted a moment ago counts as gone, until it is.
    let granted: BTreeMap<String, Time> = known
        .disrupted_pods
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, since)| {
            let there = covered.iter().any(|pod| pod.name_any() == *name && pod.metadata.deletion_timestamp.is_none());
            there && now.as_second() - since.0.as_second() < GRANTED_SECONDS
        })
        .collect();
    let is_healthy = |pod: &&Arc<Pod>| {
        pod.metadata.deletion_timestamp.is_none() && pods::is_ready(pod) && !granted.contains_key(&pod.name_any())
    };
    let healthy = i32::try_from(covered.iter().filter(is_healthy).count()).unwrap_or(i32::MAX);
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let (state, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = known.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionAllowed");
    let since = before.filter(|before| before.status == state).map(|before| before.last_transition_time.clone());
    PodDisruptionBudgetStatus {
        conditions: Some(vec![Condition {
            type_: "DisruptionAllowed".to_owned(),
            status: state.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            observed_generation: budget.metadata.generation,
            last_transition_time: since.unwrap_or_else(|| Time(Timestamp::from_second(now.as_second()).unwrap_or(now))),
        }]),
        current_healthy: healthy,
        desired_healthy: desired,
        disrupted_pods: (!granted.is_empty()).then_some(granted),
        disruptions_allowed: allowed,
        expected_pods: expected,
        observed_generation: budget.metadata.generation,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ready: bool) -> Arc<Pod> {
        let ready = if ready { "True" } else { "False" };
        let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]});
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).unwrap())
    }

    #[rstest]
    #[case::count(json!({"minAvailable": 1}), 2, 1, 1)]
    #[case::share(json!({"minAvailable": "50%"}), 3, 2, 0)]
    #[case::unavailable(json!({"maxUnavailable": 1}), 3, 2, 0)]
    #[case::all(json!({"maxUnavailable": "100%"}), 3, 0, 2)]
    fn a_budget_allows_what_leaves_enough(
        #[case] spec: Value,
        #[case] wanted: i32,
        #[case] desired: i32,
        #[case] allowed: i32,
    ) {
        let budget: PodDisruptionBudget = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let covered = [pod("a", true), pod("b", true), pod("c", false)];
        let status = status(&budget, &covered, wanted, Timestamp::UNIX_EPOCH);
        assert_eq!((status.current_healthy, status.desired_healthy, status.disruptions_allowed), (2, desired, allowed));
    }
}
