//! The last step of a cycle: the status of a variant, from what was found and decided. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use wva_api::conditions::{self, condition, reasons};
use wva_api::{Actuation, DesiredAllocation, Instance, VariantAutoscalingStatus};
use wva_engine::plan::{Evidence, Note, Outcome};
use wva_engine::{Reason, Target};

use crate::cluster::index::Variant;
use crate::ownership::conflict::Refusal;
use crate::ownership::variants::Eligibility;

/// The status a variant is to have. `decision` is `None` when none was taken: because the variant cannot be decided,
/// or because only its standing was looked at; then a ready variant keeps what its status says of decisions.
pub fn status(
    variant: &Variant,
    eligibility: &Eligibility,
    decision: Option<&Target>,
    now: jiff::Timestamp,
) -> VariantAutoscalingStatus {
    let stored = &variant.status;
    let state = |type_: &str, status: bool, reason: &str, message: String| {
        condition(type_, status, reason, message, variant.generation, Time(now))
    };
    let mut found = standing_conditions(variant, eligibility, state);
    let (desired_optimized_alloc, actuation) = match (eligibility, decision) {
        (Eligibility::Ready, Some(target)) => {
            found.push(metrics_condition(target, state));
            found.push(optimization_condition(target, state));
            found.extend(paused_condition(target, state));
            let applied = target.current == target.replicas;
            (Some(allocation(variant, target, now)), Some(Actuation { applied }))
        }
        // The last decision holds while a conflict lasts.
        (Eligibility::Ready | Eligibility::InstanceConflict(_), None) => {
            let kept = [conditions::METRICS_AVAILABLE, conditions::OPTIMIZATION_READY, conditions::PAUSED];
            let kept = kept.iter().filter_map(|type_| conditions::find(&stored.conditions, type_));
            found.extend(kept.filter(|it| !repeats_ready(it, &stored.conditions)).cloned());
            (stored.desired_optimized_alloc.clone(), stored.actuation.clone())
        }
        // Cleared, and seen to be: an absent member looks like one that was never written.
        (
            Eligibility::TargetMissing
            | Eligibility::Unscalable(_)
            | Eligibility::Unread
            | Eligibility::InstanceConflict(_)
            | Eligibility::TargetConflict(_)
            | Eligibility::NoModel,
            _,
        ) => {
            // `kubectl get va -o wide` shows this condition as the reason, and there is one.
            let ready = conditions::find(&found, conditions::READY).filter(|ready| ready.status != "True");
            let why = ready.map(|it| state(conditions::OPTIMIZATION_READY, false, &it.reason, it.message.clone()));
            found.retain(|it| why.is_none() || it.type_ != conditions::OPTIMIZATION_READY);
            found.extend(why);
            (Some(DesiredAllocation::default()), None)
        }
    };
    let conditions = conditions::merged(&stored.conditions, found);
    VariantAutoscalingStatus { desired_optimized_alloc, actuation, conditions }
}

/// Whether a condition only says again why the variant is not ready.
fn repeats_ready(condition: &Condition, all: &[Condition]) -> bool {
    conditions::find(all, conditions::READY)
        .is_some_and(|ready| ready.status != "True" && ready.reason == condition.reason)
}

/// Whether writing `new` over `stored` would change anything besides times.
pub fn differs(stored: &VariantAutoscalingStatus, new: &VariantAutoscalingStatus) -> bool {
    let timeless = |status: &VariantAutoscalingStatus| {
        let mut status = status.clone();
        // An allocation without members says the same as none.
        status.desired_optimized_alloc = status.desired_optimized_alloc.filter(|a| *a != DesiredAllocation::default());
        if let Some(allocation) = &mut status.desired_optimized_alloc {
            allocation.last_run_time = None;
        }
        for condition in &mut status.conditions {
            condition.last_transition_time = Time(jiff::Timestamp::UNIX_EPOCH);
        }
        status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        status
    };
    timeless(stored) != timeless(new)
}

fn standing_conditions(
    variant: &Variant,
    eligibility: &Eligibility,
    state: impl Fn(&str, bool, &str, String) -> Condition,
) -> Vec<Condition> {
    let (kind, name) = (&*variant.target.kind, &*variant.target.name);
    let ready = |status, reason, message| state(conditions::READY, status, reason, message);
    let resolved = |found| {
        let reason = if found { reasons::TARGET_FOUND } else { reasons::TARGET_NOT_FOUND };
        state(conditions::TARGET_RESOLVED, found, reason, conditions::target_resolved_message(kind, name, found))
    };
    let lowered = kind.to_lowercase();
    match eligibility {
        Eligibility::Ready => {
            let message = format!("Target {lowered} '{name}' found");
            vec![ready(true, reasons::DEPLOYMENT_FOUND, message), resolved(true)]
        }
        Eligibility::TargetMissing => {
            let message = conditions::target_gone_message(kind, name, &variant.status.conditions);
            vec![ready(false, reasons::DEPLOYMENT_NOT_FOUND, message), resolved(false)]
        }
        Eligibility::Unscalable(why) => {
            let resolved = state(conditions::TARGET_RESOLVED, false, reasons::TARGET_NOT_FOUND, why.clone());
            vec![ready(false, reasons::INVALID_SPEC, why.clone()), resolved]
        }
        Eligibility::InstanceConflict(Refusal { by, mine: _ }) => {
            let owner = Instance::of_labels(&variant.labels);
            let message = format!(
                "Controller instance {by} wrote the status of this object, which is labelled for {owner}; nothing is \
                 published until it stops. Make sure that only one controller takes this object"
            );
            vec![ready(false, reasons::INSTANCE_CONFLICT, message), resolved(true)]
        }
        // Nobody asks for the status of a variant whose target has not been looked at.
        Eligibility::Unread => variant.status.conditions.clone(),
        Eligibility::TargetConflict(others) => {
            let message = format!(
                "Target {lowered} '{name}' is also the target of {}; delete all but one VariantAutoscaling",
                others.join(", ")
            );
            vec![ready(false, reasons::TARGET_CONFLICT, message), resolved(true)]
        }
        Eligibility::NoModel => {
            let message = "spec.modelID is empty; set it to the model name the servers report".to_owned();
            vec![ready(false, reasons::INVALID_SPEC, message), resolved(true)]
        }
    }
}

fn metrics_condition(target: &Target, state: impl Fn(&str, bool, &str, String) -> Condition) -> Condition {
    let (available, reason, message) = match &target.evidence {
        // There cannot be any before there is a server; and that it is needed is known.
        _ if matches!(target.reason, Reason::Woken { .. }) => {
            (true, reasons::SCALE_FROM_ZERO, conditions::SCALE_FROM_ZERO_MESSAGE.to_owned())
        }
        Evidence::Complete => (true, reasons::METRICS_FOUND, conditions::METRICS_FOUND_MESSAGE.to_owned()),
        Evidence::Missing => (false, reasons::METRICS_MISSING, conditions::METRICS_MISSING_MESSAGE.to_owned()),
        evidence @ (Evidence::Partial { .. } | Evidence::Unlabelled { .. }) => {
            (false, reasons::METRICS_MISSING, sentence(evidence))
        }
        // Without the age, which would make each cycle write a new status.
        Evidence::Stale { .. } => {
            (false, reasons::METRICS_STALE, "Saturation metrics are too old for scaling decisions".to_owned())
        }
        Evidence::SourceFailed { message } => {
            (false, reasons::PROMETHEUS_ERROR, format!("Failed to query Prometheus: {message}"))
        }
        Evidence::ModelNotServed { reported } => {
            let message = format!("The pods report {}, not {}", reported.join(", "), target.model_id);
            (false, reasons::MODEL_NOT_SERVED, message)
        }
    };
    state(conditions::METRICS_AVAILABLE, available, reason, message)
}

fn optimization_condition(target: &Target, state: impl Fn(&str, bool, &str, String) -> Condition) -> Condition {
    let (ready, reason) = match target.reason.outcome() {
        Outcome::Held => (false, reasons::METRICS_UNAVAILABLE),
        Outcome::Paused => (false, reasons::OPTIMIZATION_PAUSED),
        Outcome::Balanced => (true, reasons::OPTIMIZATION_SUCCEEDED),
        Outcome::BySaturation => (true, reasons::SATURATION_ONLY_MODE),
        Outcome::FromZero => (true, reasons::SCALE_FROM_ZERO_MODE),
        Outcome::LimitedByGpus => (true, reasons::LIMITED_BY_GPUS),
        Outcome::GpusUnknown => (false, reasons::GPUS_UNKNOWN),
    };
    let message = format!("{} (target: {} replicas)", sentence(&target.explanation()), target.replicas);
    state(conditions::OPTIMIZATION_READY, ready, reason, message)
}

/// Who holds the number, until when and why; or what is wrong with the annotations that ask for it.
fn paused_condition(target: &Target, state: impl Fn(&str, bool, &str, String) -> Condition) -> Option<Condition> {
    if let Reason::VariantPaused { .. } = target.reason {
        return Some(state(conditions::PAUSED, true, reasons::PAUSED_BY_ANNOTATION, sentence(&target.reason)));
    }
    let mut notes = target.notes.iter();
    let why = notes.find(|note| matches!(note, Note::PauseNotObeyed { .. }))?;
    Some(state(conditions::PAUSED, false, reasons::INVALID_PAUSE, sentence(why)))
}

/// The allocation, with the time of the last change: a decision confirmed is not a new decision.
fn allocation(variant: &Variant, target: &Target, now: jiff::Timestamp) -> DesiredAllocation {
    let new = DesiredAllocation {
        last_run_time: Some(Time(now)),
        accelerator: Some(target.accelerator.clone()),
        num_replicas: i32::try_from(target.replicas).ok(),
    };
    let stored = variant.status.desired_optimized_alloc.as_ref();
    match stored {
        Some(stored)
            if stored.accelerator == new.accelerator
                && stored.num_replicas == new.num_replicas
                && stored.last_run_time.is_some() =>
        {
            stored.clone()
        }
        _ => new,
    }
}

fn sentence(words: &impl ToString) -> String {
    let words = words.to_string();
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
