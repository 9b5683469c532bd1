//! Whether cost can decide between the variants of a model.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use wva_api::{Instance, VariantAutoscaling};

use crate::commands::doctor::examination::Examination;
use crate::commands::doctor::finding::{Cause, Finding, Subject};

/// Notes models whose variants all cost the same.
pub(in crate::commands::doctor) fn check(examination: &mut Examination<'_>) {
    let facts = examination.facts;
    let mut models: BTreeMap<(String, Instance, String), Vec<&VariantAutoscaling>> = BTreeMap::new();
    for variant in facts.variants.iter().filter_map(|guarded| guarded.0.as_ref().ok()) {
        let Some(model) = variant.spec.model() else { continue };
        let key = (variant.namespace().unwrap_or_default(), Instance::of_labels(variant.labels()), model.to_owned());
        models.entry(key).or_default().push(variant);
    }
    let chosen: Vec<String> = facts
        .chosen()
        .filter_map(|guarded| guarded.0.as_ref().ok())
        .map(|variant| format!("{}/{}", variant.namespace().unwrap_or_default(), variant.name_any()))
        .collect();
    for ((namespace, _, model), variants) in models {
        let (Some(first), true) = (variants.first(), variants.len() > 1) else { continue };
        let key = |variant: &&VariantAutoscaling| format!("{namespace}/{}", variant.name_any());
        let cost = first.spec.cost();
        // Variants of one target are found elsewhere; they are one way of serving the model.
        let targets: BTreeSet<_> = variants.iter().map(|variant| &variant.spec.scale_target_ref).collect();
        let same = targets.len() == variants.len()
            && variants.iter().all(|variant| (variant.spec.cost() - cost).abs() < f64::EPSILON);
        if !same || !variants.iter().any(|variant| chosen.contains(&key(variant))) {
            continue;
        }
        let mut finding = Finding::new(
            Cause::CostsEqual,
            Subject::new("variantautoscaling", &namespace, first.name_any()),
            format!(
                "the {} variants of model {model} all cost {cost}: the one with more capacity to give is taken",
                variants.len()
            ),
        )
        .shown_by(format!(
            "spec.variantCost of {}",
            variants.iter().map(|v| v.name_any()).collect::<Vec<_>>().join(", ")
        ))
        .advised("fine when they run on the same hardware; else say in spec.variantCost what each costs");
        finding.affects = variants.iter().map(key).collect();
        examination.found(finding);
    }
}
