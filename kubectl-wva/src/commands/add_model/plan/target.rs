//! Which Deployment is to be scaled, and by which label the vLLM Service finds its pods.

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Map, Value};

use super::{at, text};
use crate::commands::add_model::{AddModelArgs, Facts, Refusal};
use crate::readers::workload;

/// Label by which the chart's vLLM Service selects pods.
const MODEL_LABEL: &str = "llm-d.ai/model";
/// What llm-d appends to the name of a model service for its decoding Deployment.
const SUFFIX: &str = "-decode";

/// The Deployment, and what is to be said about it.
pub(super) struct Target {
    pub(super) name: String,
    /// Value of the pods' model label.
    pub(super) model_name: String,
    /// Port its servers listen on, if the pods declare one.
    pub(super) port: Option<i32>,
    pub(super) notes: Vec<String>,
}

/// Takes the Deployment named by flag or value, else the one that the model's name or NAME suggests.
pub(super) fn choose(args: &AddModelArgs, given: &Map<String, Value>, facts: &Facts) -> Result<Target, Refusal> {
    let model_name = args.model_name.clone().or_else(|| text(given, "/llmd/modelName"));
    let named = args
        .deployment
        .clone()
        .or_else(|| text(given, "/llmd/deploymentName"))
        .or_else(|| model_name.as_ref().map(|name| format!("{name}{SUFFIX}")));
    let decode = format!("{}{SUFFIX}", args.name);
    let name = match named {
        Some(name) => name,
        None if find(facts, &args.name).is_none() && find(facts, &decode).is_some() => decode,
        None => args.name.clone(),
    };
    let Some(deployment) = find(facts, &name) else {
        if !args.create_before_target {
            return Err(Refusal::TargetMissing {
                target: name,
                namespace: facts.namespace.clone(),
                existing: names(facts),
            });
        }
        let model_name = model_name.unwrap_or_else(|| stem(&name));
        let notes = vec![format!("Deployment {name} does not exist yet; the variant becomes Ready when it does")];
        return Ok(Target { name, model_name, port: None, notes });
    };
    let label = model_label(deployment);
    let model_name = model_name.or_else(|| label.clone()).unwrap_or_else(|| stem(&name));
    let serves =
        at(given, "/vllmService/enabled") != Some(&Value::Bool(false)) && at(given, "/vllmService/selector").is_none();
    let mut notes = Vec::new();
    if serves && label.as_ref() != Some(&model_name) {
        let found = label.map_or("carry no such label".to_owned(), |label| format!("carry {label:?}"));
        notes.push(format!(
            "the vLLM Service selects pods labelled {MODEL_LABEL}={model_name}, but those of Deployment {name} {found}: \
             without metrics the model is not scaled; label the pod template, or name its label with --model-name"
        ));
    }
    let shared = facts.deployments.iter().filter(|other| model_label(other).as_ref() == Some(&model_name));
    let shared: Vec<&str> =
        shared.filter_map(|other| other.metadata.name.as_deref()).filter(|other| *other != name).collect();
    if serves && !shared.is_empty() {
        notes.push(format!(
            "the vLLM Service selects pods labelled {MODEL_LABEL}={model_name}, which those of {} carry too: give each \
             variant a label of its own, or their metrics are read twice",
            shared.join(", ")
        ));
    }
    Ok(Target { name, model_name, port: workload::port(deployment), notes })
}

fn find<'a>(facts: &'a Facts, name: &str) -> Option<&'a Deployment> {
    facts.deployments.iter().find(|deployment| deployment.metadata.name.as_deref() == Some(name))
}

fn names(facts: &Facts) -> Vec<String> {
    facts.deployments.iter().filter_map(|deployment| deployment.metadata.name.clone()).collect()
}

fn model_label(deployment: &Deployment) -> Option<String> {
    deployment.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()?.get(MODEL_LABEL).cloned()
}

fn stem(deployment: &str) -> String {
    deployment.strip_suffix(SUFFIX).filter(|stem| !stem.is_empty()).unwrap_or(deployment).to_owned()
}
