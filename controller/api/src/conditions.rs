//! Condition types, reasons and messages of a `VariantAutoscaling`, and how a list of conditions is updated.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The target exists and this controller scales it.
pub const READY: &str = "Ready";
/// The object named by `scaleTargetRef` exists.
pub const TARGET_RESOLVED: &str = "TargetResolved";
/// Saturation metrics of the variant's pods are there and fresh.
pub const METRICS_AVAILABLE: &str = "MetricsAvailable";
/// The last cycle decided on data (True) or had to hold (False).
pub const OPTIMIZATION_READY: &str = "OptimizationReady";

/// Somebody holds the variant at a number (True), or asked for it in a way that is not understood (False). Absent otherwise.
pub const PAUSED: &str = "Paused";

/// Reasons, as stored in `status.conditions[].reason`.
pub mod reasons {
    /// [`super::READY`]: True.
    pub const DEPLOYMENT_FOUND: &str = "DeploymentFound";
    /// [`super::READY`]: the target does not exist (any more).
    pub const DEPLOYMENT_NOT_FOUND: &str = "DeploymentNotFound";
    /// [`super::READY`]: another `VariantAutoscaling` names the same target.
    pub const TARGET_CONFLICT: &str = "TargetConflict";
    /// [`super::READY`]: another controller instance wrote this object's status within the last lease duration.
    pub const INSTANCE_CONFLICT: &str = "InstanceConflict";
    /// [`super::READY`]: the object names no model.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// [`super::TARGET_RESOLVED`]: True.
    pub const TARGET_FOUND: &str = "TargetFound";
    /// [`super::TARGET_RESOLVED`]: False.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// [`super::METRICS_AVAILABLE`]: True.
    pub const METRICS_FOUND: &str = "MetricsFound";
    /// [`super::METRICS_AVAILABLE`]: no readings, or not of every ready pod.
    pub const METRICS_MISSING: &str = "MetricsMissing";
    /// [`super::METRICS_AVAILABLE`]: readings are too old.
    pub const METRICS_STALE: &str = "MetricsStale";
    /// [`super::METRICS_AVAILABLE`]: Prometheus did not answer.
    pub const PROMETHEUS_ERROR: &str = "PrometheusError";
    /// [`super::METRICS_AVAILABLE`]: the pods report another model name.
    pub const MODEL_NOT_SERVED: &str = "ModelNotServed";
    /// [`super::METRICS_AVAILABLE`]: woken by a waiting request, before there are metrics.
    pub const SCALE_FROM_ZERO: &str = "ScaleFromZero";
    /// [`super::OPTIMIZATION_READY`]: woken by a waiting request.
    pub const SCALE_FROM_ZERO_MODE: &str = "ScaleFromZeroMode";
    /// [`super::OPTIMIZATION_READY`]: fewer replicas than needed, for lack of free GPUs.
    pub const LIMITED_BY_GPUS: &str = "LimitedByGpus";
    /// [`super::OPTIMIZATION_READY`]: not grown, because the GPUs could not be counted.
    pub const GPUS_UNKNOWN: &str = "GpusUnknown";
    /// [`super::OPTIMIZATION_READY`]: decided by saturation.
    pub const SATURATION_ONLY_MODE: &str = "SaturationOnlyMode";
    /// [`super::OPTIMIZATION_READY`]: ran, nothing to change.
    pub const OPTIMIZATION_SUCCEEDED: &str = "OptimizationSucceeded";
    /// [`super::OPTIMIZATION_READY`]: metrics allow no decision, the last one is held.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// [`super::OPTIMIZATION_READY`]: decisions are paused, by configuration or for this variant.
    pub const OPTIMIZATION_PAUSED: &str = "OptimizationPaused";
    /// [`super::PAUSED`]: True; annotations of the object ask for it.
    pub const PAUSED_BY_ANNOTATION: &str = "PausedByAnnotation";
    /// [`super::PAUSED`]: False; annotations that ask for it cannot be understood.
    pub const INVALID_PAUSE: &str = "InvalidPause";
}

/// Message of [`READY`] = False, [`reasons::DEPLOYMENT_NOT_FOUND`]. `kind` is the target's kind, e.g. `Deployment`;
/// `before` are the conditions that were stored, which tell whether there ever was one.
pub fn target_gone_message(kind: &str, name: &str, before: &[Condition]) -> String {
    let gone = "no longer exists";
    let found = |type_| find(before, type_).is_some_and(|condition| condition.status == "True");
    let lost = find(before, READY).is_some_and(|ready| ready.message.ends_with(gone));
    let there_once = found(READY) || found(TARGET_RESOLVED) || lost;
    format!("Target {} '{name}' {}", kind.to_lowercase(), if there_once { gone } else { "does not exist yet" })
}

/// Message of [`TARGET_RESOLVED`] for either status.
pub fn target_resolved_message(kind: &str, name: &str, found: bool) -> String {
    format!("Scale target {kind} {name} {}", if found { "found" } else { "not found" })
}

/// Message of [`METRICS_AVAILABLE`] = True.
pub const METRICS_FOUND_MESSAGE: &str = "Saturation metrics data is available for scaling decisions";
/// Message of [`METRICS_AVAILABLE`] = False, [`reasons::METRICS_MISSING`], when there are no readings at all.
pub const METRICS_MISSING_MESSAGE: &str =
    "No saturation metrics available - pods may not be ready or metrics not yet scraped";

/// Message of [`METRICS_AVAILABLE`] = True, [`reasons::SCALE_FROM_ZERO`].
pub const SCALE_FROM_ZERO_MESSAGE: &str = "Scaled from zero due to pending requests";

/// Builds a condition; `last_transition_time` is only used when the status differs from the stored one
/// (see [`merged`]).
pub fn condition(
    type_: &str,
    status: bool,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Time,
) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: now,
    }
}

/// The `new` conditions with transition times taken over from `old` wherever the status is unchanged.
///
/// Conditions of `old` that `new` does not mention are dropped: the controller states all of its conditions
/// every time, and those of other field managers are not its to repeat.
pub fn merged(old: &[Condition], new: Vec<Condition>) -> Vec<Condition> {
    new.into_iter()
        .map(|mut condition| {
            let stored = old.iter().find(|o| o.type_ == condition.type_ && o.status == condition.status);
            if let Some(stored) = stored {
                condition.last_transition_time = stored.last_transition_time.clone();
            }
            condition
        })
        .collect()
}

/// The condition of one type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn transition_time_changes_only_with_the_status() {
        let old = vec![condition(READY, true, reasons::DEPLOYMENT_FOUND, "found", None, at(1))];
        let same = merged(&old, vec![condition(READY, true, reasons::DEPLOYMENT_FOUND, "reworded", None, at(9))]);
        assert_eq!((same[0].last_transition_time.clone(), same[0].message.as_str()), (at(1), "reworded"));
        let lost = merged(&old, vec![condition(READY, false, reasons::DEPLOYMENT_NOT_FOUND, "gone", None, at(9))]);
        assert_eq!(lost[0].last_transition_time, at(9));
    }

    #[test]
    fn the_message_for_a_lost_target_is_the_documented_one() {
        let message = |before: &[Condition]| target_gone_message("Deployment", "llama-8b", before);
        let ready = |status, message: String| [condition(READY, status, "x", message, None, at(0))];
        let (yet, gone) =
            ("Target deployment 'llama-8b' does not exist yet", "Target deployment 'llama-8b' no longer exists");
        assert_eq!(message(&[]), yet);
        assert_eq!(message(&ready(false, yet.to_owned())), yet);
        assert_eq!(message(&ready(true, "found".to_owned())), gone);
        assert_eq!(message(&ready(false, gone.to_owned())), gone);
        // Another reason not to be ready, with a target that was there.
        let conflict = condition(TARGET_RESOLVED, true, "x", "found", None, at(0));
        assert_eq!(message(&[conflict]), gone);
    }
}
