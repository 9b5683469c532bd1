//! Limit ranges: what a container gets that asks for nothing, and what it may ask for.

use serde_json::{Value, json};

use super::failure::Failure;
use super::state::State;
use super::store::GroupResource;
use super::validation::amount;

impl State {
    /// Fills in defaults of the namespace's limit ranges and refuses what is beyond them.
    pub(super) fn apply_limits(&self, namespace: &str, pod: &mut Value) -> Result<(), Failure> {
        let ranges: Vec<Value> = self
            .store
            .list(&GroupResource::new("", "limitranges"), Some(namespace))
            .flat_map(|(_, range)| range["spec"]["limits"].as_array().cloned().unwrap_or_default())
            .filter(|limit| limit["type"] == "Container")
            .collect();
        let mut set: Vec<String> = Vec::new();
        for limit in &ranges {
            for (list, word) in [("initContainers", "init container"), ("containers", "container")] {
                for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                    let name = container["name"].as_str().unwrap_or_default().to_owned();
                    for (from, to, what) in [("defaultRequest", "requests", "request"), ("default", "limits", "limit")]
                    {
                        for resource in fill(&limit[from], &mut container["resources"], to) {
                            set.push(format!("{resource} {what} for {word} {name}"));
                        }
                    }
                }
            }
        }
        if !set.is_empty() {
            let told = format!("LimitRanger plugin set: {}", set.join("; "));
            pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"] = json!(told);
        }
        let problems: Vec<String> = ranges.iter().flat_map(|limit| problems(limit, pod)).collect();
        let why = match problems.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        Err(Failure::forbidden("", "pods", name, &why))
    }
}

/// Sets what a container leaves out; returns the names of it.
fn fill(defaults: &Value, resources: &mut Value, list: &str) -> Vec<String> {
    let mut set = Vec::new();
    for (name, quantity) in defaults.as_object().into_iter().flatten() {
        if resources[list].get(name).is_some() {
            continue;
        }
        if !resources.is_object() {
            *resources = json!({});
        }
        if !resources[list].is_object() {
            resources[list] = json!({});
        }
        resources[list][name] = quantity.clone();
        set.push(name.clone());
    }
    set
}

fn problems(limit: &Value, pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let lists = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().into_iter().flatten());
    for container in lists.into_iter().flatten() {
        let resources = &container["resources"];
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        for (name, least) in limit["min"].as_object().into_iter().flatten() {
            let what = format!("minimum {name} usage per Container is {}", shown(least));
            match resources["requests"].get(name) {
                None => problems.push(format!("{what}.  No request is specified")),
                Some(asked) if amount(asked) < amount(least) => {
                    problems.push(format!("{what}, but request is {}", shown(asked)));
                }
                Some(_) => {}
            }
        }
        for (name, most) in limit["max"].as_object().into_iter().flatten() {
            let what = format!("maximum {name} usage per Container is {}", shown(most));
            match resources["limits"].get(name) {
                None => problems.push(format!("{what}.  No limit is specified")),
                Some(asked) if amount(asked) > amount(most) => {
                    problems.push(format!("{what}, but limit is {}", shown(asked)));
                }
                Some(_) => {}
            }
        }
    }
    problems
}
