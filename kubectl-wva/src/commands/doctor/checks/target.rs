//! Whether what a variant scales exists and is its own, and whether the variant can be worked with.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde_json::json;
use wva_api::{ScaleTargetRef, VariantAutoscaling, conditions};

use crate::commands::doctor::examination::{Examination, Managed};
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::{Facts, fixes};
use crate::readers::workload;

/// Other workloads offered in place of one that does not exist.
const OFFERED: usize = 3;

/// Checks the targets; variants that cannot be scaled go no further.
pub(in crate::commands::doctor) fn check<'a>(
    examination: &mut Examination<'a>,
    managed: &[Managed<'a>],
) -> Vec<Managed<'a>> {
    let facts = examination.facts;
    if let Err(why) = &facts.deployments {
        examination.unknown(&[Cause::TargetMissing], why);
    }
    let mut by_target: BTreeMap<(&str, &ScaleTargetRef), Vec<&Managed<'_>>> = BTreeMap::new();
    for one in managed {
        by_target.entry((one.namespace(), &one.variant.spec.scale_target_ref)).or_default().push(one);
    }
    let mut healthy = Vec::new();
    for one in managed {
        let sharing = &by_target[&(one.namespace(), &one.variant.spec.scale_target_ref)];
        match problem(facts, one, sharing) {
            Some(finding) => examination.found(finding.affecting(one.key())),
            None => healthy.push(*one),
        }
    }
    healthy
}

fn problem(facts: &Facts, one: &Managed<'_>, sharing: &[&Managed<'_>]) -> Option<Finding> {
    let (namespace, name) = (one.namespace(), one.name());
    let target = &one.variant.spec.scale_target_ref;
    let stored = stored(one.variant);
    let ready = conditions::find(stored, conditions::READY).filter(|ready| ready.status == "False");
    let subject = || Subject::new("variantautoscaling", namespace, name);
    if missing(facts, namespace, target, ready.map(|ready| ready.reason.as_str())) {
        return Some(gone(facts, one, target));
    }
    if sharing.len() > 1 {
        return Some(conflict(namespace, target, sharing));
    }
    if one.variant.spec.model().is_none() {
        let model = facts.deployment(namespace, target).and_then(workload::served_model);
        let finding = Finding::new(Cause::InvalidVariant, subject(), "the variant names no model")
            .shown_by("spec.modelID is empty");
        return Some(match model {
            Some(model) => finding.fixed_by(fixes::merge(
                "va",
                namespace,
                name,
                &json!({"spec": {"modelID": model, "modelId": null}}),
            )),
            None => finding.looked_at(format!("kubectl get deployment {} -n {namespace} -o yaml", target.name)),
        });
    }
    let ready = ready?;
    match ready.reason.as_str() {
        conditions::reasons::INVALID_SPEC => Some(
            Finding::new(Cause::InvalidVariant, subject(), "the controller cannot work with the variant")
                .shown_by(format!("Ready is False, {}: {}", ready.reason, ready.message))
                .looked_at(format!("kubectl get va {name} -n {namespace} -o yaml")),
        ),
        conditions::reasons::INSTANCE_CONFLICT => Some(
            Finding::new(
                Cause::DuplicateSeries,
                subject(),
                "another controller instance writes this variant's status as well",
            )
            .shown_by(format!("Ready is False, {}: {}", ready.reason, ready.message))
            .looked_at("kubectl wva instances")
            .advised("only one of the controllers may take the variant: compare their instance ids and scopes"),
        ),
        _ => None,
    }
}

/// Several variants on one target. Which of them is to stay only a person knows; the one that was there first is the best
/// guess.
fn conflict(namespace: &str, target: &ScaleTargetRef, sharing: &[&Managed<'_>]) -> Finding {
    let mut oldest_first = sharing.to_vec();
    oldest_first.sort_by_key(|one| (one.variant.creation_timestamp().map(|made| made.0), one.name()));
    let finding = Finding::new(
        Cause::TargetConflict,
        Subject::new("deployment", namespace, &target.name),
        format!("{} variants scale {} {}: none of them is acted on", sharing.len(), target.kind, target.name),
    )
    .shown_by(format!(
        "scaleTargetRef of {}",
        oldest_first.iter().map(|other| other.name()).collect::<Vec<_>>().join(", ")
    ));
    let finding = oldest_first.iter().fold(finding, |finding, stays| {
        let others: Vec<&str> =
            oldest_first.iter().map(|other| other.name()).filter(|other| *other != stays.name()).collect();
        finding.fixed_by(format!("kubectl delete va {} -n {namespace}", others.join(" ")))
    });
    finding.advised("each command leaves one of them, the first the one that was there first")
}

/// The conditions the controller stored.
pub(super) fn stored(variant: &VariantAutoscaling) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
    variant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// Of other kinds, and where Deployments may not be listed, only the controller can tell.
fn missing(facts: &Facts, namespace: &str, target: &ScaleTargetRef, reason: Option<&str>) -> bool {
    if target.kind == "Deployment" && facts.deployments.is_ok() {
        return facts.deployment(namespace, target).is_none();
    }
    reason == Some(conditions::reasons::DEPLOYMENT_NOT_FOUND)
}

fn gone(facts: &Facts, one: &Managed<'_>, target: &ScaleTargetRef) -> Finding {
    let (namespace, name) = (one.namespace(), one.name());
    let ScaleTargetRef { api_version, kind, name: target } = target;
    let mut finding = Finding::new(
        Cause::TargetMissing,
        Subject::new("variantautoscaling", namespace, name),
        format!("{kind} {target}, which variant {name} scales, does not exist"),
    )
    .shown_by(format!("there is no {kind} {target} in namespace {namespace}"));
    let taken: Vec<&str> = facts
        .variants
        .iter()
        .filter_map(|guarded| guarded.0.as_ref().ok())
        .filter(|variant| variant.metadata.namespace.as_deref() == Some(namespace))
        .map(|variant| variant.spec.scale_target_ref.name.as_str())
        .collect();
    let free = facts.deployments.iter().flatten().filter(|found| {
        found.metadata.namespace.as_deref() == Some(namespace) && !taken.contains(&found.name_any().as_str())
    });
    for deployment in free.take(OFFERED) {
        let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name_any()});
        finding =
            finding.fixed_by(fixes::merge("va", namespace, name, &json!({"spec": {"scaleTargetRef": reference}})));
    }
    if finding.fix.is_empty() {
        finding = finding.looked_at(format!("kubectl get all -n {namespace}")).advised(format!(
            "apply the manifest of the {} ({api_version}); the variant takes it up by itself",
            kind.to_lowercase()
        ));
    }
    finding
}
