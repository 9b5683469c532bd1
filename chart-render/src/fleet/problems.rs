//! What can be told about a fleet without rendering anything.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Controller, Fleet, Model};

/// What the plan itself decides; an entry's own `values` may not say otherwise.
const DECIDED: &[&str] = &[
    "/controller/enabled",
    "/wva/controllerInstance",
    "/wva/namespaceScoped",
    "/wva/watchNamespaces",
    "/wva/manageAllInstances",
    "/llmd",
    "/va/enabled",
];

impl Fleet {
    /// The controller that scales a model, or why there is none.
    pub(super) fn owner(&self, model: &Model) -> Result<&Controller, String> {
        let Some(wanted) = &model.controller else {
            return match &self.controllers[..] {
                [only] => Ok(only),
                several => Err(format!("say which controller scales it, there are {}", several.len())),
            };
        };
        let is_meant = |controller: &&Controller| match wanted.split_once('/') {
            Some((namespace, name)) => controller.namespace == namespace && controller.name == name,
            None => controller.name == *wanted,
        };
        match self.controllers.iter().filter(is_meant).collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            [] => Err(format!("no controller is called {wanted:?}")),
            _ => Err(format!("several controllers are called {wanted:?}: write `controller: namespace/name`")),
        }
    }

    /// All contradictions.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> =
            self.controllers.iter().flat_map(|controller| decided(&controller.name, &controller.values)).collect();
        for model in &self.models {
            problems.extend(self.problems_of(model));
        }
        problems.extend(self.names_taken());
        problems.extend(self.instances_taken());
        problems.extend(self.targets_taken());
        problems
    }

    fn problems_of(&self, model: &Model) -> Vec<String> {
        let mut problems = Vec::new();
        match self.owner(model) {
            Err(problem) => problems.push(format!("model {}: {problem}", model.id)),
            Ok(owner) if !owner.watches(&model.namespace) => problems.push(format!(
                "model {}: its controller {} does not watch the namespace {}: add it to `watch`",
                model.id, owner.name, model.namespace
            )),
            Ok(_) => {}
        }
        if model.variants.is_empty() {
            problems.push(format!("model {}: it needs at least one variant", model.id));
        }
        for variant in &model.variants {
            problems.extend(decided(&variant.name, &variant.values));
            if variant.min.is_some_and(|min| min > variant.max) {
                problems.push(format!("variant {}: min is larger than max {}", variant.name, variant.max));
            }
        }
        problems
    }

    fn names_taken(&self) -> Vec<String> {
        let mut releases: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for controller in &self.controllers {
            *releases.entry((&controller.namespace, &controller.name)).or_default() += 1;
        }
        for model in &self.models {
            for variant in &model.variants {
                *releases.entry((&model.namespace, &variant.name)).or_default() += 1;
            }
        }
        let taken = releases.into_iter().filter(|(_, count)| *count > 1);
        taken
            .map(|((namespace, name), _)| format!("two releases are called {name} in the namespace {namespace}"))
            .collect()
    }

    fn instances_taken(&self) -> Vec<String> {
        let mut instances: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for controller in &self.controllers {
            instances.entry(controller.instance.as_deref().unwrap_or_default()).or_default().push(&controller.name);
        }
        let taken = instances.into_iter().filter(|(_, names)| names.len() > 1);
        taken
            .map(|(id, names)| {
                let id = if id.is_empty() { "no instance id".to_owned() } else { format!("the instance id {id:?}") };
                format!("the controllers {} have {id}: give each its own", names.join(" and "))
            })
            .collect()
    }

    fn targets_taken(&self) -> Vec<String> {
        let mut targets: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for model in &self.models {
            for variant in &model.variants {
                targets.entry((&model.namespace, variant.target())).or_default().push(&variant.name);
            }
        }
        let taken = targets.into_iter().filter(|(_, names)| names.len() > 1);
        taken
            .map(|((namespace, target), names)| {
                format!("the variants {} scale one Deployment {namespace}/{target}", names.join(" and "))
            })
            .collect()
    }
}

impl Controller {
    /// A controller that watches some namespaces also watches its own.
    fn watches(&self, namespace: &str) -> bool {
        self.watch.is_empty() || self.namespace == namespace || self.watch.iter().any(|name| name == namespace)
    }
}

/// Values of an entry that would undo what the plan decides.
fn decided(name: &str, given: &BTreeMap<String, Json>) -> Vec<String> {
    let given = Json::Object(given.clone().into_iter().collect());
    let taken = DECIDED.iter().filter(|path| given.pointer(path).is_some());
    taken
        .map(|path| format!("{name}: the plan decides {}; leave it out of `values`", path[1..].replace('/', ".")))
        .collect()
}
