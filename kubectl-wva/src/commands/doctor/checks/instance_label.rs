//! The label of an HPA that names an instance: at a hand-over of a variant it may be left behind, and a clean-up by label
//! then takes the HPA of another instance away.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use wva_api::{Instance, VariantAutoscaling, labels};

use crate::commands::doctor::examination::Managed;
use crate::commands::doctor::finding::{Cause, Finding, Subject};

/// The instance that an HPA is labelled for, when that is not its variant's.
pub(super) fn left_behind(hpa: &HorizontalPodAutoscaler, variant: &VariantAutoscaling) -> Option<Instance> {
    let found = hpa.labels().get(labels::CONTROLLER_INSTANCE)?;
    let owner = Instance::of_labels(variant.labels());
    (owner.id() != Some(found)).then(|| Instance::of_labels(hpa.labels()))
}

/// The command that labels an HPA for the instance of its variant.
pub(super) fn relabelled(hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> String {
    let label = labels::CONTROLLER_INSTANCE;
    let change = Instance::of_labels(one.variant.labels())
        .id()
        .map_or_else(|| format!("{label}-"), |id| format!("{label}={id} --overwrite"));
    format!("kubectl label hpa {} -n {} {change}", hpa.name_any(), one.namespace())
}

/// An HPA that is labelled for another instance than its variant.
pub(super) fn check(hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> Option<Finding> {
    let instance = left_behind(hpa, one.variant)?;
    let (name, owner) = (hpa.name_any(), Instance::of_labels(one.variant.labels()));
    let says = format!(
        "HPA {name} is labelled for {instance}, which variant {} does not belong to: a clean-up by that label deletes it",
        one.name()
    );
    let label = labels::CONTROLLER_INSTANCE;
    let shown = format!("its {label} is {:?}; the variant belongs to {owner}", instance.id().unwrap_or_default());
    let subject = Subject::new("hpa", one.namespace(), name);
    Some(Finding::new(Cause::HpaSelectorMismatch, subject, says).shown_by(shown).fixed_by(relabelled(hpa, one)))
}
