//! Quotas of a namespace: what is used of them, and what a new object would use beyond them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::Failure;
use super::state::{Call, State};
use super::store::{GroupResource, Key};
use super::validation::amount;
use crate::machinery::quantity;

/// Amounts in thousandths, by name of what is limited.
type Usage = BTreeMap<String, i64>;

impl State {
    /// Refuses a new object that the namespace has no room for.
    pub(super) fn check_quota(&self, call: &Call, object: &Value) -> Result<(), Failure> {
        let namespace = &call.target.namespace;
        for (key, quota) in self.store.list(&quotas(), Some(namespace)) {
            let hard = limits(quota);
            let asked = usage_of(call.stored_as(), object);
            let asked: Usage =
                asked.into_iter().filter(|(name, amount)| *amount > 0 && hard.contains_key(name)).collect();
            if asked.is_empty() {
                continue;
            }
            let used = self.usage(namespace, &hard);
            let beyond = |name: &String| used.get(name).copied().unwrap_or_default() + asked[name] > hard[name];
            let exceeded: Vec<&String> = asked.keys().filter(|name| beyond(name)).collect();
            if exceeded.is_empty() {
                continue;
            }
            let list = |amounts: &Usage| {
                let parts = exceeded.iter().map(|name| {
                    let amount = amounts.get(*name).copied().unwrap_or_default();
                    format!("{name}={}", quantity::from_milli(amount).0)
                });
                parts.collect::<Vec<_>>().join(",")
            };
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                key.name,
                list(&asked),
                list(&used),
                list(&hard)
            );
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(Failure::forbidden(&call.resource.group, &call.resource.plural, name, &why));
        }
        Ok(())
    }

    /// Writes what is used into the status of each quota of a namespace.
    pub(super) fn count_quotas(&mut self, namespace: &str) {
        let quotas = quotas();
        let stale: Vec<(Key, Value)> = self
            .store
            .list(&quotas, Some(namespace))
            .filter_map(|(key, quota)| {
                let hard = limits(quota);
                let used = self.usage(namespace, &hard);
                let shown = |amount: i64| quantity::from_milli(amount).0;
                let used: Value = hard
                    .keys()
                    .map(|name| (name.clone(), json!(shown(used.get(name).copied().unwrap_or_default()))))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                let status = json!({"hard": quota["spec"]["hard"], "used": used});
                (quota["status"] != status).then(|| {
                    let mut counted = (**quota).clone();
                    counted["status"] = status;
                    (key.clone(), counted)
                })
            })
            .collect();
        for (key, quota) in stale {
            self.store.put(&quotas, key, quota);
        }
    }

    /// Whether a namespace has quotas at all.
    pub(super) fn has_quota(&self, namespace: &str) -> bool {
        !namespace.is_empty() && self.store.list(&quotas(), Some(namespace)).next().is_some()
    }

    fn usage(&self, namespace: &str, hard: &Usage) -> Usage {
        let mut usage = Usage::new();
        for resource in self.store.resources() {
            for (_, object) in self.store.list(resource, Some(namespace)) {
                for (name, amount) in usage_of(resource, object) {
                    if hard.contains_key(&name) {
                        *usage.entry(name).or_default() += amount;
                    }
                }
            }
        }
        usage
    }
}

fn quotas() -> GroupResource {
    GroupResource::new("", "resourcequotas")
}

fn limits(quota: &Value) -> Usage {
    let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
    hard.filter_map(|(name, value)| Some((name.clone(), amount(value)?))).collect()
}

/// What one object uses: itself, and what its containers ask for.
fn usage_of(resource: &GroupResource, object: &Value) -> Usage {
    let mut usage = Usage::new();
    let dot = if resource.group.is_empty() { "" } else { "." };
    usage.insert(format!("count/{}{dot}{}", resource.plural, resource.group), 1000);
    if resource.group.is_empty() {
        usage.insert(resource.plural.clone(), 1000);
    }
    if resource.group.is_empty() && resource.plural == "pods" {
        if matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
            usage.remove("pods");
            return usage;
        }
        for container in object["spec"]["containers"].as_array().into_iter().flatten() {
            for list in ["requests", "limits"] {
                for (name, value) in container["resources"][list].as_object().into_iter().flatten() {
                    let amount = amount(value).unwrap_or_default();
                    *usage.entry(format!("{list}.{name}")).or_default() += amount;
                    if list == "requests" {
                        *usage.entry(name.clone()).or_default() += amount;
                    }
                }
            }
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_uses_what_its_containers_ask_for() {
        let pod = json!({"spec": {"containers": [
            {"resources": {"requests": {"cpu": "500m", "nvidia.com/gpu": "2"}, "limits": {"cpu": "1"}}},
            {"resources": {"requests": {"cpu": "1"}}},
        ]}});
        let usage = usage_of(&GroupResource::new("", "pods"), &pod);
        assert_eq!(usage["requests.cpu"], 1500);
        assert_eq!(usage["cpu"], 1500);
        assert_eq!(usage["limits.cpu"], 1000);
        assert_eq!(usage["requests.nvidia.com/gpu"], 2000);
        assert_eq!((usage["pods"], usage["count/pods"]), (1000, 1000));
        assert_eq!(quantity::from_milli(1500).0, "1500m");
    }
}
