//! `/stats/summary` of a kubelet: what the containers of the node use, for a metrics server.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{runs::Runs, usage};

/// The summary of now.
pub(super) fn summary(node: &str, runs: &Runs) -> Value {
    let running = runs.processes();
    let used = usage::of_groups(&running.iter().map(|(_, process)| *process).collect());
    let now = Timestamp::now();
    let mut pods: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    for (key, process) in &running {
        let Some(usage) = used.get(process) else { continue };
        pods.entry((&key.namespace, &key.pod)).or_default().push(json!({
            "name": key.container,
            // Another run of the container counts anew; the number of its process tells them apart.
            "process": process,
            "cpu": {"time": now, "usageCoreNanoSeconds": usage.cpu_nanoseconds},
            "memory": {"time": now, "workingSetBytes": usage.memory_bytes},
        }));
    }
    let pods: Vec<Value> = pods
        .into_iter()
        .map(|((namespace, name), containers)| {
            json!({"podRef": {"name": name, "namespace": namespace}, "containers": containers})
        })
        .collect();
    json!({"node": {"nodeName": node}, "pods": pods})
}
