//! From two states of a variant to the events in between. Pure.

use wva_api::conditions::{self, reasons};
use wva_api::{VariantAutoscalingStatus, events};
use wva_engine::Target;

use crate::ledger::Reported;

/// One change, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// One of [`wva_api::events`].
    pub reason: &'static str,
    /// What changed.
    pub message: String,
}

/// What changed from `before` to `after`. `decision` is what `after` was made of, if a decision was taken.
pub fn between(before: &Reported, after: &VariantAutoscalingStatus, decision: Option<&Target>) -> Vec<Transition> {
    let new = Reported::of(after);
    [
        readiness(before, &new, after),
        pause(before, &new, decision),
        scaling(before, &new, decision),
        safety_net(before, &new, after),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn readiness(before: &Reported, new: &Reported, after: &VariantAutoscalingStatus) -> Option<Transition> {
    let (ready, reason) = new.ready.as_ref().filter(|_| before.ready != new.ready)?;
    let message = conditions::find(&after.conditions, conditions::READY)?.message.clone();
    let reason = match reason.as_str() {
        _ if *ready => events::TARGET_FOUND,
        reasons::DEPLOYMENT_NOT_FOUND => events::TARGET_NOT_FOUND,
        reasons::TARGET_CONFLICT => events::TARGET_CONFLICT,
        reasons::INSTANCE_CONFLICT => events::INSTANCE_CONFLICT,
        _ => events::INVALID_SPEC,
    };
    Some(Transition { warning: !ready, reason, message })
}

fn scaling(before: &Reported, new: &Reported, decision: Option<&Target>) -> Option<Transition> {
    let target = decision?;
    let to = new.replicas?;
    let from = before.replicas.or_else(|| i32::try_from(target.current).ok())?;
    let reason = match (from, to) {
        _ if from == to => return None,
        (_, 0) => events::SCALED_TO_ZERO,
        (0, _) => events::SCALED_FROM_ZERO,
        _ if from < to => events::SCALED_UP,
        _ => events::SCALED_DOWN,
    };
    let message = format!("Target changed from {from} to {to} replicas ({} there): {}", target.current, target.reason);
    Some(Transition { warning: false, reason, message })
}

/// A pause that began, changed or ended. A variant that is not decided says nothing of one.
fn pause(before: &Reported, new: &Reported, decision: Option<&Target>) -> Option<Transition> {
    decision?;
    let was = before.paused.as_ref();
    match &new.paused {
        same if same.as_ref() == was => None,
        Some((true, message)) => Some(Transition { warning: false, reason: events::PAUSED, message: message.clone() }),
        Some((false, message)) => {
            Some(Transition { warning: true, reason: events::INVALID_PAUSE, message: message.clone() })
        }
        None => {
            let message = "The number is decided again".to_owned();
            was.is_some_and(|(held, _)| *held).then_some(Transition {
                warning: false,
                reason: events::RESUMED,
                message,
            })
        }
    }
}

fn safety_net(before: &Reported, new: &Reported, after: &VariantAutoscalingStatus) -> Option<Transition> {
    match (before.held.unwrap_or(false), new.held?) {
        (false, true) => {
            let why = conditions::find(&after.conditions, conditions::METRICS_AVAILABLE)?;
            let held = new.replicas.map_or_else(String::new, |replicas| format!("; holding {replicas} replicas"));
            let message = format!("{}{held}", why.message);
            Some(Transition { warning: true, reason: events::SAFETY_NET_ACTIVATED, message })
        }
        (true, false) => {
            let message = "Metrics allow decisions again".to_owned();
            Some(Transition { warning: false, reason: events::SAFETY_NET_RELEASED, message })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
