//! Variants that a person has paused: the number is held, and the rest of the model is decided around it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::Decided;
use crate::plan::{Note, Reason};
use crate::snapshot::{Bounds, Model, PauseRequest, Variant};

/// The model as it is to be decided: a paused variant can neither grow nor shrink, so that another one is chosen where it
/// would have been.
pub(super) fn fixed(model: &Model, now: Timestamp) -> Cow<'_, Model> {
    if model.variants.iter().all(|variant| held(variant, now).is_none()) {
        return Cow::Borrowed(model);
    }
    let mut model = model.clone();
    for variant in &mut model.variants {
        if let Some(replicas) = held(variant, now) {
            variant.bounds = Bounds { min: Some(replicas), max: Some(replicas) };
        }
    }
    Cow::Owned(model)
}

/// Replicas at which a variant is held; `None` while it is not paused. Limits of whoever follows the number are kept. A number
/// that was not given is the one published, and what somebody scaled to zero stays there.
fn held(variant: &Variant, now: Timestamp) -> Option<u32> {
    let asked = match variant.pause.as_ref()?.in_force(now)?.replicas {
        Some(replicas) => replicas,
        None if variant.spec_replicas == 0 => 0,
        // A published 0 dates from before somebody scaled it up.
        None => variant.desired.filter(|desired| *desired > 0).unwrap_or(variant.current),
    };
    Some(match (asked, variant.spec_replicas) {
        (0, 0) => 0,
        (0, _) => variant.idle_floor(),
        _ => variant.bounds.clamp(asked),
    })
}

/// Gives a target the number at which its variant is held, and says what of its annotations is not obeyed.
pub(super) fn apply(decided: &mut Decided<'_>, now: Timestamp) {
    let Decided { target, variant, .. } = decided;
    match &variant.pause {
        // What is held is what the fixed limits say.
        Some(request @ PauseRequest::Asked(_)) => {
            if let (Some(pause), Some(replicas)) = (request.in_force(now), variant.bounds.max) {
                target.replicas = replicas;
                target.reason = Reason::VariantPaused { pause: pause.clone(), replicas };
            }
        }
        Some(PauseRequest::Malformed(why)) => target.notes.push(Note::PauseNotObeyed { why: why.clone() }),
        None => {}
    }
}
