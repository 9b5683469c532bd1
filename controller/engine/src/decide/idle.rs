//! Scaling to zero: when is a model idle, and what becomes of its variants then.
//!
//! A request that nobody has seen completed may still be computed, wait in a server or wait at the gateway, and a pod that
//! has just started has completed nothing either. So a model is idle only when all of these are known to be none, and have
//! been for the whole retention of its policy, during which it was there and watched.

use jiff::{SignedDuration, Timestamp};

use super::readings::fresh;
use super::view::{Choices, View};
use crate::Settings;
use crate::memory::Memory;
use crate::plan::Reason;
use crate::settings::ZeroPolicy;
use crate::snapshot::{Demand, Gateway, Model, Readiness, Source};

/// What a look at a model's demand says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demanded {
    /// It has requests that are not completed.
    Something,
    /// It has none, but requests were completed within the retention.
    Lately,
    /// Nothing is asked of it, and that is known.
    Nothing,
    /// Its servers have no counter of requests yet.
    NotCounted,
    /// Something else is not known.
    Unknown,
}

impl Demanded {
    fn of(demand: &Demand, settings: &Settings) -> Self {
        let Demand { completed, running, waiting, gateway, arrival_rate: _ } = *demand;
        let known = |reading| fresh(reading, settings).map(|it| it.value);
        let at_gateway = match gateway {
            Gateway::Unknown => None,
            Gateway::None => Some(0.0),
            Gateway::Queued(queued) => known(Some(queued)),
        };
        let completed = known(completed);
        let open = [known(running), known(waiting), at_gateway];
        if open.iter().flatten().any(|count| *count > 0.0) {
            Self::Something
        } else if completed.is_some_and(|count| count > 0.0) {
            Self::Lately
        } else if completed.is_none() {
            Self::NotCounted
        } else if open.iter().all(Option::is_some) {
            Self::Nothing
        } else {
            Self::Unknown
        }
    }
}

/// Notes what is asked of a model, and says for how long nothing was: `None` unless nothing is asked of it now.
///
/// A look that finds out nothing does not start the clock again, since what happened meanwhile shows in the counters; a
/// look that finds no counter does, because the first request a counter counts does not show as an increase. Requests that
/// were completed do not start it again either: their counters look back over the retention themselves, and counting it
/// once more after that would double it.
pub(super) fn watch(
    model: &Model,
    awake: bool,
    memory: &mut Memory,
    settings: &Settings,
    now: Timestamp,
) -> Option<SignedDuration> {
    let demanded = Demanded::of(&model.demand, settings);
    let restart = match (demanded, &model.source) {
        (Demanded::Something, _) | (Demanded::NotCounted, Source::Answered | Source::Unlabelled { .. }) => true,
        (Demanded::NotCounted, Source::Failed { .. })
        | (Demanded::Lately | Demanded::Nothing | Demanded::Unknown, _) => false,
    };
    let quiet = memory.quiet_for(&model.key, awake, restart, now);
    quiet.filter(|_| demanded == Demanded::Nothing)
}

/// What becomes of the running variants of a model of which nothing has been asked for this long; `None` unless it is to
/// sleep.
pub(super) fn put_to_sleep<'a>(
    active: &[&View<'a>],
    quiet_for: Option<SignedDuration>,
    policy: &ZeroPolicy,
    now: Timestamp,
) -> Option<Choices<'a>> {
    let ZeroPolicy { enabled, retention } = *policy;
    let ready_for = active.iter().flat_map(|view| &view.variant.pods).filter_map(|pod| match pod.ready {
        Readiness::Ready { since } => Some(now.duration_since(since)),
        Readiness::NotReady { .. } => None,
    });
    let is_long = |time: Option<SignedDuration>| time.is_some_and(|time| time >= retention);
    let sleeps = enabled
        && is_long(quiet_for)
        && is_long(ready_for.max())
        && active.iter().all(|view| view.unsettled().is_none());
    let choice = |view: &&View<'a>| match view.variant.idle_floor() {
        0 => view.choice(0, Reason::ScaledToZero { retention }),
        min => view.choice(min, Reason::IdleAtMinimum { min }),
    };
    sleeps.then(|| active.iter().map(choice).collect())
}
