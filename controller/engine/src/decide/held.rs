//! What is said of a number that whoever follows it does not carry out yet.

use jiff::Timestamp;

use super::Decided;
use crate::Memory;
use crate::plan::Note;

/// Notes on a target what holds it back, if anything is known to.
pub(super) fn note(decided: &mut Decided<'_>, memory: &Memory, now: Timestamp) {
    let Decided { target, variant, short, .. } = decided;
    let Some(autoscaler) = &variant.autoscaler else { return };
    // What was published before this process began counts: an autoscaler does not start its window again for a new leader.
    let stored = variant.desired_since.filter(|_| variant.desired == Some(target.replicas));
    let remembered = || {
        let time = memory.unchanged_for(&target.variant, target.replicas, target.current, now)?;
        now.checked_sub(time).ok()
    };
    let since = stored.or_else(remembered).unwrap_or(now);
    let hold = autoscaler.holds(variant.spec_replicas, target.replicas, since, now);
    target.notes.extend(hold.map(|hold| Note::Held { by: autoscaler.label(), hold, short: *short }));
}
