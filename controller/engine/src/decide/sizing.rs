//! How many replicas a model is to have by what arrives for it (`scaleUpPolicy: demand`): the thresholds go on to say when
//! it is short.
//!
//! [`measure()`] finds what arrives, what waits and what a replica takes. [`grow()`] sizes a model that is short for its load
//! and its backlog in one decision, with what is on its way credited; [`shrink()`] lets go what the most that arrived lately
//! does not need. Both leave the same share free, so that neither undoes what the other did.

mod grow;
mod measure;
mod shrink;

use std::collections::BTreeMap;

use jiff::SignedDuration;

pub(super) use self::grow::{Extent, grow};
pub(super) use self::measure::measure;
pub(super) use self::shrink::shrink;
use super::view::View;
use crate::memory::{SIZED_FOR, Taken};

/// What arrives for a model, and what its replicas take.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// Requests that arrive per second.
    rate: f64,
    /// Whether that is known to be more than the replicas take, whatever the thresholds say.
    is_known: bool,
    /// The most that arrived per second lately; `None` unless it was watched for long enough.
    most: Option<f64>,
    /// Share of what replicas take that they are sized for.
    sized_for: f64,
    /// Whether it is known what replicas complete.
    completes: bool,
    /// Requests that wait.
    waiting: f64,
    /// Requests per second that replicas take, those on their way included.
    anticipated: f64,
    /// Requests per second for which replicas are to be there at once: what arrives, and a part of what waits.
    load: f64,
    /// Whether the load is more than the replicas take.
    over: Over,
    /// Whether the backlog of a settled model does not become smaller.
    stuck: bool,
    /// When it is known better; `None` unless the load has jumped so lately that too few requests were counted to say how high.
    again_after: Option<SignedDuration>,
    /// What one replica takes, by variant.
    taken: BTreeMap<String, Taken>,
}

/// Whether a load is more than the replicas there and on their way take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// It is not.
    No,
    /// It is by little, and since less than a cycle ago: it may be noise.
    Lately,
    /// It is.
    Lasting,
}

impl Measured {
    /// Whether enough is known to size growth by.
    pub(super) fn is_telling(&self) -> bool {
        self.taken.values().any(|it| it.telling)
    }

    /// Whether more is known to arrive than the replicas there and on their way are to take: a replica is saturated because the load
    /// has jumped, or the load has been more for a cycle and a replica is above the quiet limits.
    pub(super) fn is_short(&self) -> bool {
        self.is_known && self.is_telling()
    }

    /// When the load is known better, if it has just jumped.
    pub(super) fn again_after(&self) -> Option<SignedDuration> {
        self.again_after.filter(|_| self.is_telling())
    }

    /// Requests per second that one replica of a variant takes; 0 when that is not known.
    fn per_replica(&self, variant: &str) -> f64 {
        self.taken.get(variant).filter(|it| it.telling).map_or(0.0, |it| it.per_replica)
    }
}

/// Replicas of a variant that are there or were ordered.
fn ordered(view: &View<'_>) -> u32 {
    let (state, unfollowed) = (&view.standing.state, view.standing.unfollowed);
    state.current.max(state.desired.or(unfollowed).unwrap_or(0))
}
