//! What was given at earlier calls: it stays in force where a later call says nothing else.

use serde_json::{Map, Value};
use wva_api::{Instance, VariantAutoscaling};

use super::{at, text};
use crate::commands::add_model::Facts;
use crate::commands::list_models::HELM_RELEASE;
use crate::readers::variants;

/// Annotation of a variant that holds what add-model was given, as JSON.
pub(crate) const ANNOTATION: &str = "wva.llmd.ai/add-model";

/// What earlier calls for this release were given. helm keeps its own record, which is not ours to repeat.
pub(super) fn before(release: &str, facts: &Facts) -> Map<String, Value> {
    let Some(variant) = of_release(release, facts) else { return Map::new() };
    let annotations = variant.metadata.annotations.clone().unwrap_or_default();
    if annotations.contains_key(HELM_RELEASE) {
        return Map::new();
    }
    annotations.get(ANNOTATION).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The instance that a variant made by add-model is labelled for.
pub(super) fn instance(release: &str, facts: &Facts) -> Option<String> {
    let variant = of_release(release, facts)?;
    variant.metadata.annotations.as_ref()?.get(ANNOTATION)?;
    let labels = variant.metadata.labels.clone().unwrap_or_default();
    Some(Instance::of_labels(&labels).id().unwrap_or_default().to_owned())
}

/// Whether the release's objects are called by the chart's own rule: by an earlier version, by helm, or as asked for.
pub(super) fn chart_named(release: &str, given: &Map<String, Value>, facts: &Facts) -> bool {
    if text(given, "/nameOverride").is_some() {
        return true;
    }
    let ours = format!("{release}-va");
    of_release(release, facts).is_some_and(|variant| variant.metadata.name.as_deref() != Some(&ours))
}

fn of_release<'a>(release: &str, facts: &'a Facts) -> Option<&'a VariantAutoscaling> {
    let readable = facts.variants.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    readable.into_iter().find(|variant| variants::release(&variant.metadata) == Some(release))
}

/// A note about what stays from before though this call does not mention it.
pub(super) fn told(before: &Map<String, Value>, given: &Map<String, Value>, flags: &Value) -> Option<String> {
    let mut kept = Vec::new();
    leaves("", &Value::Object(before.clone()), &mut kept);
    let said = |pointer: &str| at(given, pointer).is_some() || flags.pointer(pointer).is_some();
    let kept: Vec<String> = kept
        .into_iter()
        .filter(|(pointer, _)| !said(pointer))
        .map(|(pointer, value)| {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            format!("{}={value}", pointer.trim_start_matches('/').replace('/', "."))
        })
        .collect();
    (!kept.is_empty()).then(|| format!("kept from before: {}; --reset-values forgets it", kept.join(", ")))
}

fn leaves(pointer: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(&format!("{pointer}/{key}"), value, found)),
        value => found.push((pointer.to_owned(), value.clone())),
    }
}
