//! Disruption budgets: whether a pod may be evicted now.

use serde_json::{Value, json};

use super::clock;
use super::failure::Failure;
use super::scale::serialised_selector;
use super::selector::Selector;
use super::state::{Call, State};
use super::store::{GroupResource, Key};

impl State {
    /// Counts the eviction of `pod` against its budget, or refuses it.
    pub(super) fn spend_budget(&mut self, call: &Call, pod: &Value) -> Result<(), Failure> {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
        if over || pod["metadata"].get("deletionTimestamp").is_some() {
            return Ok(());
        }
        let resource = GroupResource::new("policy", "poddisruptionbudgets");
        let mut budgets: Vec<(Key, Value)> = self
            .store
            .list(&resource, Some(&call.target.namespace))
            .filter(|(_, budget)| covers(budget, pod))
            .map(|(key, budget)| (key.clone(), (**budget).clone()))
            .collect();
        if budgets.len() > 1 {
            let message =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Failure::new(500, "InternalError", message));
        }
        let Some((key, mut budget)) = budgets.pop() else { return Ok(()) };
        let status = &budget["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or_default();
        let (allowed, healthy, desired) =
            (number("disruptionsAllowed"), number("currentHealthy"), number("desiredHealthy"));
        let always = budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if !is_ready(pod) && (always || desired > 0 && healthy >= desired) {
            return Ok(());
        }
        let refused = |message: String| {
            let text = "Cannot evict pod as it would violate the pod's disruption budget.";
            Failure::new(429, "TooManyRequests", text).with_cause("DisruptionBudget", "", &message)
        };
        if number("observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or_default() {
            return Err(refused(format!("The disruption budget {} is still being processed by the server.", key.name)));
        }
        if allowed <= 0 {
            let needs =
                format!("The disruption budget {} needs {desired} healthy pods and has {healthy} currently", key.name);
            return Err(refused(needs));
        }
        if !call.query.dry_run() {
            budget["status"]["disruptionsAllowed"] = json!(allowed - 1);
            if !budget["status"]["disruptedPods"].is_object() {
                budget["status"]["disruptedPods"] = json!({});
            }
            budget["status"]["disruptedPods"][name] = json!(clock::now());
            self.store.put(&resource, key, budget);
        }
        Ok(())
    }
}

fn covers(budget: &Value, pod: &Value) -> bool {
    let selector = &budget["spec"]["selector"];
    if !selector.is_object() {
        return false;
    }
    Selector::parse(Some(&serialised_selector(selector)), None, "", "", None).is_ok_and(|found| found.matches(pod))
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
