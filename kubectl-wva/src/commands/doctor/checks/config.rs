//! Whether configuration is where controllers look for it, and does not keep them from deciding.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use serde_json::json;
use wva_api::{config_keys, config_maps, labels, scope};

use super::owner;
use crate::commands::doctor::examination::Examination;
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, fixes};
use crate::readers::controllers::{Controller, Stated};

/// Longest pause between decisions that does not make people wonder; the default is 60 s.
const LONGEST_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// Words that only our ConfigMaps hold.
const SATURATION_WORDS: [&str; 4] = ["kvCacheThreshold", "queueLengthThreshold", "kvSpareTrigger", "queueSpareTrigger"];
const ZERO_WORDS: [&str; 2] = ["enable_scale_to_zero", "retention_period"];

/// Checks the ConfigMaps of the namespaces looked at and the settings of the controllers that work.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>) {
    for one in examination.controllers() {
        if !examination.unhealthy.contains(&one.controller.key()) {
            for finding in settings(examination.facts, &one.controller) {
                examination.found(finding);
            }
        }
    }
    match &examination.facts.config_maps {
        // Those in the homes of other controllers are others' business.
        Ok(maps) => {
            let ours = |map: &&ConfigMap| examination.concerns(map.metadata.namespace.as_deref().unwrap_or_default());
            let problems = maps.iter().filter(ours).filter_map(|map| map_problem(examination.facts, map));
            let problems: Vec<Finding> = problems.collect();
            for problem in problems {
                examination.found(problem);
            }
        }
        Err(why) => {
            let causes = [
                Cause::NamespaceNotTracked,
                Cause::ConfigMapMisnamed,
                Cause::OptimizationDisabled,
                Cause::OptimizationSlow,
            ];
            examination.unknown(&causes, why);
        }
    }
}

fn settings(facts: &Facts, controller: &Controller) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = || Subject::new("deployment", &controller.namespace, &controller.name);
    if let Some(setting) = Setting::of(facts, controller, config_keys::GLOBAL_OPT_ENABLE)
        && matches!(setting.value.to_lowercase().as_str(), "false" | "f" | "0")
    {
        let what = format!("controller {} takes no decisions: they are switched off", controller.key());
        found.push(setting.fixed(Finding::new(Cause::OptimizationDisabled, subject(), what), controller, "true"));
    }
    if let Some(setting) = Setting::of(facts, controller, config_keys::GLOBAL_OPT_INTERVAL)
        && setting.value.parse::<SignedDuration>().is_ok_and(|interval| interval > LONGEST_INTERVAL)
    {
        let what =
            format!("controller {} decides only every {}: changes take that long", controller.key(), setting.value);
        found.push(setting.fixed(Finding::new(Cause::OptimizationSlow, subject(), what), controller, "60s"));
    }
    found
}

/// A setting and where it comes from.
struct Setting {
    key: &'static str,
    value: String,
    map: Option<String>,
    /// The process reads it only once.
    in_environment: bool,
}

impl Setting {
    /// As the process resolves it: flag or environment, else the main ConfigMap.
    fn of(facts: &Facts, controller: &Controller, key: &'static str) -> Option<Self> {
        let read =
            |map: &str, in_map: &str| facts.config_map(&controller.namespace, map)?.data.as_ref()?.get(in_map).cloned();
        match controller.stated(key) {
            Some(Stated::Value(value)) => Some(Self { key, value, map: None, in_environment: true }),
            Some(Stated::ConfigMap { name, key: in_map, optional: _ }) => {
                let value = read(&name, &in_map)?;
                Some(Self { key, value, map: Some(name), in_environment: true })
            }
            None => {
                let map = controller.main_config_map();
                let value = read(&map, key)?;
                Some(Self { key, value, map: Some(map), in_environment: false })
            }
        }
    }

    fn fixed(&self, finding: Finding, controller: &Controller, good: &str) -> Finding {
        let Self { key, value, map, in_environment } = self;
        let Controller { namespace, name, .. } = controller;
        let Some(map) = map else {
            return finding
                .shown_by(format!("{key} is {value} in the environment or arguments of the Deployment"))
                .fixed_by(format!("kubectl set env deployment/{name} -n {namespace} {key}={good}"));
        };
        let patch = fixes::merge("configmap", namespace, map, &json!({"data": {*key: good}}));
        let restart = format!("kubectl rollout restart deployment/{name} -n {namespace}");
        let command = if *in_environment { format!("{patch} && {restart}") } else { patch };
        finding.shown_by(format!("{key} is {value} in ConfigMap {namespace}/{map}")).fixed_by(command)
    }
}

/// What a ConfigMap is for, by its name or by what it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Saturation,
    ScaleToZero,
}

impl Purpose {
    fn by_name(name: &str) -> Option<Self> {
        if name == config_maps::SATURATION || config_maps::SATURATION_OLD.contains(&name) {
            return Some(Self::Saturation);
        }
        let zero = name == config_maps::SCALE_TO_ZERO || config_maps::SCALE_TO_ZERO_OLD.contains(&name);
        zero.then_some(Self::ScaleToZero)
    }

    fn by_content(map: &ConfigMap) -> Option<Self> {
        let holds =
            |words: &[&str]| map.data.iter().flatten().any(|(_, text)| words.iter().any(|word| text.contains(word)));
        if holds(&SATURATION_WORDS) {
            return Some(Self::Saturation);
        }
        holds(&ZERO_WORDS).then_some(Self::ScaleToZero)
    }

    fn canonical(self) -> &'static str {
        match self {
            Self::Saturation => config_maps::SATURATION,
            Self::ScaleToZero => config_maps::SCALE_TO_ZERO,
        }
    }

    /// Name of the global one that a controller reads.
    fn global(self, controller: &Controller) -> String {
        let key = match self {
            Self::Saturation => config_keys::SATURATION_CONFIG_MAP_NAME,
            Self::ScaleToZero => config_keys::SCALE_TO_ZERO_CONFIG_MAP_NAME,
        };
        controller.literal(key).unwrap_or_else(|| self.canonical().to_owned())
    }
}

fn map_problem(facts: &Facts, map: &ConfigMap) -> Option<Finding> {
    let (namespace, name) = (map.namespace()?, map.name_any());
    let looked_at = facts.namespace.as_ref().is_none_or(|wanted| *wanted == namespace);
    let at_home: Vec<&Controller> = facts
        .controllers
        .iter()
        .flatten()
        .map(|one| &one.controller)
        .filter(|controller| controller.namespace == namespace)
        .collect();
    let purpose = Purpose::by_name(&name).or_else(|| Purpose::by_content(map))?;
    if at_home.iter().any(|controller| name == purpose.global(controller)) {
        return None;
    }
    let subject = Subject::new("configmap", &namespace, &name);
    let has_variants = places(facts).contains(&namespace);
    if let Some(home) = at_home.first().filter(|_| !has_variants) {
        let global = purpose.global(home);
        return Some(misnamed(facts, subject, &namespace, &name, &global));
    }
    if !looked_at {
        return None;
    }
    if Purpose::by_name(&name).is_none() {
        return Some(misnamed(facts, subject, &namespace, &name, purpose.canonical()));
    }
    let by_name = facts.controllers.iter().flatten().any(|one| one.controller.scope.watches_by_name(&namespace));
    let metadata = &facts.namespace(&namespace)?.metadata;
    if by_name {
        return None;
    }
    if metadata.annotations.as_ref().is_some_and(scope::is_excluded) {
        return Some(owner::excluded(&namespace).shown_by(format!("ConfigMap {name} lies in it")));
    }
    let opted_in = metadata.labels.as_ref().and_then(|labels| labels.get(labels::CONFIG_ENABLED));
    if has_variants || opted_in.is_some_and(|value| value == "true") {
        return None;
    }
    let tracked = "a namespace counts when it holds a variant or carries the label";
    Some(
        Finding::new(
            Cause::NamespaceNotTracked,
            subject,
            format!("nobody looks at ConfigMap {name}: namespace {namespace} is not tracked"),
        )
        .shown_by(format!("the namespace holds no variant and is not labelled {}=true", labels::CONFIG_ENABLED))
        .fixed_by(format!("kubectl label namespace {namespace} {}=true", labels::CONFIG_ENABLED))
        .advised(tracked),
    )
}

fn places(facts: &Facts) -> BTreeSet<String> {
    let namespaces = facts.variants.iter().filter_map(|guarded| match &guarded.0 {
        Ok(variant) => variant.metadata.namespace.clone(),
        Err(invalid) => invalid.metadata.namespace.clone(),
    });
    namespaces.collect()
}

fn misnamed(facts: &Facts, subject: Subject, namespace: &str, name: &str, right: &str) -> Finding {
    let create = match facts.config_map(namespace, right) {
        Some(_) => String::new(),
        None => format!("kubectl create configmap {right} -n {namespace} && "),
    };
    Finding::new(
        Cause::ConfigMapMisnamed,
        subject,
        format!("nobody reads ConfigMap {name}: its name is not the one looked for, {right}"),
    )
    .shown_by(format!("it holds settings of the autoscaler, and namespace {namespace} is searched for {right}"))
    .fixed_by(format!(
        "{create}kubectl patch configmap {right} -n {namespace} --type=merge \
         -p \"{{\\\"data\\\":$(kubectl get configmap {name} -n {namespace} -o jsonpath='{{.data}}')}}\" && \
         kubectl delete configmap {name} -n {namespace}"
    ))
}

impl Controller {
    /// Name of its main ConfigMap.
    pub fn main_config_map(&self) -> String {
        self.literal(config_keys::CONFIG_MAP_NAME).unwrap_or_else(|| config_maps::MAIN.to_owned())
    }
}
