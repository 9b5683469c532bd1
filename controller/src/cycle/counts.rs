//! How many variants there are, by what is done with them, as metrics.

use crate::metrics::{ClaimLabel, ConflictLabel, CycleMetrics};
use crate::ownership::variants::{Eligibility, Ignored, Ownership};

/// Sets how many variants are managed, ignored and refused, and how many objects are `unreadable`.
pub(super) fn count(metrics: &CycleMetrics, ownership: &Ownership, unreadable: usize) {
    let variants = &metrics.variants;
    let set = |claim, count: usize| {
        variants.get_or_create(&ClaimLabel { claim }).set(i64::try_from(count).unwrap_or(i64::MAX));
    };
    set("managed", ownership.mine.len());
    set("managed_of_other_instance", ownership.adopted.len());
    set("unreadable", unreadable);
    let refused = |kind: fn(&Eligibility) -> bool| ownership.mine.values().filter(|it| kind(it)).count();
    let conflicts = &metrics.conflicts;
    let set_conflicts = |kind, count: usize| {
        conflicts.get_or_create(&ConflictLabel { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
    };
    set_conflicts("target", refused(|it| matches!(it, Eligibility::TargetConflict(_))));
    set_conflicts("instance", refused(|it| matches!(it, Eligibility::InstanceConflict(_))));
    for reason in Ignored::ALL {
        set(reason.class(), ownership.ignored.values().filter(|ignored| **ignored == reason).count());
    }
}
