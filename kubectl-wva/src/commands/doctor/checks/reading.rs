//! What an HPA makes of the number it reads.

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscaler, MetricTarget};
use kube::ResourceExt as _;
use serde_json::json;
use wva_api::metrics;

use crate::commands::doctor::examination::Managed;
use crate::commands::doctor::finding::{Cause, Finding, Subject};
use crate::commands::doctor::fixes;

/// Replicas above which a change by one is within the 10 % that HPAs leave alone unless told otherwise.
const WITHIN_TOLERANCE: i32 = 10;
/// Longest window, in seconds, that does not make people wonder why nothing happens.
const LONGEST_WINDOW: i32 = 60;

/// An HPA that follows the right series, but makes another number of replicas of it.
pub(super) fn misread(hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> Option<Finding> {
    let specs = hpa.spec.as_ref()?.metrics.as_ref()?;
    let (at, target) = specs.iter().enumerate().find_map(|(at, spec)| {
        let external = spec.external.as_ref().filter(|external| external.metric.name == metrics::DESIRED_REPLICAS)?;
        Some((at, &external.target))
    })?;
    let why = wrong(target)?;
    let (namespace, name) = (one.namespace(), hpa.name_any());
    let right = json!({"type": "AverageValue", "averageValue": "1"});
    let patch = json!([{"op": "replace", "path": format!("/spec/metrics/{at}/external/target"), "value": right}]);
    Some(
        Finding::new(
            Cause::HpaTargetMisread,
            Subject::new("hpa", namespace, &name),
            format!("HPA {name} makes another number of the one published for variant {}", one.name()),
        )
        .shown_by(why)
        .fixed_by(fixes::json("hpa", namespace, &name, &patch)),
    )
}

fn wrong(target: &MetricTarget) -> Option<String> {
    let told = |value: &Option<k8s_openapi::apimachinery::pkg::api::resource::Quantity>| {
        value.as_ref().map_or("not set".to_owned(), |value| value.0.clone())
    };
    if target.type_ != "AverageValue" {
        return Some(format!(
            "its target is of type {}, {}: the number is multiplied by the replicas there are",
            target.type_,
            told(&target.value)
        ));
    }
    let value = target.average_value.as_ref().and_then(|value| crate::readers::external::quantity(&value.0));
    (value != Some(1.0))
        .then(|| format!("its averageValue is {}: the number is divided by it", told(&target.average_value)))
}

/// An HPA that follows the number later, or less closely, than it could: advice only.
pub(super) fn slow(hpa: &HorizontalPodAutoscaler, one: &Managed<'_>) -> Option<Finding> {
    let spec = hpa.spec.as_ref()?;
    let rules =
        |of: fn(&k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior) -> &Option<HPAScalingRules>| {
            spec.behavior.as_ref().and_then(|behavior| of(behavior).clone()).unwrap_or_default()
        };
    let (up, down) = (rules(|behavior| &behavior.scale_up), rules(|behavior| &behavior.scale_down));
    let (namespace, name) = (one.namespace(), hpa.name_any());
    let mut behavior = json!({});
    let mut shown = Vec::new();
    let window = up.stabilization_window_seconds.unwrap_or(0);
    if window > LONGEST_WINDOW {
        behavior["scaleUp"]["stabilizationWindowSeconds"] = json!(0);
        shown.push(format!("a growth has to be asked for during {window} s before it is carried out"));
    }
    if spec.max_replicas > WITHIN_TOLERANCE && (up.tolerance.is_none() || down.tolerance.is_none()) {
        for side in ["scaleUp", "scaleDown"] {
            behavior[side]["tolerance"] = json!("0");
        }
        shown.push(format!(
            "above {WITHIN_TOLERANCE} replicas a change by one is within the tolerance of 10 %, and not carried out"
        ));
    }
    if shown.is_empty() {
        return None;
    }
    let says = format!("HPA {name} follows the number for variant {} late, or not closely", one.name());
    let finding = Finding::new(Cause::HpaFollowsSlowly, Subject::new("hpa", namespace, &name), says);
    let finding = shown.into_iter().fold(finding, Finding::shown_by);
    Some(finding.fixed_by(fixes::merge("hpa", namespace, &name, &json!({"spec": {"behavior": behavior}}))).advised(
        "the controller waits on its own before it lets replicas go; tolerance needs Kubernetes 1.33 or later",
    ))
}
