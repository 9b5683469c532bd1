//! The last two answers of each node, and the rates between them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::Value;

/// What a container has used when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    process: u64,
    cpu_nanoseconds: u64,
    memory_bytes: u64,
}

/// Namespace, pod and container.
type Key = (String, String, String);

#[derive(Debug, Default)]
struct Answer {
    at: Timestamp,
    counters: BTreeMap<Key, Counter>,
}

/// What is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// Billionths of a core.
    pub(super) nanocores: u64,
    pub(super) memory_bytes: u64,
}

/// A pod or node, measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) at: Timestamp,
    pub(super) window: jiff::SignedDuration,
    /// By container; one without a name for a node.
    pub(super) usage: BTreeMap<String, Usage>,
}

/// What is known of all nodes.
#[derive(Debug, Default)]
pub(super) struct Samples {
    nodes: HashMap<String, (Option<Answer>, Answer)>,
}

impl Samples {
    /// Takes what a node answered.
    pub(super) fn add(&mut self, node: &str, summary: &Value, at: Timestamp) {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut counters = BTreeMap::new();
        for pod in list(&summary["pods"]) {
            for container in list(&pod["containers"]) {
                let place = &pod["podRef"];
                let counter = Counter {
                    process: container["process"].as_u64().unwrap_or_default(),
                    cpu_nanoseconds: container["cpu"]["usageCoreNanoSeconds"].as_u64().unwrap_or_default(),
                    memory_bytes: container["memory"]["workingSetBytes"].as_u64().unwrap_or_default(),
                };
                counters.insert((text(&place["namespace"]), text(&place["name"]), text(&container["name"])), counter);
            }
        }
        let answer = Answer { at, counters };
        let before = self.nodes.remove(node).map(|(_, last)| last);
        self.nodes.insert(node.to_owned(), (before, answer));
    }

    pub(super) fn forget_all_but(&mut self, nodes: &[String]) {
        self.nodes.retain(|node, _| nodes.contains(node));
    }

    /// A pod, once all of its containers that run were seen twice.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Measured> {
        let is_of = |key: &Key| (key.0.as_str(), key.1.as_str()) == (namespace, name);
        self.nodes.values().find_map(|(before, last)| {
            let before = before.as_ref()?;
            let mut usage = BTreeMap::new();
            for (key, _) in last.counters.iter().filter(|(key, _)| is_of(key)) {
                usage.insert(key.2.clone(), rate(before, last, key)?);
            }
            (!usage.is_empty()).then(|| Measured { at: last.at, window: last.at.duration_since(before.at), usage })
        })
    }

    /// A node, once it was asked twice: the sum of its containers.
    pub(super) fn node(&self, name: &str) -> Option<Measured> {
        let (before, last) = self.nodes.get(name)?;
        let before = before.as_ref()?;
        let sum = last.counters.iter().fold(Usage::default(), |sum, (key, counter)| Usage {
            nanocores: sum.nanocores + rate(before, last, key).map_or(0, |usage| usage.nanocores),
            memory_bytes: sum.memory_bytes + counter.memory_bytes,
        });
        let usage = BTreeMap::from([(String::new(), sum)]);
        Some(Measured { at: last.at, window: last.at.duration_since(before.at), usage })
    }
}

/// `None` for a container that started in between.
fn rate(before: &Answer, last: &Answer, key: &Key) -> Option<Usage> {
    let (then, now) = (before.counters.get(key)?, last.counters.get(key)?);
    let used = u128::from(now.cpu_nanoseconds.checked_sub(then.cpu_nanoseconds)?);
    let passed = u128::try_from(last.at.duration_since(before.at).as_nanos()).ok().filter(|passed| *passed > 0)?;
    let nanocores = u64::try_from(used * 1_000_000_000 / passed).unwrap_or(u64::MAX);
    (then.process == now.process).then_some(Usage { nanocores, memory_bytes: now.memory_bytes })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(containers: &[(&str, u64, u64, u64)]) -> Value {
        let containers: Vec<Value> = containers
            .iter()
            .map(|(name, process, seconds, memory)| {
                json!({
                    "name": name, "process": process,
                    "cpu": {"usageCoreNanoSeconds": seconds * 1_000_000_000},
                    "memory": {"workingSetBytes": memory},
                })
            })
            .collect();
        json!({"pods": [{"podRef": {"namespace": "a", "name": "p"}, "containers": containers}]})
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn use_is_the_difference_between_two_answers() {
        let mut samples = Samples::default();
        samples.add("n", &summary(&[("main", 7, 10, 100), ("side", 8, 1, 50)]), at(0));
        assert_eq!((samples.pod("a", "p"), samples.node("n")), (None, None), "one answer is no rate");
        samples.add("n", &summary(&[("main", 7, 15, 200), ("side", 8, 1, 60)]), at(10));
        let pod = samples.pod("a", "p").unwrap();
        assert_eq!(pod.usage["main"], Usage { nanocores: 500_000_000, memory_bytes: 200 });
        assert_eq!(pod.usage["side"], Usage { nanocores: 0, memory_bytes: 60 });
        assert_eq!((pod.at, pod.window), (at(10), jiff::SignedDuration::from_secs(10)));
        assert_eq!(samples.node("n").unwrap().usage[""], Usage { nanocores: 500_000_000, memory_bytes: 260 });
    }

    #[test]
    fn a_container_that_started_again_is_not_told_yet() {
        let mut samples = Samples::default();
        samples.add("n", &summary(&[("main", 7, 10, 100)]), at(0));
        samples.add("n", &summary(&[("main", 9, 11, 100)]), at(10));
        assert_eq!(samples.pod("a", "p"), None);
        samples.add("n", &summary(&[("main", 9, 12, 100)]), at(20));
        assert_eq!(samples.pod("a", "p").unwrap().usage["main"].nanocores, 100_000_000);
        samples.forget_all_but(&[]);
        assert_eq!(samples.pod("a", "p"), None);
    }
}
